"""What swapd itself answers on a model route, in whatever form its client can still be told."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from hypercorn.typing import HTTPScope

from swapd.errors import RequestError
from swapd.ids import Header
from swapd.web.client import Client
from swapd.web.errors import BUG, METHOD_NOT_ALLOWED, Problem, problem_of
from swapd.web.manner import Manner
from swapd.web.request_log import ID_HEADER, asked, request_id, settle

_log = logging.getLogger("swapd.http")


async def show(error: RequestError, client: Client, manner: Manner) -> None:
    """Tell ``client`` what went wrong, in whatever form it can still be told."""
    await tell(problem_of(error), client, manner)


async def show_bug(client: Client, manner: Manner) -> None:
    """Tell ``client`` that it is not to blame, if it can still be told."""
    await tell(BUG, client, manner)


async def tell(problem: Problem, client: Client, manner: Manner) -> None:
    """Answer with ``problem``; end an answer that has begun with it, so that it looks broken."""
    settle(client.scope, problem.kind.status, problem.message)
    if not client.began:
        body = manner.body(problem)
        named = (ID_HEADER, request_id(client.scope).encode())
        headers = (*problem.headers, named)
        await answer(client, problem.kind.status, manner.form.value, body, headers)
        return
    if client.takes_events:
        await client.write(manner.event(problem, client.last_piece))
    await client.abort()


async def refuse_method(client: Client, methods: Iterable[str]) -> None:
    """Tell ``client`` by which ``methods`` alone this route can be asked."""
    message = f"{asked(client.scope)}: method not allowed"
    allow = (b"allow", ", ".join(methods).encode())
    await tell(Problem(message, METHOD_NOT_ALLOWED, (allow,)), client, Manner.of(client.scope))


@asynccontextmanager
async def telling(scope: HTTPScope, client: Client) -> AsyncIterator[None]:
    """Tell ``client`` of whatever fails in the block."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  whatever it is, its client is told of it
        await tell_of(error, scope, client)


async def tell_of(error: Exception, scope: HTTPScope, client: Client) -> None:
    """Tell ``client`` of ``error``, whatever it is."""
    if isinstance(error, RequestError):
        await show(error, client, Manner.of(scope))
    else:
        _log.error("request %s failed for a bug", request_id(scope), exc_info=error)
        await show_bug(client, Manner.of(scope))


async def redirect(client: Client, status: int, location: bytes) -> None:
    """Send ``client`` to another path of swapd."""
    # Browsers take a backslash for a slash, and two slashes for the name of another host.
    headers = [(b"location", location.replace(b"\\", b"%5C")), (b"content-length", b"0")]
    await client.begin(status, headers)
    await client.finish()


async def answer(
    client: Client, status: int, content_type: str, body: bytes, headers: Sequence[Header] = ()
) -> None:
    """Send a whole answer."""
    content = (b"content-type", content_type.encode())
    length = (b"content-length", b"%d" % len(body))
    await client.begin(status, [content, length, *headers])
    await client.write(body)
    await client.finish()
