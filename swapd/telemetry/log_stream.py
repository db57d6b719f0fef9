"""One log as it grows: its newest part, and what comes, for all who listen.

Rule 1: not a byte is lost between what was kept and what comes.
Rule 2: writing never waits: who reads too slowly loses the oldest of what waits for it, and finds
    in its place how many bytes it missed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import trio

from swapd.telemetry.ring import Ring

#: How much of a log is kept.
HISTORY_BYTES = 100 * 1024

#: How much may wait for one who reads it.
LAG_BYTES = 256 * 1024

#: The largest piece that a reader is given.
_PIECE_BYTES = 64 * 1024


class LogReader:
    """A log from one moment on: an async iterator of pieces, which may end amid a line.

    They may end amid a character, too: decode them by ``codecs.getincrementaldecoder("utf-8")``.
    """

    def __init__(self, begun: bytes) -> None:
        """Begin with ``begun``; made by ``LogStream.subscribe``."""
        self._pieces = deque([begun] if begun else [])
        self._size = len(begun)
        self._missed = 0
        self._over = False
        self._news = trio.Event()

    def tell(self, data: bytes) -> None:
        """Queue ``data``, at the cost of the oldest (rule 2)."""
        self._pieces.append(data)
        self._size += len(data)
        while self._size > LAG_BYTES:
            oldest = self._pieces.popleft()
            self._size -= len(oldest)
            self._missed += len(oldest)
        self._news.set()

    def close(self) -> None:
        """End after what is queued."""
        self._over = True
        self._news.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """Wait for more, and return as much as there is of it."""
        await trio.lowlevel.checkpoint()
        while not self._pieces and not self._missed:
            if self._over:
                raise StopAsyncIteration
            self._news = trio.Event()
            await self._news.wait()
        # Who is too slow all the time must not be told of nothing but that.
        missed, self._missed = self._missed, 0
        return (_gap(missed) if missed else b"") + self._take()

    def _take(self) -> bytes:
        taken, size = [], 0
        while self._pieces and (not size or size + len(self._pieces[0]) <= _PIECE_BYTES):
            taken.append(self._pieces.popleft())
            size += len(taken[-1])
        self._size -= size
        return b"".join(taken)


class LogStream:
    """One log: ``with log.subscribe() as pieces: async for piece in pieces: …``."""

    def __init__(self) -> None:
        """Begin with an empty log."""
        self._kept = Ring(HISTORY_BYTES)
        self._readers: set[LogReader] = set()
        self._is_closed = False

    def write(self, data: bytes) -> None:
        """Add ``data``.  Never waits; only Trio's thread may write what is being read."""
        self._kept.write(data)
        for reader in self._readers:
            reader.tell(data)

    def history(self) -> bytes:
        """Return the newest 100 KiB, as they were written."""
        return self._kept.read()

    @contextmanager
    def subscribe(self, *, history: bool = True) -> Iterator[LogReader]:
        """Listen for the length of the block, to what comes, after what is kept if ``history``.

        What was read ends when the log is closed, which is when swapd begins to end.
        """
        reader = LogReader(self._kept.read() if history else b"")
        if self._is_closed:
            reader.close()
        self._readers.add(reader)
        try:
            yield reader
        finally:
            self._readers.discard(reader)

    def close(self) -> None:
        """End what is being read, after what was written so far; writing goes on."""
        self._is_closed = True
        for reader in self._readers:
            reader.close()


def _gap(missed: int) -> bytes:
    return f"\n— {missed} bytes dropped —\n".encode()
