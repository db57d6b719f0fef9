"""Has Hypercorn handle connections by our own classes: by the fast ones if it can."""

from __future__ import annotations

import logging
from typing import Any, cast

import h11
import hypercorn.protocol.h11
import hypercorn.trio.run
import trio
from hypercorn.config import Config
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.protocol.ws_stream import WSStream
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, LifespanState

from swapd.web.compatibility import check, why_not_fast
from swapd.web.connections import WatchedConfig
from swapd.web.live_connection import LiveConnection, Secure
from swapd.web.websocket_stream import WebsocketStream

_log = logging.getLogger("swapd")


def install(config: WatchedConfig) -> None:
    """Have Hypercorn handle what has a ``WatchedConfig`` by our own classes.

    ``serve()`` offers no way to choose, so its names for its own are bound anew, once for all.
    Where the fast transport does not fit this Hypercorn, ``config`` does without.

    Raises:
      CannotStart: This Hypercorn is not one that we know.
    """
    check(TCPServer, H11Protocol, h11.Connection, WSStream)
    if config.is_fast and (why := why_not_fast()):
        _log.warning("the fast transport is left out, the plain one serves: %s", why)
        config.is_fast = False
    vars(hypercorn.trio.run)["TCPServer"] = _connection_of
    vars(hypercorn.protocol.h11)["WSStream"] = _websocket_of


def _connection_of(
    app: AppWrapper,
    config: Config,
    context: WorkerContext,
    state: LifespanState,
    stream: trio.SocketStream,
) -> TCPServer:
    if not isinstance(config, WatchedConfig):
        return TCPServer(app, config, context, state, cast(Secure, stream))
    if not config.is_fast:
        return LiveConnection(app, config, context, state, stream)
    from swapd.web.fast_connection import FastConnection

    return FastConnection(app, config, context, state, stream)


def _websocket_of(app: AppWrapper, config: Config, *args: Any) -> WSStream:
    if isinstance(config, WatchedConfig):
        return WebsocketStream(app, config, *args)
    return WSStream(app, config, *args)
