"""How a client is told of a problem: in the shape of the API that it speaks.  No I/O.

Rule 1: before an answer has begun it is a body, of the form that the client accepts.
Rule 2: in an event stream that has begun it is one more event, as the API knows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from html import escape

import msgspec
from hypercorn.typing import HTTPScope, WebsocketScope

from swapd.ids import Header
from swapd.web.errors import Problem, envelope, event_data


class Api(Enum):
    """Whose errors a client understands."""

    OPENAI = "openai"
    RESPONSES = "responses"  # OpenAI's too, but its streams have named events
    ANTHROPIC = "anthropic"


class Form(Enum):
    """What a client can read."""

    JSON = "application/json"
    TEXT = "text/plain; charset=utf-8"
    HTML = "text/html; charset=utf-8"


#: Also below ``/upstream/MODEL``, and without the version.
_RESPONSES = re.compile(r"/v1?/responses(/|\Z)")
_MESSAGES = re.compile(r"/v1?/messages(/|\Z)")

#: Anthropic's words for the statuses that have one of their own.
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}

_NUMBER = re.compile(rb'"sequence_number"\s*:\s*(\d{1,15})')


@dataclass(frozen=True, slots=True)
class Manner:
    """How the client of one request is spoken to."""

    api: Api = Api.OPENAI
    form: Form = Form.JSON

    @classmethod
    def of(cls, scope: HTTPScope | WebsocketScope) -> Manner:
        """Return how to speak to whoever sent the request of ``scope``."""
        return cls(_api(scope["path"]), _form(scope["headers"]))

    def body(self, problem: Problem) -> bytes:
        """Return ``problem`` as the whole body of an answer."""
        match self.form:
            case Form.TEXT:
                return f"swapd: {problem.message}".encode()
            case Form.HTML:
                return _PAGE.format(escape(problem.message)).encode()
            case Form.JSON if self.api is Api.ANTHROPIC:
                return _anthropic(problem)
            case Form.JSON:
                return envelope(problem.message, problem.kind)

    def event(self, problem: Problem, before: bytes = b"") -> bytes:
        """Return ``problem`` as an event for a stream that has begun.

        The blank line before it ends an event that the model's server left unfinished.

        Args:
          problem: What went wrong.
          before: The last piece of the stream, which tells how far it has counted.
        """
        match self.api:
            case Api.OPENAI:
                return b"\n\ndata: " + event_data(problem.message, problem.kind) + b"\n\n"
            case Api.ANTHROPIC:
                return b"\n\nevent: error\ndata: " + _anthropic(problem) + b"\n\n"
            case Api.RESPONSES:
                return b"\n\nevent: error\ndata: " + _responses(problem, before) + b"\n\n"


_PAGE = (
    "<!doctype html><html><head><meta charset=utf-8><title>swapd</title></head>"
    "<body><h1>swapd</h1><p>{}</p></body></html>"
)


def _api(path: str) -> Api:
    if _MESSAGES.search(path):
        return Api.ANTHROPIC
    return Api.RESPONSES if _RESPONSES.search(path) else Api.OPENAI


def _form(headers: Iterable[Header]) -> Form:
    """Return what the client reads best.  Who reads JSON among others gets it."""
    accepted = b",".join(value for name, value in headers if name.lower() == b"accept").lower()
    if b"application/json" in accepted:
        return Form.JSON
    if b"text/plain" in accepted:
        return Form.TEXT
    return Form.HTML if b"text/html" in accepted else Form.JSON


def _anthropic(problem: Problem) -> bytes:
    status = problem.kind.status
    otherwise = "invalid_request_error" if status < 500 else "api_error"
    error = {"type": _ANTHROPIC_TYPES.get(status, otherwise), "message": problem.message}
    return msgspec.json.encode({"type": "error", "src": "swapd", "error": error})


def _responses(problem: Problem, before: bytes) -> bytes:
    """Return the event as OpenAI's reference has it, with what its clients look for besides.

    The official clients take an event for an error only if it has a member ``error``.
    """
    told = {"code": problem.kind.code, "message": problem.message, "param": None}
    event = {
        "type": "error",
        **told,
        "sequence_number": _next_number(before),
        "src": "swapd",
        "error": {"type": problem.kind.type, **told},
    }
    return msgspec.json.encode(event)


def _next_number(before: bytes) -> int:
    numbers = _NUMBER.findall(before)
    return int(numbers[-1]) + 1 if numbers else 0
