"""Reads what a JSON body says about itself: its model, and whether it wants a stream.

Where a body names ``model`` twice the last one counts, as for the parsers of the usual model
servers: the name that we route by is the name that the server reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

import msgspec

from swapd.errors import BodyTooLarge, MalformedRequest, NoModelNamed
from swapd.upstream.bodies.body import Edit, Whole, with_edits

#: The most that is read as JSON, for nothing else can be done meanwhile.
MAX_JSON_BYTES = 1024 * 1024 * 1024

#: What some programs on Windows begin every text with.  It means nothing.
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

#: The most that is mended before it is read, and in how many places.
_MENDED_BYTES = 64 * 1024 * 1024
_MENDED_PLACES = 10_000

_TWO_DIGITS = rb"[0-9a-fA-F]{2}"
#: Both halves of a surrogate pair; or, in the group, one.
_HALVES = re.compile(
    rb"\\u[dD](?:[89abAB]" + _TWO_DIGITS + rb"\\u[dD][c-fC-F]" + _TWO_DIGITS +
    rb"|([89a-fA-F]" + _TWO_DIGITS + rb"))"
)  # fmt: skip

#: What a number is that says no: zero, however it is written.
_ZERO = re.compile(rb"-?0(?:\.0*)?(?:[eE].*)?")


class _Named(msgspec.Struct):
    model: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    stream: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_BODY = msgspec.json.Decoder(_Named)
_TEXT = msgspec.json.Decoder(str)


def named_in(body: Whole) -> tuple[str, bool]:
    """Return the model that a request's body names, and whether it asks for a stream.

    Raises:
      MalformedRequest: The body is no JSON object, or its model is no string.
      NoModelNamed: There is no model, or an empty one.
      BodyTooLarge: Reading it would take too long.
    """
    if len(body) > MAX_JSON_BYTES:
        raise BodyTooLarge(f"a JSON body may have {MAX_JSON_BYTES} bytes at most")
    model, stream = _named(body)
    if model is None:
        raise NoModelNamed("the request names no model: its JSON has no `model`")
    return _model_of(model), stream is not None and _is_true(stream)


def text_of(literal: bytes) -> str:
    """Decode a JSON string that is well formed.

    Raises:
      UnicodeDecodeError: It is not valid UTF-8.
    """
    return _TEXT.decode(_without_lone_surrogates(literal) if b"\\" in literal else literal)


def _named(body: Whole) -> tuple[bytes | None, bytes | None]:
    try:
        return _parse(body)
    except MalformedRequest:
        mended = _mended(body) if len(body) <= _MENDED_BYTES else body
        if mended is body:
            raise
    return _parse(mended)


def _mended(json: Whole) -> Whole:
    """Return ``json`` without what many servers overlook, or itself; every place stays."""
    if json[:3] == BYTE_ORDER_MARK:
        json = b"   " + json[3:]
    return _without_lone_surrogates(json)


def _parse(body: Whole) -> tuple[bytes | None, bytes | None]:
    """Return model and stream as they are written, and nothing that refers to ``body``."""
    try:
        named = _BODY.decode(body)
    except msgspec.ValidationError:
        raise MalformedRequest("the body is not a JSON object") from None
    except msgspec.DecodeError as error:
        problem = str(error).removeprefix("JSON is malformed: ")
    except RecursionError:
        raise MalformedRequest("the body is nested too deeply") from None
    else:
        return _copied(named.model), _copied(named.stream)
    if problem == "Input data was truncated":
        problem = f"it ends too early (after {len(body)} bytes)"
    raise MalformedRequest(f"the body is not valid JSON: {problem}")


def _copied(raw: msgspec.Raw | msgspec.UnsetType) -> bytes | None:
    return None if isinstance(raw, msgspec.UnsetType) else bytes(raw)


def _model_of(raw: bytes) -> str:
    if not raw.startswith(b'"'):
        raise MalformedRequest("`model` must be a string")
    try:
        model = text_of(raw)
    except UnicodeDecodeError:
        raise MalformedRequest("`model` is not valid UTF-8") from None
    if not model:
        raise NoModelNamed("the request names no model: `model` is empty")
    return model


def _is_true(value: bytes) -> bool:
    """Tell whether a value says yes: true, also as a string, or any number but zero."""
    is_number = value[:1] in b"-0123456789"
    return not _ZERO.fullmatch(value) if is_number else value in (b"true", b'"true"')


def _without_lone_surrogates(json: Whole) -> Whole:
    r"""Replace half surrogate pairs by ``\ufffd``, of the same length.

    They come from programs that cut a text in the middle of an emoji.  Our parser refuses
    them while many servers do not, and what they mean is not ours to judge.
    """
    halves = list(islice(_lone_surrogates(json), _MENDED_PLACES))
    return with_edits(json[:], [Edit(at, at + 6, rb"\ufffd") for at in halves]) if halves else json


def _lone_surrogates(json: Whole) -> Iterator[int]:
    at = 0
    while found := _HALVES.search(json, at):
        start = found.start()
        if _is_escaped(json, start):
            at = start + 1
        else:
            at = found.end()
            if found[1]:
                yield start


def _is_escaped(json: Whole, at: int) -> bool:
    """Tell whether the backslash at ``at`` is what one before it escapes."""
    before = at
    while before > 0 and json[before - 1] == ord("\\"):
        before -= 1
    return (at - before) % 2 == 1
