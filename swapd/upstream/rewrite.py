"""Reads and replaces the model that a JSON body names.  Every other byte stays as it is.

Where a body names ``model`` twice the last one counts, as for the parsers of the usual model
servers: the name that we route by is the name that the server reads.
"""

from __future__ import annotations

import re

import msgspec

from swapd.errors import MalformedRequest, NoModelNamed

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_KEY = re.compile(rb"[\s{,]*(" + _STRING + rb")\s*:\s*", re.DOTALL)
_SCALAR = re.compile(_STRING + rb"|[^\s,}\]]+", re.DOTALL)
_NESTING = re.compile(_STRING + rb"|[\[\]{}]", re.DOTALL)

#: An escape; in its group if it is one half of a surrogate pair without the other.
_PAIR = rb"u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE = re.compile(rb"\\(?:" + _PAIR + rb"|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL)


class _Named(msgspec.Struct):
    model: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_BODY = msgspec.json.Decoder(_Named)
_TEXT = msgspec.json.Decoder(str)


def model_of(body: bytes) -> str:
    """Return the model that a request's body names.

    Raises:
      MalformedRequest: The body is no JSON object, or its model is no string.
      NoModelNamed: There is no model, or an empty one.
    """
    named = _named(body)
    if isinstance(named.model, msgspec.UnsetType):
        raise NoModelNamed("the request names no model")
    raw = bytes(named.model)
    if not raw.startswith(b'"'):
        raise MalformedRequest("`model` must be a string")
    try:
        model = _text(raw)
    except UnicodeDecodeError:
        raise MalformedRequest("`model` is not valid UTF-8") from None
    if not model:
        raise NoModelNamed("the request names no model: `model` is empty")
    return model


def with_model(body: bytes, model: str) -> bytes:
    """Return ``body`` with ``model`` as its model, and every other byte untouched.

    Args:
      body: One that ``model_of`` has read.
      model: The name to put in the place of the one that it names.
    """
    start, end = _model_span(body)
    return body[:start] + msgspec.json.encode(model) + body[end:]


def _named(body: bytes) -> _Named:
    try:
        return _BODY.decode(body)
    except msgspec.ValidationError:
        raise MalformedRequest("the body is not a JSON object") from None
    except msgspec.DecodeError as error:
        problem = str(error).removeprefix("JSON is malformed: ")
    except RecursionError:
        raise MalformedRequest("the body is nested too deeply") from None
    mended = _without_lone_surrogates(body)
    if mended != body:
        return _named(mended)
    if problem == "Input data was truncated":
        problem = f"it ends too early (after {len(body)} bytes)"
    raise MalformedRequest(f"the body is not valid JSON: {problem}")


def _text(literal: bytes) -> str:
    """Decode a JSON string that is known to be well formed."""
    return _TEXT.decode(_without_lone_surrogates(literal) if b"\\u" in literal else literal)


def _without_lone_surrogates(json: bytes) -> bytes:
    r"""Replace half surrogate pairs by ``\ufffd``, of the same length.

    They come from programs that cut a text in the middle of an emoji.  Our parser refuses
    them while many servers do not, and what they mean is not ours to judge.
    """
    return _ESCAPE.sub(lambda escape: rb"\ufffd" if escape[1] else escape[0], json)


def _model_span(body: bytes) -> tuple[int, int]:
    span: tuple[int, int] | None = None
    at = 0
    while key := _KEY.match(body, at):
        at = _end_of_value(body, key.end())
        if _is_model(key[1]):
            span = (key.end(), at)
    assert span is not None  # ``model_of`` has read it
    return span


def _is_model(key: bytes) -> bool:
    return key == b'"model"' or (b"\\" in key and _text(key) == "model")


def _end_of_value(body: bytes, start: int) -> int:
    if body[start] not in b"[{":
        scalar = _SCALAR.match(body, start)
        assert scalar is not None  # the body is well formed
        return scalar.end()
    depth = 0
    for token in _NESTING.finditer(body, start):
        if body[token.start()] in b"[{":
            depth += 1
        elif body[token.start()] in b"]}":
            depth -= 1
            if depth == 0:
                return token.end()
    raise AssertionError("the body is well formed")
