"""What swapd itself answers on a model route, in whatever form its client can still be told."""

from __future__ import annotations

from swapd.errors import RequestError
from swapd.web.connection import Client
from swapd.web.errors import BUG, INTERNAL, UNAUTHORIZED, envelope, event, headers_of, kind_of


async def show(error: RequestError, client: Client) -> None:
    """Tell ``client`` what went wrong, in whatever form it can still be told."""
    if not client.began:
        kind = kind_of(error)
        await answer(client, kind.status, envelope(str(error), kind), headers_of(error))
        return
    if client.takes_events:
        await client.write(event(error))
    await client.abort()


async def show_bug(client: Client) -> None:
    """Tell ``client`` that it is not to blame, if it can still be told."""
    if client.began:
        await client.abort()
    else:
        await answer(client, INTERNAL.status, envelope(BUG, INTERNAL), [])


async def refuse_entry(client: Client) -> None:
    """Tell ``client`` that its key is missing or wrong."""
    body = envelope("invalid or missing API key", UNAUTHORIZED)
    await answer(client, 401, body, [(b"www-authenticate", b'Basic realm="swapd"')])


async def answer(
    client: Client, status: int, body: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    """Send a whole JSON answer."""
    length = (b"content-length", b"%d" % len(body))
    await client.begin(status, [(b"content-type", b"application/json"), length, *headers])
    await client.write(body)
    await client.finish()
