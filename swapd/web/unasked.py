"""An answer that nobody asked for: the client is not listened to."""

from __future__ import annotations

from contextlib import suppress

import trio
from hypercorn.typing import HTTPScope

from swapd.ids import Header
from swapd.web import limits
from swapd.web.errors import Problem, answer_of
from swapd.web.manner import Manner
from swapd.web.request_log import ID_HEADER, request_id


def last_answer(problem: Problem, scope: HTTPScope | None) -> tuple[list[Header], bytes]:
    """Return the headers and the body of an answer that says ``problem`` and ends the connection.

    Args:
      problem: What is wrong.
      scope: Of the request that it is wrong with, whose client reads it in its own shape; None
        if it is wrong with what is no request.
    """
    if scope is None:
        return answer_of(problem)
    manner = Manner.of(scope)
    body = manner.body(problem)
    headers = [
        (b"content-type", manner.form.value.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        *problem.headers,
        (ID_HEADER, request_id(scope).encode()),
    ]
    return headers, body


def unasked(problem: Problem, scope: HTTPScope | None = None) -> bytes:
    """Return an answer as of ``last_answer``, all of it."""
    fields, body = last_answer(problem, scope)
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
