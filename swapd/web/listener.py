"""Listens on an address and serves an app there with Hypercorn."""

from __future__ import annotations

import errno
import ipaddress
import logging
import os
import socket
from collections.abc import Mapping
from functools import partial

import trio
from hypercorn.trio import serve as serve_with_hypercorn
from quart import Quart

from swapd.errors import CannotStart
from swapd.web.connections import Connections, WatchedConfig, install

#: Connects that may wait to be accepted: a busy second must not cost a client its SYN.
_BACKLOG = 4096

#: Seconds after which a client that acknowledges nothing, or has not read a byte of what waits
#: for it, is taken for gone.
_VANISHED_AFTER = 300

#: Socket options that tell a silent client from a vanished one; not every system has each.
_TCP_OPTIONS: Mapping[str, int] = {
    "TCP_NODELAY": 1,
    "TCP_USER_TIMEOUT": _VANISHED_AFTER * 1000,  # milliseconds; Linux
    "TCP_KEEPIDLE": 60,  # a client that waits for its model says nothing either
    "TCP_KEEPALIVE": 60,  # the same on macOS
    "TCP_KEEPINTVL": 30,
    "TCP_KEEPCNT": 8,
}

#: Seconds for which an idle connection is kept, and for which a request's head may take.
KEEP_ALIVE = 75.0

#: Seconds after our own cut at which Hypercorn gives up too.
_BACKSTOP = 0.3

_MEBIBYTE = 1024 * 1024


def bind(address: str) -> socket.socket:
    """Listen on ``HOST:PORT``, ``[::1]:PORT`` or ``:PORT`` (every interface); port 0 is any.

    Raises:
      CannotStart: The address makes no sense, is taken, or is not ours to listen on.
    """
    host, port = _parse(address)
    try:
        listener = _open(host, port)
    except OSError as error:
        raise CannotStart(_why_not(address, error)) from error
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _TCP_OPTIONS.items():
        if hasattr(socket, name):
            listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return listener


def _parse(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    plain = host[1:-1] if bracketed else host
    is_port = port.isascii() and port.isdecimal() and int(port) <= 65535
    if not colon or not is_port or bracketed != (":" in plain):
        raise CannotStart(
            f"cannot listen on {address!r}: an address looks like 127.0.0.1:8080, [::1]:8080,"
            " or :8080 for every interface"
        )
    return plain, int(port)


def _open(host: str, port: int) -> socket.socket:
    if not host and socket.has_dualstack_ipv6():
        everywhere = ("::", port)
        return socket.create_server(
            everywhere, family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG
        )
    found = socket.getaddrinfo(
        host or "0.0.0.0", port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    family, _, _, _, where = found[0]
    return socket.create_server(where, family=family, backlog=_BACKLOG)


def _why_not(address: str, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"{address} is already in use; choose another with --listen HOST:PORT"
        case errno.EACCES:
            return (
                f"not allowed to listen on {address}: ports below 1024 are for the superuser;"
                " choose another with --listen HOST:PORT"
            )
        case errno.EADDRNOTAVAIL:
            return f"cannot listen on {address}: this machine has no such address"
        case _:
            reason = error.strerror or os.strerror(error.errno or 0)
            return f"cannot listen on {address}: {reason}"


def is_loopback(listener: socket.socket) -> bool:
    """Tell whether only this machine can reach ``listener``."""
    host: str = listener.getsockname()[0]
    return ipaddress.ip_address(host.partition("%")[0]).is_loopback


def url_of(listener: socket.socket) -> str:
    """Return a URL that reaches ``listener`` from this machine."""
    host, port = listener.getsockname()[:2]
    ip = ipaddress.ip_address(host.partition("%")[0])
    if ip.is_unspecified:
        return f"http://localhost:{port}"
    return f"http://[{host}]:{port}" if ip.version == 6 else f"http://{host}:{port}"


async def serve(
    app: Quart,
    listener: socket.socket,
    *,
    grace: float,
    closing: trio.Event,
    hurry: trio.Event,
    keep_alive: float = KEEP_ALIVE,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
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
      keep_alive: Seconds for which an idle connection is kept.
      task_status: Started with the URLs when requests are served.

    Raises:
      CannotStart: The Hypercorn that is installed is not one that we know.
    """
    install()
    connections = Connections()
    config = _configure(listener, connections, grace=grace, keep_alive=keep_alive)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connections.watch)
        nursery.start_soon(_cut_in_time, connections, grace, closing, hurry)
        async with trio.open_nursery() as http:
            urls: list[str] = await http.start(
                partial(serve_with_hypercorn, app, config, shutdown_trigger=closing.wait)
            )
            task_status.started(urls)
        nursery.cancel_scope.cancel(reason="served")


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
    listener: socket.socket, connections: Connections, *, grace: float, keep_alive: float
) -> WatchedConfig:
    """Return Hypercorn's settings: each of its defaults that hurts long answers is changed."""
    config = WatchedConfig()
    config.connections = connections
    config.bind = [f"fd://{listener.detach()}"]
    config.errorlog = _error_log()
    config.accesslog = None  # requests are logged where their model is known
    config.alpn_protocols = ["http/1.1"]  # its HTTP/2 has no backpressure
    config.graceful_timeout = grace + _BACKSTOP
    config.keep_alive_timeout = keep_alive  # 5 s would race with every client's idle pool
    config.keep_alive_max_requests = 10**9  # closing a good connection helps nobody
    config.read_timeout = None  # it would fire while an answer streams, and cut it
    config.h11_max_incomplete_size = 64 * 1024  # of a head: cookies and tokens are long
    config.max_app_queue_size = 10  # of 64 KiB each: an upload that nobody reads stops there
    config.websocket_max_message_size = 128 * _MEBIBYTE
    config.websocket_ping_interval = 20.0  # keeps what lies between us and a client awake
    config.include_server_header = False  # the upstream sent its own; twice is wrong
    config.include_date_header = False
    return config


def _error_log() -> logging.Logger:
    """Return the logger of what goes wrong in Hypercorn; the rest of its talk is dropped."""
    log = logging.getLogger("swapd.http")
    log.setLevel(logging.ERROR)
    return log
