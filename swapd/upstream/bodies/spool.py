"""Collects a body as it comes: a small one in memory, a large one in a file without a name.

Rule 1: nothing waits for a disk but the one who brings the next piece, so the client is not
    read faster than the disk writes, and no other task is held up.
Rule 2: a file is written in big pieces, for each costs a change to another thread and back.
Rule 3: a file is not closed while a thread writes to it, which would write into whatever the system
    opens next.  The one who gives a body up need not be the one who brings it.
"""

from __future__ import annotations

import trio

from swapd.errors import BodyTooLarge
from swapd.upstream.bodies.body import PIECE_BYTES, Body, Stretch
from swapd.upstream.bodies.nameless import Files, NamelessFile

#: The largest body that is held in memory.
HELD_BYTES = 64 * 1024 * 1024


class Spool:
    """One body on its way in."""

    def __init__(self, max_bytes: int, files: Files | None = None) -> None:
        """Take ``max_bytes`` at most, of which 0 is no limit; put large bodies into ``files``."""
        self._max_bytes = max_bytes
        self._files = Files() if files is None else files
        self._pending = bytearray()
        self._size = 0
        self._is_large = False
        self._file: NamelessFile | None = None
        self._is_writing = False
        self._is_discarded = False

    def expect(self, length: int) -> None:
        """Prepare for a body of ``length``.

        Raises:
          BodyTooLarge: It will be.
        """
        self._check(length)
        self._is_large = length > HELD_BYTES

    async def take(self, piece: bytes) -> None:
        """Take the next piece; nothing becomes of it if all was discarded.

        Raises:
          BodyTooLarge: With it, the body is.
          BodyNotKept: The disk is full, or broken.
        """
        if self._is_discarded:
            return
        self._size += len(piece)
        self._check(self._size)
        self._pending += piece
        self._is_large = self._is_large or self._size > HELD_BYTES
        if self._is_large and len(self._pending) >= PIECE_BYTES:
            await self._flush()

    async def finish(self, last: bytes = b"") -> Body:
        """Take the ``last`` piece; return all that was taken as one body, and hold it no more.

        Raises:
          BodyTooLarge: With its last piece, it is.
          BodyNotKept: The disk is full, or broken.
        """
        if not self._size and len(last) <= HELD_BYTES:  # as most are
            self._check(len(last))
            return Body(last, files=self._files)
        await self.take(last)
        if self._is_large and self._pending:
            await self._flush()
        if self._file is not None:
            return Body(Stretch(self._file, 0, self._size), files=self._files)
        held = bytes(self._pending)
        self._pending = bytearray()
        return Body(held, files=self._files)

    def discard(self) -> None:
        """Forget what was taken.  Doing so again does nothing."""
        self._pending = bytearray()
        self._is_discarded = True
        if not self._is_writing:  # rule 3
            self._files.close()

    def _check(self, size: int) -> None:
        if self._max_bytes and size > self._max_bytes:
            raise BodyTooLarge(f"the body is larger than {self._max_bytes} bytes (server.maxBody)")

    async def _flush(self) -> None:
        data, self._pending = self._pending, bytearray()
        self._is_writing = True
        try:
            await trio.to_thread.run_sync(self._write, data)
        finally:
            self._is_writing = False
            if self._is_discarded:
                self._files.close()

    def _write(self, data: bytearray) -> None:
        if self._file is None:
            self._file = self._files.open()
        self._file.append(data)
