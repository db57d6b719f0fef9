"""One line for each request and websocket, when it is over, as llama-swap has it, with an ID.

Rule 1: whoever asks, and whatever a proxy on this machine says of whom it asks for, is shown; what
    others say of that is not believed.
Rule 2: no character of a client's leaves its place in the line, or means something to a terminal.
Rule 3: it costs each request a few microseconds.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from time import perf_counter
from typing import TypeAlias

from hypercorn.typing import HTTPScope, WebsocketScope

from swapd.ids import Header
from swapd.web.request_log import CLIENT_LEFT, Outcome, model_of, outcome, request_id

_log = logging.getLogger("swapd.access")

#: Asked again and again by programs that watch: told of only if something is wrong.
_QUIET = ("/wol-health", "/api/performance", "/metrics")

#: How much of what a client says is shown.
_MOST_CHARS = 512

_USER_AGENT = b"user-agent"
_FORWARDED_FOR = (b"x-forwarded-for", b"x-real-ip")
_ADDRESS = re.compile(rb"[0-9A-Fa-f:.]{2,45}")


def begin() -> float:
    """Return the present moment, for ``end``."""
    return perf_counter()


def end(
    scope: HTTPScope | WebsocketScope,
    *,
    began: float,
    status: int,
    size: int,
    complete: bool,
    say: Say,
) -> None:
    """Log the request of ``scope``, which is over.

    Args:
      scope: Of the request.
      began: As ``begin`` returned it.
      status: Of its answer; 0 if it got none.
      size: Bytes of the body that were sent.
      complete: Whether all of the answer was sent.
      say: Writes its line.
    """
    if not _log.isEnabledFor(logging.INFO):
        return
    ended = outcome(scope)
    if ended is None and not complete and not status:
        ended = Outcome(CLIENT_LEFT, "cut before it was answered")
    told = Access(scope, perf_counter() - began, status, size, ended)
    if told.status < 400 and scope["path"].startswith(_QUIET):
        return
    say(told)


def say(told: Access) -> None:
    """Log ``told`` as anything else is logged: at once, which costs more (rule 3)."""
    _log.info("%s", told)


class Access:
    """One request that is over; ``str`` is what is said of it."""

    __slots__ = ("_ended", "_scope", "_seconds", "_size", "status")

    def __init__(
        self,
        scope: HTTPScope | WebsocketScope,
        seconds: float,
        status: int,
        size: int,
        ended: Outcome | None,
    ) -> None:
        self._scope = scope
        self._seconds = seconds
        self._size = size
        self._ended = ended
        self.status = ended.status if ended else status

    def __str__(self) -> str:
        """Say it as llama-swap does; then the ID, the model, and why it ended badly if it did."""
        scope = self._scope
        address, agent = who_asks(scope["client"], scope["headers"])
        model, why = model_of(scope), ""
        if self._ended:
            # Most begin with whom they are about, which stands just before.
            why = f": {self._ended.why.removeprefix(f'{model}: ')}"
        about = f" {_printable(model)}" if model else ""
        return (
            f'Request {address} "{_method(scope)} {_quoted(scope["path"])}'
            f' HTTP/{scope["http_version"]}" {self.status} {self._size} "{_quoted(agent)}"'
            f" {in_go(self._seconds)} {request_id(scope)}{about}{why}"
        )

    def fields(self) -> Mapping[str, object]:
        """Return the same by names, for programs."""
        scope = self._scope
        address, agent = who_asks(scope["client"], scope["headers"])
        fields: dict[str, object] = {
            "event": "request",
            "logger": _log.name,
            "request_id": request_id(scope),
            "client": address,
            "method": _method(scope),
            "path": _printable(scope["path"]),
            "protocol": f"HTTP/{scope['http_version']}",
            "status": self.status,
            "size": self._size,
            "user_agent": _printable(agent),
            "duration_ms": round(self._seconds * 1000, 3),
        }
        if (model := model_of(scope)) is not None:
            fields["model"] = _printable(model)
        if self._ended:
            fields["error"] = self._ended.why
        return fields


#: Writes the line of a request.
Say: TypeAlias = Callable[[Access], None]


def in_go(seconds: float) -> str:
    """Return a duration as Go writes it: ``812.5µs``, ``2.041962ms``, ``1.5s``, ``2m0.5s``."""
    if seconds < 0.001:
        return f"{_trimmed(seconds * 1e6, 3)}µs"
    if seconds < 1:
        return f"{_trimmed(seconds * 1e3, 6)}ms"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    said = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{said}{_trimmed(rest, 9)}s"


def _trimmed(number: float, places: int) -> str:
    return f"{number:.{places}f}".rstrip("0").rstrip(".")


def _method(scope: HTTPScope | WebsocketScope) -> str:
    return scope["method"] if scope["type"] == "http" else "GET"


def who_asks(client: tuple[str, int] | None, headers: Iterable[Header]) -> tuple[str, str]:
    """Return the address of who asks, and with which program (rule 1)."""
    peer = client[0] if client else ""
    believed = not peer or peer == "::1" or peer.startswith(("127.", "::ffff:127."))
    address, agent, forwarded = peer or "unix", b"", False
    for name, value in headers:
        if name == _USER_AGENT:
            agent = value
        elif believed and name in _FORWARDED_FOR and not forwarded:
            first = value.partition(b",")[0].strip()
            if _ADDRESS.fullmatch(first):
                address, forwarded = first.decode(), name == _FORWARDED_FOR[0]
    return address, agent.decode("latin-1")


def _printable(text: str) -> str:
    """Return ``text``, not too long, in which nothing means something to a terminal (rule 2)."""
    if len(text) > _MOST_CHARS:
        text = text[:_MOST_CHARS] + "…"
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _quoted(text: str) -> str:
    """Return ``text`` so that it can stand between quotes in one line (rule 2)."""
    if text.isprintable() and len(text) <= _MOST_CHARS and '"' not in text and "\\" not in text:
        return text
    return _printable(text.replace("\\", "\\\\").replace('"', '\\"'))
