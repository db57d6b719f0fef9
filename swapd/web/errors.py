"""What a failure is for a client: its status, its words and its headers.

How that looks in the shape that the client knows is web/manner.py's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec

from swapd.errors import (
    BodyNotKept,
    BodyTooLarge,
    HardwareUnknown,
    MalformedRequest,
    ModelTooSlow,
    ModelUnavailable,
    NoModelNamed,
    NotLoaded,
    RequestCancelled,
    RequestError,
    StoreUnreadable,
    TooManyRequests,
    TryLater,
    UnknownCapture,
    UnknownModel,
    UnknownProfile,
    UnknownRequest,
    UpstreamFailed,
    UpstreamTooSlow,
)
from swapd.ids import Header


@dataclass(frozen=True, slots=True)
class Kind:
    """What clients branch on: the HTTP status, and OpenAI's words for the error."""

    status: int
    type: str
    code: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One failure, as its client is told of it."""

    message: str
    kind: Kind
    headers: tuple[Header, ...] = ()


NOT_FOUND = Kind(404, "invalid_request_error", "not_found")
METHOD_NOT_ALLOWED = Kind(405, "invalid_request_error", "method_not_allowed")
INTERNAL = Kind(500, "server_error", "internal_error")

#: The key is missing or wrong.  The header has browsers ask for it.
UNAUTHORIZED = Problem(
    "invalid or missing API key",
    Kind(401, "authentication_error", "unauthorized"),
    ((b"www-authenticate", b'Basic realm="swapd"'),),
)

#: What is said of a bug.
BUG = Problem("something went wrong inside swapd; its log says what", INTERNAL)

#: What is wrong with a request, where that shows before it is one.
NOT_HTTP = Kind(400, "invalid_request_error", "bad_request")
TOO_SLOW = Kind(408, "invalid_request_error", "request_timeout")
TARGET_TOO_LONG = Kind(414, "invalid_request_error", "uri_too_long")
HEAD_TOO_LARGE = Kind(431, "invalid_request_error", "head_too_large")
OTHER_CODING = Kind(501, "invalid_request_error", "not_implemented")
OTHER_HTTP = Kind(505, "invalid_request_error", "http_version_not_supported")

#: What is said of a head or a body that does not come.
LATE = Problem("the rest of the request did not come in time", TOO_SLOW)

#: What is said of a body that ends before it is whole.
CUT = Problem("the body of the request broke off", NOT_HTTP)

#: What is said of a websocket that was never one.
NO_HANDSHAKE = Problem(
    "this opens no websocket: Sec-WebSocket-Key and Sec-WebSocket-Version belong to it, and"
    " nothing else may come before the answer",
    NOT_HTTP,
)
OTHER_WEBSOCKETS = Problem(
    "only version 13 of websockets is spoken here", NOT_HTTP, ((b"sec-websocket-version", b"13"),)
)

#: What is said to who speaks TLS where plain HTTP is spoken.
WANTS_PLAIN = Problem("this address speaks no TLS: its URL begins with http://", NOT_HTTP)

#: What is said to who speaks plain HTTP where TLS is spoken.
WANTS_TLS = Problem("this address speaks TLS: its URL begins with https://", NOT_HTTP)

#: What is said to a connection too many.
FULL = Problem(
    "swapd has as many connections as it can have at once: try again",
    Kind(503, "server_error", "service_unavailable"),
    ((b"retry-after", b"1"),),
)

#: What is said of what could not be read as a request, by the status that the parser hints at.
_UNREADABLE = {
    431: Problem("a line of the request's body is too long", HEAD_TOO_LARGE),
    501: Problem("the request has a transfer coding that swapd does not know", OTHER_CODING),
}

MALFORMED = Kind(400, "invalid_request_error", "bad_request")

#: The one table of statuses.  A subclass is found through its base.
KINDS: dict[type[RequestError], Kind] = {
    MalformedRequest: MALFORMED,
    BodyTooLarge: Kind(413, "invalid_request_error", "request_too_large"),
    BodyNotKept: Kind(507, "server_error", "insufficient_storage"),
    NoModelNamed: NOT_FOUND,
    UnknownModel: Kind(404, "invalid_request_error", "model_not_found"),
    UnknownProfile: NOT_FOUND,
    UnknownRequest: NOT_FOUND,
    HardwareUnknown: Kind(503, "server_error", "service_unavailable"),
    NotLoaded: Kind(409, "invalid_request_error", "conflict"),
    # No status that clients take for a reason to send it again by themselves.
    RequestCancelled: Kind(499, "invalid_request_error", "cancelled"),
    UnknownCapture: NOT_FOUND,
    StoreUnreadable: Kind(503, "server_error", "service_unavailable"),
    TooManyRequests: Kind(429, "rate_limit_error", "concurrency_limit"),
    ModelTooSlow: Kind(504, "server_error", "gateway_timeout"),
    ModelUnavailable: Kind(503, "server_error", "service_unavailable"),
    UpstreamFailed: Kind(502, "server_error", "bad_gateway"),
    UpstreamTooSlow: Kind(504, "server_error", "gateway_timeout"),
}


def forbidden(message: str) -> Problem:
    """Return what is said of a request that nobody may make in this way."""
    return Problem(message, Kind(403, "authentication_error", "forbidden"))


def no_such_route(asked: str) -> Problem:
    """Return what is said of a request for what nobody serves; ``asked`` is its method and path."""
    return Problem(f"{asked}: not found", NOT_FOUND)


def problem_of(error: RequestError) -> Problem:
    """Return what clients are told of ``error``."""
    return Problem(str(error), kind_of(error), headers_of(error))


def kind_of(error: RequestError) -> Kind:
    """Return what clients branch on when they meet ``error``."""
    return next((KINDS[base] for base in type(error).__mro__ if base in KINDS), INTERNAL)


def headers_of(error: RequestError) -> tuple[Header, ...]:
    """Return the headers that go with ``error``: when to try again, if that makes sense."""
    if isinstance(error, TryLater):
        return ((b"retry-after", b"%d" % max(1, math.ceil(error.retry_after))),)
    return ()


def envelope(message: str, kind: Kind) -> bytes:
    """Return the JSON body of an error, in the shape of OpenAI's API.

    ``src`` tells swapd's own errors from those that a model's server sent.
    """
    return msgspec.json.encode({"src": "swapd", "error": _told(message, kind)})


def event_data(message: str, kind: Kind) -> bytes:
    """Return the same for an event: ``error`` comes first, by which some clients know it."""
    return msgspec.json.encode({"error": _told(message, kind), "src": "swapd"})


def _told(message: str, kind: Kind) -> dict[str, str | None]:
    return {"message": message, "type": kind.type, "param": None, "code": kind.code}


def answer_of(problem: Problem) -> tuple[list[Header], bytes]:
    """Return the headers and the body that tell of ``problem`` and end the connection."""
    body = envelope(problem.message, problem.kind)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        *problem.headers,
    ]
    return headers, body


def unreadable(status: int) -> Problem:
    """Return what is said of what could not be read as a request."""
    return _UNREADABLE.get(status) or Problem("the request is not valid HTTP", NOT_HTTP)
