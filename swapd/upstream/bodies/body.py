"""A request's body: in memory, or in a file without a name.  It can be sent more than once."""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import trio

from swapd.upstream.bodies.nameless import Files, NamelessFile

#: What is read of a file at a time.
PIECE_BYTES = 1024 * 1024

#: More edits than these are made in a copy, for to send each part on its own costs more.
_FEW_EDITS = 100


@dataclass(frozen=True, slots=True)
class Stretch:
    """What lies in ``file`` from ``start`` to before ``end``."""

    file: NamelessFile
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start


#: What is read of a body at a time.
Piece: TypeAlias = bytes | memoryview

#: A part of a body, wherever it is.
Part: TypeAlias = Piece | Stretch

#: All of a body that can be looked at as a whole.
Whole: TypeAlias = bytes | mmap.mmap


@dataclass(frozen=True, slots=True)
class Edit:
    """``new`` takes the place of what is from ``start`` to before ``end``."""

    start: int
    end: int
    new: bytes


def with_edits(data: bytes, edits: Iterable[Edit]) -> bytes:
    """Return ``data`` with ``edits`` made, which come in order, none overlapping another."""
    parts, at = [], 0
    for edit in edits:
        parts += [data[at : edit.start], edit.new]
        at = edit.end
    return b"".join([*parts, data[at:]])


class Body:
    """All of a request's body.  What is made of it lives in the same files, and ends with it."""

    __slots__ = ("_parts", "files", "length")

    def __init__(self, *parts: Part, files: Files | None = None) -> None:
        """Put ``parts``, of which some may be in ``files``, one behind the other."""
        self._parts = parts
        self.files = Files() if files is None else files
        #: In bytes.
        self.length = sum(map(len, parts))

    @property
    def held(self) -> bytes | None:
        """All of it, if it is in memory in one piece."""
        if len(self._parts) == 1:
            held = self._parts[0]
            return held if isinstance(held, bytes) else None
        return None if self._parts else b""

    def in_memory(self) -> bytes | None:
        """Return all of it, unless some lies in a file."""
        held = [part for part in self._parts if not isinstance(part, Stretch)]
        if len(held) < len(self._parts):
            return None
        return self.held if self.held is not None else b"".join(held)

    def reader(self) -> Reader:
        """Return what reads it once, from its beginning."""
        return Reader(self._parts)

    @contextmanager
    def whole(self) -> Iterator[Whole]:
        """Look at all of it for the length of the block, without reading it into memory.

        Nothing that refers to what is seen may outlive the block.
        """
        match self._parts:
            case ():
                yield b""
            case (bytes() as held,):
                yield held
            case (Stretch(file, 0, end),):
                with file.mapped(end) as mapped:
                    yield mapped
            case _:
                raise ValueError("a body in parts cannot be seen as a whole")

    def edited(self, edits: Sequence[Edit]) -> Body:
        """Return it with ``edits`` made.  Every other byte stays, and a large body where it is.

        Args:
          edits: In order, none overlapping another.
        """
        is_cheap = self.length <= PIECE_BYTES or len(edits) > _FEW_EDITS
        if self.held is not None and is_cheap:
            return Body(with_edits(self.held, edits), files=self.files)
        parts: list[Part] = []
        at = 0
        for edit in edits:
            parts += [*self._between(at, edit.start), edit.new]
            at = edit.end
        return Body(*parts, *self._between(at, self.length), files=self.files)

    def close(self) -> None:
        """Let go of its files.  Closing again does nothing."""
        self.files.close()

    def _between(self, start: int, end: int) -> Iterator[Part]:
        before = 0
        for part in self._parts:
            low, high = max(start - before, 0), min(end - before, len(part))
            if low < high:
                yield _cut(part, low, high)
            before += len(part)


def _cut(part: Part, low: int, high: int) -> Part:
    if isinstance(part, Stretch):
        return Stretch(part.file, part.start + low, part.start + high)
    return memoryview(part)[low:high]


class Reader:
    """Reads a body once, in pieces."""

    __slots__ = ("_at", "_parts")

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = list(reversed(parts))
        self._at = 0

    async def read(self) -> Piece:
        """Return the next piece; empty at the end.  What is in memory comes part by part.

        Raises:
          BodyNotKept: The disk does not give back what it was given.
        """
        while self._parts:
            part = self._parts[-1]
            if not isinstance(part, Stretch):
                self._parts.pop()
                if part:
                    return part
            elif self._at < len(part):
                start = part.start + self._at
                size = min(PIECE_BYTES, part.end - start)
                piece = await trio.to_thread.run_sync(part.file.read, start, size)
                self._at += len(piece)
                return piece
            else:
                self._parts.pop()
                self._at = 0
        return b""
