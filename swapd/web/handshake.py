"""The handshake of TLS with a client, which may not speak it."""

from __future__ import annotations

import ssl
from contextlib import suppress

import trio

from swapd.web.errors import WANTS_TLS, envelope


async def shake_hands(stream: trio.SSLStream[trio.SocketStream]) -> bool:
    """Return whether TLS is spoken on ``stream``; a client of plain HTTP is told to speak it."""
    try:
        await stream.do_handshake()
    except trio.ClosedResourceError:
        return False
    except trio.BrokenResourceError as error:
        if isinstance(error.__cause__, ssl.SSLError) and error.__cause__.reason == "HTTP_REQUEST":
            await _refuse_plain_http(stream.transport_stream)
        return False
    return True


async def _refuse_plain_http(client: trio.SocketStream) -> None:
    body = envelope(WANTS_TLS.message, WANTS_TLS.kind)
    head = (
        b"HTTP/1.1 %d \r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
        b"connection: close\r\n\r\n" % (WANTS_TLS.kind.status, len(body))
    )
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        await client.send_all(head + body)
        await client.send_eof()
        while await client.receive_some():
            pass  # to close on unread bytes would reset the connection, and lose the answer
