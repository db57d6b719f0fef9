"""Asking a scripted server the simplest of questions."""

from __future__ import annotations

from swapd.config.timeouts import Timeouts
from swapd.upstream.http1 import Pool, Response

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def ask(pool: Pool, method: bytes = b"GET", body: bytes = b"") -> bytes:
    """Ask for ``/`` and return the whole body of the answer."""
    response = await pool.request(method, b"/", [], body)
    try:
        return await whole(response)
    finally:
        response.close()


async def whole(response: Response) -> bytes:
    body = b""
    while piece := await response.receive():
        body += piece
    return body


def waiting(**seconds: int) -> Timeouts:
    """Return the usual timeouts but for ``seconds``."""
    return Timeouts().model_copy(update=seconds)
