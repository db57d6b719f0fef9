"""What swapd itself answers on a model route, in whatever form its client can still be told."""

from __future__ import annotations

from collections.abc import Sequence

from swapd.errors import RequestError
from swapd.web.connection import Client
from swapd.web.errors import BUG, Header, Problem, problem_of
from swapd.web.manner import Manner
from swapd.web.request_log import note


async def show(error: RequestError, client: Client, manner: Manner) -> None:
    """Tell ``client`` what went wrong, in whatever form it can still be told."""
    await tell(problem_of(error), client, manner)


async def show_bug(client: Client, manner: Manner) -> None:
    """Tell ``client`` that it is not to blame, if it can still be told."""
    await tell(BUG, client, manner)


async def tell(problem: Problem, client: Client, manner: Manner) -> None:
    """Answer with ``problem``; end an answer that has begun with it, so that it looks broken."""
    note(manner.asked, problem.kind.status, problem.message)
    if not client.began:
        body = manner.body(problem)
        await answer(client, problem.kind.status, manner.form.value, body, problem.headers)
        return
    if client.takes_events:
        await client.write(manner.event(problem, client.last_piece))
    await client.abort()


async def answer(
    client: Client, status: int, content_type: str, body: bytes, headers: Sequence[Header] = ()
) -> None:
    """Send a whole answer."""
    content = (b"content-type", content_type.encode())
    length = (b"content-length", b"%d" % len(body))
    await client.begin(status, [content, length, *headers])
    await client.write(body)
    await client.finish()
