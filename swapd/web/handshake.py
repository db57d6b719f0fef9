"""The handshake of TLS with a client, which may not speak it."""

from __future__ import annotations

import ssl

import trio

from swapd.web.errors import WANTS_TLS
from swapd.web.unasked import answer_unasked, say_last

#: What OpenSSL says of what is no TLS; the first two when it knows it for HTTP.
_IS_PLAIN = frozenset({"HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "WRONG_VERSION_NUMBER"})


async def shake_hands(stream: trio.SSLStream[trio.SocketStream]) -> bool:
    """Return whether TLS is spoken on ``stream``; a client of plain HTTP is told to speak it.

    Any other hears by an alert why there will be no TLS: its version is too old, for instance.
    """
    try:
        await stream.do_handshake()
    except trio.ClosedResourceError:
        return False
    except trio.BrokenResourceError as error:
        why = error.__cause__
        if isinstance(why, ssl.SSLError) and why.reason in _IS_PLAIN:
            await answer_unasked(stream.transport_stream, WANTS_TLS)
        elif alert := stream._outgoing.read():  # Trio would drop it
            await say_last(stream.transport_stream, alert)
        return False
    return True
