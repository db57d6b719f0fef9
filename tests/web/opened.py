"""Websockets through the whole web floor, for the tests of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from trio_websocket import (
    CloseReason,
    ConnectionClosed,
    ConnectionRejected,
    WebSocketConnection,
    wrap_client_stream,
)

from swapd.ids import Generation, ModelId
from swapd.policy.life import ModelState, Reason, Transition
from tests.upstream.websockets import (
    Talk,
    WebsocketServer,
    echo,
    websockets,
)
from tests.web.floor import Floor, floor
from tests.web.raw import Served

PATH = "/upstream/m/ws"
IGNORING = {"compat": {"ignoreWebsockets": True}}


@asynccontextmanager
async def talking(
    talk: Talk = echo, *, model: Mapping[str, object] | None = None, keys: Sequence[str] = ()
) -> AsyncIterator[tuple[Floor, WebsocketServer]]:
    """Serve model ``m``, on whose websockets ``talk`` is spoken."""
    async with (
        websockets(talk) as server,
        floor(model={"proxy": server.url, **(model or {})}, apiKeys=keys) as web,
    ):
        yield web, server


@asynccontextmanager
async def opened(
    served: Served, path: str = PATH, *subprotocols: str, headers: Mapping[str, str] | None = None
) -> AsyncIterator[WebSocketConnection]:
    """Open a websocket; it vanishes at the end of the block, if it was not closed."""
    async with await served.connect() as stream, trio.open_nursery() as nursery:
        extra = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        yield await wrap_client_stream(
            nursery,
            stream,
            "localhost",
            path,
            subprotocols=subprotocols,
            extra_headers=extra,
            max_message_size=2**27,
        )
        nursery.cancel_scope.cancel(reason="done")


async def refusal(
    served: Served, path: str = PATH, headers: Mapping[str, str] | None = None
) -> ConnectionRejected:
    """Return with what a handshake is refused."""
    refused = pytest.RaisesExc(ConnectionRejected)
    with pytest.RaisesGroup(refused, flatten_subgroups=True) as group:
        async with opened(served, path, headers=headers):
            pass
    (error,) = leaves(group.value)
    return error


def leaves(group: BaseException) -> list[ConnectionRejected]:
    if isinstance(group, BaseExceptionGroup):
        return [leaf for part in group.exceptions for leaf in leaves(part)]
    assert isinstance(group, ConnectionRejected)
    return [group]


async def farewell(websocket: WebSocketConnection) -> CloseReason:
    """Return how the other side leaves, behind whatever it still says."""
    with suppress(ConnectionClosed):
        while True:
            await websocket.get_message()
    assert websocket.closed is not None
    return websocket.closed


def become(web: Floor, state: ModelState) -> None:
    web.lifecycle.publish(
        Transition(ModelId("m"), ModelState.STOPPED, state, Reason.REQUEST, Generation(1))
    )
