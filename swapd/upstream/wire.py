"""Moves bytes over one connection to a server.  Knows no HTTP.

Rule 1: sending never waits.  What does not fit into the socket goes out while ``receive``
    waits, so a server that answers before it has read everything can never deadlock us.
Rule 2: the socket is tried first and waited for only when it would block: a wait costs four
    times as much as the system call that it saves.  A receive that took all there was is such a
    try: the next one waits.
"""

from __future__ import annotations

import select
import socket
from typing import Protocol

import trio

_RECEIVE_BYTES = 64 * 1024

#: The most that is given to the kernel before other tasks may run again.
_SEND_BYTES = 1024 * 1024

#: A server that is always faster than we are must not starve the other tasks: after so many
#: receives that did not wait, one yields.
_RECEIVES_PER_YIELD = 16


class Source(Protocol):
    """What is to be sent, piece by piece."""

    async def read(self) -> bytes | memoryview:
        """Return the next piece; empty at the end."""


class Socket(Protocol):
    """What is needed of a socket: it does not block, and says so by ``BlockingIOError``."""

    def fileno(self) -> int: ...

    def send(self, data: memoryview, /) -> int: ...

    def recv(self, size: int, flags: int = 0, /) -> bytes: ...

    def close(self) -> None: ...


class Wire:
    """One connected socket, used by one task at a time."""

    __slots__ = (
        "_closed",
        "_may_have_more",
        "_poll",
        "_receives",
        "_refused",
        "_rest",
        "_socket",
        "_unsent",
        "taken",
    )

    def __init__(self, connected: Socket) -> None:
        """Own ``connected``, which must not block."""
        self._socket = connected
        self._unsent: list[memoryview] = []
        self._rest: Source | None = None
        self._poll: select.poll | None = None  # until it is used again: most of many are used once
        self._receives = 0
        self._may_have_more = False
        self._refused = False
        self._closed = False
        #: How many bytes the kernel took so far; of any others the server has not read one.
        self.taken = 0

    @property
    def sent(self) -> bool:
        """Tell whether the kernel took everything."""
        return not self._unsent and self._rest is None and not self._refused

    def send(self, *parts: bytes, rest: Source | None = None) -> None:
        """Give the kernel what it takes at once; what is left goes out while ``receive`` waits.

        Never fails: what a broken connection means depends on what there is to receive.

        Args:
          parts: What there is, in order.
          rest: What follows them, read when there is room for it.
        """
        self._unsent += [memoryview(part) for part in parts if part]
        self._rest = rest
        self._push()

    async def receive(self) -> bytes:
        """Wait for what the server sends next; empty at its end.

        Raises:
          OSError: The connection broke.
        """
        await self._yield_now_and_then()
        while True:
            if self._rest is not None and not self._unsent:
                await self._read_on(self._rest)
            if self._unsent:
                self._push()
            is_there_more_to_send = self._rest is not None and not self._unsent
            if self._may_have_more or is_there_more_to_send:
                try:
                    received = self._socket.recv(_RECEIVE_BYTES)
                except BlockingIOError:
                    pass
                else:
                    self._may_have_more = len(received) == _RECEIVE_BYTES
                    return received
            if not is_there_more_to_send:
                await self._wait()
                self._may_have_more = True

    async def flush(self) -> None:
        """Wait until the kernel took everything, or there is something to receive."""
        while not (self.sent or self._refused):
            if not self._unsent and self._rest is not None:
                await self._read_on(self._rest)
            elif await self._wait() and not self.is_quiet():
                return
            self._push()

    def is_quiet(self) -> bool:
        """Tell whether nothing came while nobody listened: no end, no stray bytes."""
        if isinstance(self._socket, socket.socket):  # a poll costs a quarter of what an error costs
            if self._poll is None:
                self._poll = select.poll()
                self._poll.register(self._socket, select.POLLIN)
            return not self._poll.poll(0)
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """Close at once.  Closing again does nothing."""
        if not self._closed:
            self._closed = True
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()

    async def _read_on(self, rest: Source) -> None:
        if piece := await rest.read():
            self._unsent.append(memoryview(piece))
        else:
            self._rest = None

    def _push(self) -> None:
        room = _SEND_BYTES
        try:
            while self._unsent and room > 0:
                first = self._unsent[0]
                sent = self._socket.send(first if len(first) <= room else first[:room])
                room -= sent
                self.taken += sent
                if sent == len(first):
                    del self._unsent[0]
                else:
                    self._unsent[0] = first[sent:]
        except BlockingIOError:
            return
        except OSError:
            # It takes no more.  It may have answered before (a 413, say): receive will tell.
            self._refused = True
            self._unsent.clear()
            self._rest = None

    async def _yield_now_and_then(self) -> None:
        self._receives += 1
        if self._receives % _RECEIVES_PER_YIELD:
            await trio.lowlevel.checkpoint_if_cancelled()
        else:
            await trio.lowlevel.checkpoint()

    async def _wait(self) -> bool:
        """Wait until something can be received or sent; tell whether it was the first."""
        if not self._unsent:
            await trio.lowlevel.wait_readable(self._socket)
            return True
        is_readable = False
        async with trio.open_nursery() as nursery:

            async def wait_writable() -> None:
                await trio.lowlevel.wait_writable(self._socket)
                nursery.cancel_scope.cancel(reason="writable")

            nursery.start_soon(wait_writable)
            await trio.lowlevel.wait_readable(self._socket)
            is_readable = True
            nursery.cancel_scope.cancel(reason="readable")
        return is_readable
