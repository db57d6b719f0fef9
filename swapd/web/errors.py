"""How a failure looks to a client: its status, its envelope, and its event in a stream."""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec

from swapd.errors import (
    BodyTooLarge,
    MalformedRequest,
    ModelUnavailable,
    NoModelNamed,
    RequestError,
    TooManyRequests,
    TryLater,
    UnknownModel,
    UpstreamFailed,
)

Header = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Kind:
    """What clients branch on: the HTTP status, and OpenAI's words for the error."""

    status: int
    type: str
    code: str


UNAUTHORIZED = Kind(401, "authentication_error", "unauthorized")
NOT_FOUND = Kind(404, "invalid_request_error", "not_found")
METHOD_NOT_ALLOWED = Kind(405, "invalid_request_error", "method_not_allowed")
INTERNAL = Kind(500, "server_error", "internal_error")

#: What is said of a bug.
BUG = "something went wrong inside swapd; its log says what"

#: What is said of what could not be read as a request, by the status that the parser hints at.
_UNREADABLE = {
    400: ("the request is not valid HTTP", "bad_request"),
    431: ("the head of the request is too large", "head_too_large"),
    501: ("the request has a transfer coding that swapd does not know", "not_implemented"),
}

#: The one table of statuses.  A subclass is found through its base.
KINDS: dict[type[RequestError], Kind] = {
    MalformedRequest: Kind(400, "invalid_request_error", "bad_request"),
    BodyTooLarge: Kind(413, "invalid_request_error", "request_too_large"),
    NoModelNamed: NOT_FOUND,
    UnknownModel: Kind(404, "invalid_request_error", "model_not_found"),
    TooManyRequests: Kind(429, "rate_limit_error", "concurrency_limit"),
    ModelUnavailable: Kind(503, "server_error", "service_unavailable"),
    UpstreamFailed: Kind(502, "server_error", "bad_gateway"),
}


def kind_of(error: RequestError) -> Kind:
    """Return what clients are told of ``error``, besides its text."""
    return next((KINDS[base] for base in type(error).__mro__ if base in KINDS), INTERNAL)


def headers_of(error: RequestError) -> list[Header]:
    """Return the headers that go with ``error``: when to try again, if that makes sense."""
    if isinstance(error, TryLater):
        return [(b"retry-after", b"%d" % max(1, math.ceil(error.retry_after)))]
    return []


def envelope(message: str, kind: Kind) -> bytes:
    """Return the JSON body of an error, in the shape of OpenAI's API.

    ``src`` tells swapd's own errors from those that a model's server sent.
    """
    error = {"message": message, "type": kind.type, "param": None, "code": kind.code}
    return msgspec.json.encode({"src": "swapd", "error": error})


def unreadable(status: int) -> bytes:
    """Return the envelope for what could not be read as a request."""
    message, code = _UNREADABLE.get(status, _UNREADABLE[400])
    return envelope(message, Kind(status, "invalid_request_error", code))


def event(error: RequestError) -> bytes:
    """Return ``error`` as an event for a stream that has begun.

    The blank line before it ends an event that the model's server left unfinished.
    """
    return b"\n\ndata: " + envelope(str(error), kind_of(error)) + b"\n\n"
