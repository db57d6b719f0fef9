"""The handshake of TLS with a client, which may not speak it."""

from __future__ import annotations

import ssl

import trio

from swapd.web.errors import WANTS_TLS
from swapd.web.unasked import answer_unasked


async def shake_hands(stream: trio.SSLStream[trio.SocketStream]) -> bool:
    """Return whether TLS is spoken on ``stream``; a client of plain HTTP is told to speak it."""
    try:
        await stream.do_handshake()
    except trio.ClosedResourceError:
        return False
    except trio.BrokenResourceError as error:
        if isinstance(error.__cause__, ssl.SSLError) and error.__cause__.reason == "HTTP_REQUEST":
            await answer_unasked(stream.transport_stream, WANTS_TLS)
        return False
    return True
