"""The newest bytes of an endless stream, and no more than that."""

from __future__ import annotations

#: How far into what is kept its first whole line, or character, is looked for.
_BEGINNING = 4096


class Ring:
    """Keeps the last ``limit_bytes`` that were written, however small the pieces."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._kept = bytearray()
        self._is_whole = True

    def write(self, data: bytes) -> None:
        """Keep ``data``, at the cost of the oldest."""
        self._kept += data
        if len(self._kept) > self._limit:
            del self._kept[: -self._limit]
            self._is_whole = False

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self._is_whole = True

    def read(self) -> bytes:
        """Return what is kept, oldest first; what was cut begins with a whole line if it can."""
        if self._is_whole:
            return bytes(self._kept)
        return bytes(self._kept[self._beginning() :])

    def _beginning(self) -> int:
        line = self._kept.find(b"\n", 0, _BEGINNING) + 1
        if line:
            return line
        # No line, but a character: what it begins with in UTF-8 is not 0b10xxxxxx.
        return next((at for at, byte in enumerate(self._kept[:3]) if byte & 0xC0 != 0x80), 0)
