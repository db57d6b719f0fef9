"""Files without a name: they are gone when they are closed, or when swapd ends in whatever way.

All calls may wait for a disk, so all but ``close`` belong into a thread.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from swapd.errors import BodyNotKept


def folder() -> str:
    """Return where such files are: ``TMPDIR``, or else where temporary files may be large.

    ``/tmp`` is memory on many a system, which is just what they are to save.
    """
    if "TMPDIR" not in os.environ and os.access("/var/tmp", os.W_OK | os.X_OK):
        return "/var/tmp"
    return tempfile.gettempdir()


class NamelessFile:
    """One such file, which only grows."""

    __slots__ = ("_file", "_folder", "size")

    def __init__(self) -> None:
        """Open an empty one.

        Raises:
          BodyNotKept: It cannot be opened.
        """
        self._folder = folder()
        self.size = 0
        try:
            self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115
        except OSError as error:
            raise _not_kept(self._folder, error) from error

    def append(self, data: bytes | bytearray) -> None:
        """Write all of ``data`` at the end.

        Raises:
          BodyNotKept: The disk is full, or broken.
        """
        left = memoryview(data)
        try:
            while left:
                written = os.pwrite(self._file.fileno(), left, self.size)
                self.size += written
                left = left[written:]
        except OSError as error:
            raise _not_kept(self._folder, error) from error

    def read(self, start: int, size: int) -> bytes:
        """Return ``size`` bytes from ``start`` on, which must be there; maybe fewer, never none.

        Raises:
          BodyNotKept: The disk is broken.
        """
        try:
            data = os.pread(self._file.fileno(), size, start)
        except OSError as error:
            raise _not_kept(self._folder, error) from error
        if not data:
            raise BodyNotKept(f"the request's body in {self._folder} became shorter")
        return data

    @contextmanager
    def mapped(self, size: int) -> Iterator[mmap.mmap]:
        """Give a view of the first ``size`` bytes for the length of the block."""
        with mmap.mmap(self._file.fileno(), size, access=mmap.ACCESS_READ) as view:
            yield view

    def close(self) -> None:
        """Let the system forget it.  Closing again does nothing."""
        self._file.close()


def _not_kept(where: str, error: OSError) -> BodyNotKept:
    why = error.strerror or str(error)
    return BodyNotKept(
        f"the request's body cannot be kept in {where}: {why[:1].lower()}{why[1:]}; make room "
        "there, or set TMPDIR to a folder with more"
    )


class Files:
    """The nameless files of one request, to be closed together."""

    __slots__ = ("_opened",)

    def __init__(self) -> None:
        self._opened: list[NamelessFile] = []

    def open(self) -> NamelessFile:
        """Open one more.

        Raises:
          BodyNotKept: It cannot be opened.
        """
        file = NamelessFile()
        self._opened.append(file)
        return file

    def close(self) -> None:
        """Close all that were opened."""
        while self._opened:
            self._opened.pop().close()
