"""Websocket frames as they come, one by one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

PING = 9


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, with what it says."""

    kind: int
    is_last: bool
    payload: bytes


class Frames:
    """What one side says."""

    def __init__(self, receive: Callable[[], Awaitable[bytes]]) -> None:
        self._receive = receive
        self._buffer = b""

    async def take(self) -> Frame:
        """Return the next one."""
        first, second = await self._read(2)
        size = second & 0x7F
        if size > 125:
            size = int.from_bytes(await self._read(2 if size == 126 else 8), "big")
        mask = await self._read(4) if second & 0x80 else bytes(4)
        repeated = (mask * (size // 4 + 1))[:size]
        plain = int.from_bytes(await self._read(size), "big") ^ int.from_bytes(repeated, "big")
        return Frame(first & 0x0F, bool(first & 0x80), plain.to_bytes(size, "big"))

    async def _read(self, size: int) -> bytes:
        while len(self._buffer) < size:
            data = await self._receive()
            if not data:
                raise EOFError
            self._buffer += data
        read, self._buffer = self._buffer[:size], self._buffer[size:]
        return read
