"""How much a client may send, and how long it may take: every limit of the HTTP server.

All durations are in seconds.  docs/api.md tells clients of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

_KIBIBYTE = 1024
_MEBIBYTE = 1024 * _KIBIBYTE

#: Of a request's head, from its first byte to the empty line: cookies and tokens are long.
HEAD_BYTES = 64 * _KIBIBYTE

#: Of its first line, which is logged and shown.
REQUEST_LINE_BYTES = 16 * _KIBIBYTE

#: Header fields of a request.
FIELDS = 256

#: Of a request's body that is no model's: it is held in memory.
VIEW_BODY_BYTES = _MEBIBYTE

#: Of one websocket message, which is held in memory: images and audio are sent inline.
WEBSOCKET_MESSAGE_BYTES = 128 * _MEBIBYTE

#: Of one that comes from who only listens: nothing in it is read.
LISTENER_MESSAGE_BYTES = 64 * _KIBIBYTE

#: Between two pings on a websocket: they keep what lies between us and a client awake.
PING_EVERY = 20.0

#: Of silence on a websocket, pings and all, after which its client is taken for gone.
SILENT_AFTER = 120.0

#: For a client to take its leave of a websocket after we have.
FAREWELL = 2.0

#: For a client to take what is said to it last, where it is not to be waited for.
LAST_WORDS = 1.0

#: For the other side to take the end of TLS, which is sent last.
GOODBYE = 1.0

#: Between two looks at the connections whose requests are served.
LOOK_EVERY = 1.0

#: For which the rest of an answered request is swallowed.
LINGER = 2.0

#: Connections that may be told at once that they are too many; more are just closed.
TURNED_AWAY = 32

#: Until a client that acknowledges nothing, or has not read a byte of what waits for it, is taken
#: for gone.
VANISHED = 300


def _for_ever() -> float:
    return 0.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a client is waited for."""

    #: For which a connection is kept on which nothing is asked; a client's pool keeps its idle
    #: connections about as long, and must not be the later one to close.
    idle: float = 75.0
    #: For a request's head, from its first byte; 0 is without end.  Asked anew for each head.
    head: Callable[[], float] = _for_ever
    #: Between two pieces of a request's body, as long as there is no answer.
    body: float = 300.0
    #: For the handshake of TLS.
    handshake: float = 10.0
    #: For a client on a Unix socket to read of what is being sent; of TCP the kernel sees to that.
    unread: float = VANISHED
