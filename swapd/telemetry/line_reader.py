"""The lines of all logs as they come, each with its source, for one who listens.

Rule 1: who reads too slowly loses the oldest of what waits, and is told how many bytes that was.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Self

import trio

from swapd.telemetry.line_splitter import LineSplitter

#: How much may wait for one who reads.
LAG_BYTES = 256 * 1024

#: The longest that is waited with for the end of its line.
LINE_CHARS = 8 * 1024

#: How many lines are told at once.
_MOST = 256


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of one source, without their ends; ``missed`` bytes of any are missing before them."""

    source: str
    lines: tuple[str, ...]
    missed: int = 0


class LineReader:
    """Whole lines of all sources: an async iterator."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._sources: dict[str, LineSplitter] = {}
        self._waiting: deque[tuple[str, str]] = deque()
        self._size = 0
        self._missed = 0
        self._news = trio.Event()

    def tell(self, piece: tuple[str, bytes]) -> None:
        """Take a piece of a source's log.  Never blocks."""
        source, data = piece
        if source not in self._sources:
            self._sources[source] = LineSplitter(LINE_CHARS)
        for line in self._sources[source].take(data):
            self._waiting.append((source, line))
            self._size += _bytes_of(line)
        while self._size > LAG_BYTES:
            size = _bytes_of(self._waiting.popleft()[1])
            self._size -= size
            self._missed += size
        if self._waiting:
            self._news.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Lines:
        """Wait for lines, and return those of one source that follow each other."""
        while not self._waiting:
            self._news = trio.Event()
            await self._news.wait()
        source, lines = self._waiting[0][0], list[str]()
        while self._waiting and self._waiting[0][0] == source and len(lines) < _MOST:
            lines.append(self._waiting.popleft()[1])
            self._size -= _bytes_of(lines[-1])
        missed, self._missed = self._missed, 0
        return Lines(source, tuple(lines), missed)


def _bytes_of(line: str) -> int:
    """Return how many bytes ``line`` has, with its end."""
    return (len(line) if line.isascii() else len(line.encode())) + 1
