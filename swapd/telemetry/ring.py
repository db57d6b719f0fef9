"""The newest bytes of an endless stream, and no more than that."""

from __future__ import annotations

from collections import deque


class Ring:
    """Keeps the last ``limit_bytes`` that were written."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._chunks: deque[bytes] = deque()
        self._size = 0

    def write(self, data: bytes) -> None:
        """Keep ``data``, at the cost of the oldest."""
        data = data[-self._limit :]
        self._chunks.append(data)
        self._size += len(data)
        while self._size - len(self._chunks[0]) >= self._limit:
            self._size -= len(self._chunks.popleft())

    def clear(self) -> None:
        """Forget everything."""
        self._chunks.clear()
        self._size = 0

    def read(self) -> bytes:
        """Return what is kept, oldest first."""
        return b"".join(self._chunks)[-self._limit :]
