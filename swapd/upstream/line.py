"""A connection as a Trio stream, for the websocket client, with an eye on how it begins."""

from __future__ import annotations

import re

import trio

from swapd.upstream.wire import Socket

_RECEIVE_BYTES = 64 * 1024

#: The most that is given to the kernel at once.
_SEND_BYTES = 256 * 1024

_LONG_ENOUGH = len(b"HTTP/1.1 101")
_SWITCHES = re.compile(rb"HTTP/1\.[01] 101")


class Line(trio.abc.Stream):
    """One connection, read by one task and written by one.

    What does not begin with 101 is no websocket: its reader never gets to see it.
    """

    def __init__(self, connected: Socket) -> None:
        """Own ``connected``, which must not block."""
        self.socket = connected
        #: How many bytes the kernel took so far.
        self.taken = 0
        #: Set when it shows what the server answers to the handshake.
        self.decided = trio.Event()
        #: What came in the place of a websocket, as far as it was read; None if one came.
        self.answer: bytes | None = None
        #: Set when there is nothing more to come.
        self.ended = trio.Event()
        self._waits_since: float | None = None
        self._closed = False

    @property
    def silent_for(self) -> float:
        """Return for how many seconds we have listened and heard nothing."""
        return 0.0 if self._waits_since is None else trio.current_time() - self._waits_since

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of ``data``; waits for as long as the server does not read."""
        left = memoryview(data)
        await trio.lowlevel.checkpoint()
        while left:
            try:
                sent = self.socket.send(left[:_SEND_BYTES])
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self.socket)
            except OSError as error:
                raise trio.BrokenResourceError from error
            else:
                self.taken += sent
                left = left[sent:]

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until something can be sent."""
        await trio.lowlevel.wait_writable(self.socket)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return what comes next; empty at the end."""
        if not self.decided.is_set():
            return await self._receive_answer()
        try:
            data = await self._receive()
        except OSError as error:
            self.ended.set()
            raise trio.BrokenResourceError from error
        if not data:
            self.ended.set()
        return data

    async def aclose(self) -> None:
        """Close at once."""
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """Close at once.  Closing again does nothing."""
        if not self._closed:
            self._closed = True
            self.ended.set()
            trio.lowlevel.notify_closing(self.socket)
            self.socket.close()

    async def _receive_answer(self) -> bytes:
        answer = b""
        try:
            while len(answer) < _LONG_ENOUGH and (data := await self._receive()):
                answer += data
        except OSError:
            pass  # who reads on will meet it again
        if not _SWITCHES.match(answer):
            self.answer = answer
        self.decided.set()
        if self.answer is not None:
            await trio.sleep_forever()
        return answer

    async def _receive(self) -> bytes:
        await trio.lowlevel.checkpoint()
        try:
            while True:
                try:
                    return self.socket.recv(_RECEIVE_BYTES)
                except BlockingIOError:
                    if self._waits_since is None:
                        self._waits_since = trio.current_time()
                    await trio.lowlevel.wait_readable(self.socket)
        finally:
            self._waits_since = None
