"""What each kind of body says of itself, and how it is changed.  Does not judge which kind it is.

Whatever is of no kind that swapd knows is never changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import trio

from swapd.errors import BodyTooLarge, MalformedRequest
from swapd.upstream.bodies import form, multipart
from swapd.upstream.bodies.body import PIECE_BYTES, Body, Edit
from swapd.upstream.bodies.changes import Changes
from swapd.upstream.bodies.json_filters import edits_of
from swapd.upstream.bodies.json_names import named_in

_MODEL, _STREAM = "model", "stream"

#: Larger ones are worked on in a thread, so that other tasks get their turns.
_LARGE_BYTES = 256 * 1024

#: The same for forms in parts: some are made to be slow to read, for all that they are valid.
_LARGE_PARTS_BYTES = 64 * 1024


class Kind(Protocol):
    """A body that was read.

    Attributes:
      model: The model that it names; empty if none.
      stream: Whether it asks for a stream.
      yields: Whether what the query says counts for more.
      lack: What to say where no model is named.
    """

    model: str
    stream: bool
    yields: bool
    lack: str

    async def edits(self, changes: Changes) -> Sequence[Edit]:
        """Return what ``changes`` come to.

        Raises:
          MalformedRequest: They cannot be made in such a body.
        """


class Json:
    """One JSON object."""

    yields = False
    lack = ""  # it was refused when it was read

    def __init__(self, body: Body, model: str, *, stream: bool) -> None:
        self.model, self.stream = model, stream
        self._body = body

    @classmethod
    async def read(cls, body: Body) -> Json:
        """Read ``body``.

        Raises:
          MalformedRequest: It is no JSON object, or its model is no string.
          NoModelNamed: It names none.
          BodyTooLarge: It is too large to be read.
        """
        if body.length > _LARGE_BYTES:
            model, stream = await trio.to_thread.run_sync(_named_in, body)
        else:
            model, stream = _named_in(body)
        return cls(body, model, stream=stream)

    async def edits(self, changes: Changes) -> Sequence[Edit]:
        if self._body.length > _LARGE_BYTES:
            return await trio.to_thread.run_sync(self._find_edits, changes)
        return self._find_edits(changes)

    def _find_edits(self, changes: Changes) -> Sequence[Edit]:
        name = changes.model_in_body or changes.model
        new = "" if name == self.model else name
        if (held := self._body.held) is not None:
            return edits_of(held, model=new, filters=changes.filters, asked=changes.asked)
        with self._body.whole() as text:
            return edits_of(text, model=new, filters=changes.filters, asked=changes.asked)


def _named_in(body: Body) -> tuple[str, bool]:
    if (held := body.held) is not None:
        return named_in(held)
    with body.whole() as text:
        return named_in(text)


class Field(Protocol):
    """A field of a form, wherever that is."""

    @property
    def name(self) -> str: ...

    @property
    def value(self) -> str: ...

    def renamed(self, value: str) -> Iterator[Edit]: ...


class Fields:
    """A form.  Of fields with one name the first one counts, and all are changed."""

    lack = "the request names no model: its form has no field `model`"

    def __init__(self, fields: Iterable[Field], *, yields: bool) -> None:
        fields = list(fields)
        self._models = [field for field in fields if field.name == _MODEL]
        streams = [field.value for field in fields if field.name == _STREAM]
        self.model = self._models[0].value if self._models else ""
        self.stream = streams[:1] == ["true"]
        self.yields = yields

    @classmethod
    def of_query(cls, query: bytes) -> Fields:
        """Read ``query``."""
        return cls(form.fields_of(query, _MODEL, _STREAM) if query else (), yields=False)

    @classmethod
    async def of_form(cls, body: Body) -> Fields:
        """Read ``body``, which is ``application/x-www-form-urlencoded``.

        Raises:
          MalformedRequest: It has too many fields, or one that is asked for is too long.
          BodyTooLarge: It is too large to be read.
        """
        if body.length > form.MAX_FORM_BYTES:
            raise BodyTooLarge(f"a form may have {form.MAX_FORM_BYTES} bytes at most")
        if body.length > _LARGE_BYTES:
            return cls(await trio.to_thread.run_sync(_fields_in, body), yields=False)
        return cls(_fields_in(body), yields=False)

    @classmethod
    async def of_multipart(cls, body: Body, content_type: bytes) -> Fields:
        """Read ``body``, which is ``multipart/form-data``.

        Raises:
          MalformedRequest: It is none.
        """
        scanner = multipart.Scanner(multipart.boundary_of(content_type), _MODEL, _STREAM)
        reader = body.reader()
        while piece := await reader.read():
            for at in range(0, len(piece), PIECE_BYTES):
                part = bytes(piece[at : at + PIECE_BYTES])
                if body.length > _LARGE_PARTS_BYTES:
                    await trio.to_thread.run_sync(scanner.feed, part)
                else:
                    scanner.feed(part)
        scanner.finish()
        return cls(scanner.fields, yields=True)

    def renamed(self, name: str) -> list[Edit]:
        """Return what makes ``name`` the model; nothing if it is empty."""
        others = [field for field in self._models if name not in ("", field.value)]
        return [edit for field in others for edit in field.renamed(name)]

    async def edits(self, changes: Changes) -> Sequence[Edit]:
        return self.renamed(changes.model_in_body or changes.model)


def _fields_in(body: Body) -> list[form.Field]:
    with body.whole() as text:
        return list(form.fields_of(text, _MODEL, _STREAM))


class Nothing:
    """No body, or one that does not matter."""

    model, stream, yields = "", False, True

    def __init__(self, lack: str) -> None:
        self.lack = lack

    async def edits(self, changes: Changes) -> Sequence[Edit]:
        return ()


class Unknown:
    """Anything else.  It may name the model too, so the model cannot be given another name."""

    model, stream, yields = "", False, True

    def __init__(self, content_type: str) -> None:
        self._type = content_type
        self.lack = (
            f"the request names no model: its body is {content_type}, in which swapd cannot look "
            "for one; add ?model=NAME"
        )

    async def edits(self, changes: Changes) -> Sequence[Edit]:
        if changes.model:
            raise MalformedRequest(
                f"the server knows the model as {changes.model!r}, and swapd cannot put that into "
                f"a body that is {self._type}; send JSON or a form, or use the name itself"
            )
        return ()
