"""Writes what is logged to a descriptor, and has nobody wait for who reads it there.

A terminal that was stopped by Ctrl-S, or a pipe that nobody reads, takes nothing for as long as it
likes.  So a thread of its own writes, and what it cannot write in time is dropped and counted.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from types import TracebackType
from typing import Self

#: How much may wait to be written.
_LAG_BYTES = 1024 * 1024

#: How much is written at once: what waits is not made one piece, which would stay this thread's.
_PIECE_BYTES = 64 * 1024

#: Seconds between two writes: what comes meanwhile is written at once.
_PAUSE = 0.02

#: Seconds that are left at the end for what still waits.
_FAREWELL = 1.0


class Output:
    """Writes to a descriptor, for the length of the block."""

    def __init__(self, descriptor: int) -> None:
        """Write to ``descriptor``, which stays open."""
        self._descriptor = descriptor
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._missed = 0
        self._is_broken = False
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log output", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end.set()
        self._news.set()
        self._thread.join(_FAREWELL)

    def write(self, data: bytes) -> None:
        """Have ``data`` written soon.  Never waits; may be called in any thread."""
        with self._lock:
            self._waiting.append(data)
            self._size += len(data)
            while self._size > _LAG_BYTES:
                oldest = self._waiting.popleft()
                self._size -= len(oldest)
                self._missed += len(oldest)
        if not self._news.is_set():  # who clears it takes what is there only then
            self._news.set()

    def _run(self) -> None:
        while not self._is_broken:
            self._news.wait()
            self._news.clear()
            is_last = self._end.is_set()
            while not self._is_broken and (piece := self._taken()):
                self._write(piece)
            if is_last:
                return
            self._end.wait(_PAUSE)

    def _taken(self) -> bytes:
        taken, size = [], 0
        with self._lock:
            missed, self._missed = self._missed, 0
            while self._waiting and (not size or size + len(self._waiting[0]) <= _PIECE_BYTES):
                taken.append(self._waiting.popleft())
                size += len(taken[-1])
            self._size -= size
        if missed:
            taken.insert(0, f"\n— {missed} bytes dropped —\n".encode())
        return b"".join(taken)

    def _write(self, data: bytes) -> None:
        try:
            while data:
                data = data[self._write_some(data) :]
        except OSError:  # nobody reads any more: swapd goes on without
            self._is_broken = True

    def _write_some(self, data: bytes) -> int:
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:  # another program that shares it has made it so
            select.select([], [self._descriptor], [], _PAUSE)
            return 0
