"""Reads what a JSON body says about itself: its model, and whether it wants a stream.

Where a body names ``model`` twice the last one counts, as for the parsers of the usual model
servers: the name that we route by is the name that the server reads.
"""

from __future__ import annotations

import re

import msgspec

from swapd.errors import BodyTooLarge, MalformedRequest, NoModelNamed
from swapd.upstream.bodies.body import Whole

#: The most that is read as JSON, for nothing else can be done meanwhile: 0.2 to 0.6 s for it.
MAX_JSON_BYTES = 1024 * 1024 * 1024

#: Half a surrogate pair, behind all that comes before the first one.
_PAIR = rb"u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_WHOLE = rb"(?:[^\\]++|\\(?:" + _PAIR + rb"|u(?![dD][89a-fA-F])|[^u]))*+"
_LONE = re.compile(_WHOLE + rb"(\\u[dD][89a-fA-F][0-9a-fA-F]{2})", re.DOTALL)

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
        raise NoModelNamed("the request names no model")
    return _model_of(model), _is_true(stream or b"false")


def text_of(literal: bytes) -> str:
    """Decode a JSON string that is well formed.

    Raises:
      UnicodeDecodeError: It is not valid UTF-8.
    """
    return _TEXT.decode(_without_lone_surrogates(literal) if b"\\u" in literal else literal)


def _named(body: Whole) -> tuple[bytes | None, bytes | None]:
    try:
        return _parse(body)
    except MalformedRequest:
        if not _LONE.match(body):
            raise
    return _parse(_without_lone_surrogates(body))


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


def _without_lone_surrogates(json: Whole) -> bytes:
    r"""Replace half surrogate pairs by ``\ufffd``, of the same length.

    They come from programs that cut a text in the middle of an emoji.  Our parser refuses
    them while many servers do not, and what they mean is not ours to judge.
    """
    parts, at = [], 0
    while lone := _LONE.match(json, at):
        parts += [json[at : lone.start(1)], rb"\ufffd"]
        at = lone.end()
    return b"".join([*parts, json[at:]])
