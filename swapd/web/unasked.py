"""An answer that nobody asked for: the client is not listened to."""

from __future__ import annotations

from contextlib import suppress

import trio

from swapd.web import limits
from swapd.web.errors import Problem, answer_of


def unasked(problem: Problem) -> bytes:
    """Return an answer that says ``problem``, the last one on its connection."""
    fields, body = answer_of(problem)
    lines = [b"%s: %s\r\n" % field for field in fields]
    head = b"HTTP/1.1 %d \r\n%s\r\n" % (problem.kind.status, b"".join(lines))
    return head + body


async def answer_unasked(client: trio.SocketStream, problem: Problem) -> None:
    """Send ``problem``, as the last that is said to ``client``."""
    await say_last(client, unasked(problem))


async def say_last(client: trio.SocketStream, data: bytes) -> None:
    """Send ``data``; then wait a moment for the client to close, or it would not arrive."""
    with (
        trio.move_on_after(limits.LINGER),
        suppress(trio.BrokenResourceError, trio.ClosedResourceError),
    ):
        await client.send_all(data)
        await client.send_eof()
        while await client.receive_some():
            pass
