"""Asks a model's server for its metrics, in bounded time and size.

It is asked behind the queue's back: that holds no model, starts none, and keeps none from idling.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from swapd.config.models import Model
from swapd.errors import SwapdError
from swapd.telemetry.metrics.merging import Shown
from swapd.upstream.http1 import Pool

#: Seconds that a server has.
PATIENCE = 2.0

#: The most that one server may show.
MOST_BYTES = 4 * 1024 * 1024

_HEADERS = (
    (b"accept", b"text/plain;version=0.0.4"),
    (b"accept-encoding", b"identity"),
    (b"connection", b"close"),
)


class _Unusable(SwapdError):
    """The server answers, and not with its metrics."""


async def ask(model: Model, show: Callable[[Shown], None]) -> None:
    """Show what the server of ``model`` shows, or why it shows nothing."""
    shown = Shown(model.id, None, f"does not answer within {PATIENCE:g} s")
    with trio.move_on_after(PATIENCE):
        try:
            text = (await _fetch(model)).decode(errors="replace")
        except SwapdError as error:
            shown = Shown(model.id, None, str(error))
        else:
            shown = Shown(model.id, text)
    show(shown)


async def _fetch(model: Model) -> bytes:
    pool = Pool(model.proxy, max_idle=0)  # of its own: one that hangs is no loss
    response = await pool.request(b"GET", b"/metrics", _HEADERS, b"")
    try:
        if response.status != 200:
            hint = " (llama-server needs --metrics)" if response.status == 501 else ""
            raise _Unusable(f"its server answers /metrics with status {response.status}{hint}")
        if any(
            name == b"content-encoding" and value != b"identity" for name, value in response.headers
        ):
            raise _Unusable("its server compresses its metrics, which it was not asked to do")
        body = bytearray()
        while piece := await response.receive():
            body += piece
            if len(body) > MOST_BYTES:
                raise _Unusable(f"its server shows more than {MOST_BYTES} bytes")
    finally:
        response.close()
    return bytes(body)
