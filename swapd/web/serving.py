"""Serves an app with Hypercorn, until it shall end."""

from __future__ import annotations

import logging
from functools import partial

import trio
from hypercorn.trio import serve as serve_with_hypercorn
from hypercorn.trio.tcp_server import MAX_RECV
from quart import Quart

from swapd.web import limits
from swapd.web.capacity import connections_at_once
from swapd.web.connections import Connections, WatchedConfig
from swapd.web.limits import Patience
from swapd.web.listener import BACKLOG, Listener
from swapd.web.transport import install

#: What clients get if nobody says otherwise.
PATIENCE = Patience()

#: Seconds after our own cut at which Hypercorn gives up too.
_BACKSTOP = 0.3


async def serve(
    app: Quart,
    listener: Listener,
    *,
    grace: float,
    closing: trio.Event,
    hurry: trio.Event,
    patience: Patience = PATIENCE,
    most: int | None = None,
    is_fast: bool = True,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve ``app`` on ``listener``, which is ours from now on, until ``closing``.

    Then no more is accepted and idle connections are closed; requests that run may finish
    within ``grace`` seconds.  What remains after that, or as soon as ``hurry`` is set, is cut,
    whatever its client does or does not read.

    A client that closes its sending half is taken to have left, as one cannot be told from the
    other in time: its request is cancelled.

    Args:
      app: Whatever it streams without end, it must end itself when ``closing`` is set, or the
        grace passes in vain.
      listener: As from ``bind``.
      grace: In seconds.
      closing: Set once, when the end begins.
      hurry: Set when the end cannot wait; before ``closing`` it does nothing.
      patience: How long a client is waited for.
      most: Connections at once; by default as many as this process has descriptors for.
      is_fast: Whether plain requests are served without h11.
      task_status: Started when requests are served.

    Raises:
      CannotStart: The Hypercorn that is installed is not one that we know.
    """
    connections = Connections(most or connections_at_once())
    config = _configure(listener, connections, patience, grace=grace)
    config.is_fast = is_fast
    install(config)
    end = partial(_begin_end, closing, listener, connections)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connections.watch)
        nursery.start_soon(_cut_in_time, connections, grace, closing, hurry)
        async with trio.open_nursery() as http:
            await http.start(partial(serve_with_hypercorn, app, config, shutdown_trigger=end))
            task_status.started()
        nursery.cancel_scope.cancel(reason="served")


async def _begin_end(closing: trio.Event, listener: Listener, connections: Connections) -> None:
    """Wait for the end; when it comes, or when cancelled, begin it."""
    try:
        await closing.wait()
    finally:
        listener.retire()
        connections.close_idle()


async def _cut_in_time(
    connections: Connections, grace: float, closing: trio.Event, hurry: trio.Event
) -> None:
    """Cut what is left when the grace is over; when cancelled, at once."""
    try:
        await closing.wait()
        with trio.move_on_after(grace):
            await hurry.wait()
    finally:
        connections.cut_all()


def _configure(
    listener: Listener, connections: Connections, patience: Patience, *, grace: float
) -> WatchedConfig:
    """Return Hypercorn's settings: each of its defaults that hurts long answers is changed."""
    config = WatchedConfig()
    config.connections = connections
    config.taken = listener.socket
    config.certificate = listener.certificate
    config.patience = patience
    config.backlog = BACKLOG  # it calls listen() once more
    config.errorlog = _error_log()
    config.accesslog = None  # web/access_log.py knows more of each request
    config.graceful_timeout = grace + _BACKSTOP
    config.keep_alive_max_requests = 10**9  # closing a good connection helps nobody
    config.read_timeout = None  # it would fire while an answer streams, and cut it
    config.h11_max_incomplete_size = limits.HEAD_BYTES + MAX_RECV  # our own limit comes first
    config.max_app_queue_size = 10  # of 64 KiB each: an upload that nobody reads stops there
    config.websocket_max_message_size = limits.WEBSOCKET_MESSAGE_BYTES
    config.websocket_ping_interval = limits.PING_EVERY
    config.include_server_header = False  # the upstream sent its own; twice is wrong
    config.include_date_header = False
    return config


def _error_log() -> logging.Logger:
    """Return the logger of what goes wrong in Hypercorn; the rest of its talk is dropped."""
    log = logging.getLogger("swapd.http")
    log.setLevel(logging.ERROR)
    return log
