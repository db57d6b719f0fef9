"""A request to a model: which one it names, and the same request with changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from swapd.errors import NoModelNamed
from swapd.ids import Header
from swapd.upstream.bodies.body import Body, with_edits
from swapd.upstream.bodies.changes import Changes
from swapd.upstream.bodies.codings import codings_of, decoded
from swapd.upstream.bodies.json_names import BYTE_ORDER_MARK
from swapd.upstream.bodies.kinds import Fields, Json, Kind, Nothing, Unknown

_JSON = (b"application/json", b"+json", b"text/json")
_MULTIPART = b"multipart/form-data"
_FORM = b"application/x-www-form-urlencoded"
_TEXT = b"text/"

_NO_QUERY = Fields.of_query(b"")
_NO_BODY = Nothing("the request names no model: add ?model=NAME")


class ModelRequest(NamedTuple):
    """A request that names a model.

    Attributes:
      model: As the client named it.
      stream: Whether it asks for its answer as a stream.
      query: As it goes on, without the question mark.
      headers: As they go on, but for those of one hop.
      body: As it goes on.  What was encoded and could be read is decoded: hardly a model's server
        takes anything else.
      kind: What the body is.
    """

    model: str
    stream: bool
    query: bytes
    headers: Sequence[Header]
    body: Body
    kind: Kind

    async def changed(self, changes: Changes) -> ModelRequest:
        """Return it with ``changes`` made, and every byte untouched that they do not touch.

        Raises:
          MalformedRequest: The body would have to be changed, and is of no kind that we know.
        """
        if changes.model == self.model:
            changes = changes.without_model()
        edits = await self.kind.edits(changes)
        query = self.query
        if query and (self.kind.yields or not self.kind.model):
            query = with_edits(query, Fields.of_query(query).renamed(changes.model))
        if not edits:
            return self if query is self.query else self._replace(query=query)
        return self._replace(query=query, body=self.body.edited(edits))


async def read_request(
    method: str, query: bytes, headers: Sequence[Header], body: Body, *, max_bytes: int
) -> ModelRequest:
    """Find out which model a request names, and whether it asks for a stream.

    Args:
      method: In capitals.
      query: Without the question mark.
      headers: As the client sent them.
      body: As the client sent it, encoded if it is.
      max_bytes: What a body may have once it is decoded; 0 is no limit of its own.

    Raises:
      MalformedRequest: The body is not what its content type says, or cannot be decoded.
      BodyTooLarge: It becomes too large when it is decoded, or is too large to be read.
      BodyNotKept: It is too large for memory when it is decoded, and the disk does not take it.
      NoModelNamed: There is no model, or an empty one.
    """
    in_query = Fields.of_query(query) if query else _NO_QUERY
    kind: Kind = _NO_BODY
    if method not in ("GET", "HEAD"):
        content_type = _first(headers, b"content-type")
        if body.length and _is_readable(content_type) and (codings := codings_of(headers)):
            body = await decoded(body, codings, max_bytes=max_bytes)
            headers = [header for header in headers if header[0].lower() != b"content-encoding"]
        kind = await _read(body, content_type, is_named_in_query=bool(in_query.model))
    model = (in_query.model or kind.model) if kind.yields else (kind.model or in_query.model)
    if not model:
        raise NoModelNamed(kind.lack)
    stream = in_query.stream or kind.stream if kind.yields else kind.stream
    return ModelRequest(model, stream, query, headers, body, kind)


def _first(headers: Sequence[Header], name: bytes) -> bytes:
    for key, value in headers:
        if key.lower() == name:
            return value
    return b""


def _is_readable(content_type: bytes) -> bool:
    """Tell whether a body of that type can be looked into."""
    if not content_type or content_type.startswith(_JSON[0]):
        return True
    return any(word in content_type.lower() for word in (*_JSON, _MULTIPART, _FORM, _TEXT))


async def _read(body: Body, content_type: bytes, *, is_named_in_query: bool) -> Kind:
    """Read ``body`` as what its type says, or as what it looks like if that says little."""
    declared = content_type.lower()
    if not body.length and (is_named_in_query or not declared):
        return Nothing("the request names no model: its body is empty")
    if declared.startswith(_JSON[0]) or any(word in declared for word in _JSON):
        return await Json.read(body)
    if _MULTIPART in declared:
        return await Fields.of_multipart(body, content_type)
    # JSON is what people send, whatever type their tool makes of it.
    if not is_named_in_query and (not declared or await _looks_like_json(body, declared)):
        return await Json.read(body)
    if _FORM in declared:
        return await Fields.of_form(body)
    return Unknown(declared.decode("latin-1") or "of no type")


async def _looks_like_json(body: Body, declared: bytes) -> bool:
    """Tell whether a form or a text is an object by the first piece of it."""
    if not _is_readable(declared):
        return False
    beginning = bytes(await body.reader().read()).removeprefix(BYTE_ORDER_MARK)
    return beginning.lstrip().startswith(b"{")
