"""Bodies as they come: where they are kept, and how much of them at a time."""

from __future__ import annotations

import threading
import tracemalloc

import pytest
import trio

from swapd.errors import BodyNotKept, BodyTooLarge
from swapd.upstream.bodies.body import PIECE_BYTES
from swapd.upstream.bodies.nameless import Files, NamelessFile
from swapd.upstream.bodies.spool import HELD_BYTES, Spool
from tests.upstream.bodies.test_body import all_of
from tests.upstream.bodies.test_nameless import files_of_at_most

MEBIBYTE = 1024 * 1024


@pytest.mark.parametrize("pieces", [[], [b""], [b"one", b"", b" two"]])
async def test_a_small_body_stays_in_memory(pieces: list[bytes]) -> None:
    spool = Spool(0)
    for piece in pieces:
        await spool.take(piece)
    assert (await spool.finish()).held == b"".join(pieces)


async def test_a_body_of_just_the_size_stays_in_memory_and_a_larger_one_does_not() -> None:
    for size, is_held in ((HELD_BYTES, True), (HELD_BYTES + 1, False)):
        spool = Spool(0)
        for _ in range(64):
            await spool.take(b"x" * MEBIBYTE)
        await spool.take(b"x" * (size - HELD_BYTES))
        body = await spool.finish()
        assert (body.held is not None, body.length) == (is_held, size)
        body.close()


@pytest.mark.parametrize("announced", [0, HELD_BYTES + 70_000])
async def test_a_large_body_is_what_came(announced: int) -> None:
    pieces = [bytes([number % 256]) * 70_000 for number in range(HELD_BYTES // 70_000 + 2)]
    spool = Spool(0)
    spool.expect(announced)
    for piece in pieces:
        await spool.take(piece)
    body = await spool.finish()
    assert body.held is None
    with body.whole() as seen:
        assert seen[:] == b"".join(pieces)
    body.close()


async def test_an_announced_large_body_is_never_in_memory() -> None:
    spool = Spool(0)
    spool.expect(200 * MEBIBYTE)
    tracemalloc.start()
    for _ in range(200):
        await spool.take(b"x" * MEBIBYTE)
    body = await spool.finish()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert body.length == 200 * MEBIBYTE
    assert most < 8 * MEBIBYTE
    body.close()


async def test_a_body_beyond_the_limit_is_refused_as_soon_as_that_is_known() -> None:
    spool = Spool(10)
    with pytest.raises(BodyTooLarge, match="larger than 10 bytes"):
        spool.expect(11)
    spool.expect(10)
    await spool.take(b"x" * 10)
    with pytest.raises(BodyTooLarge):
        await spool.take(b"x")
    spool.discard()


async def test_a_full_disk_ends_the_taking() -> None:
    spool = Spool(0)
    spool.expect(HELD_BYTES + 1)
    with files_of_at_most(MEBIBYTE), pytest.raises(BodyNotKept):
        await spool.take(b"x" * 2 * MEBIBYTE)
    spool.discard()


async def test_what_a_body_is_made_of_ends_with_it() -> None:
    spool = Spool(0)
    spool.expect(HELD_BYTES + 1)
    await spool.take(b"x")
    body = await spool.finish()
    assert await all_of(body) == b"x"
    spool.discard()
    with pytest.raises(ValueError, match="closed"):
        await all_of(body)


class SlowFile(NamelessFile):
    """A file whose disk takes its time, and that tells whether it is closed."""

    __slots__ = ("may_go_on", "writes")

    def __init__(self) -> None:
        super().__init__()
        self.may_go_on, self.writes = threading.Event(), threading.Event()

    def append(self, data: bytes | bytearray) -> None:
        self.writes.set()
        self.may_go_on.wait(10)
        super().append(data)

    @property
    def is_closed(self) -> bool:
        return self._file.closed


class SlowFiles(Files):
    def __init__(self) -> None:
        super().__init__()
        self.slow = SlowFile()

    def open(self) -> NamelessFile:
        self._opened.append(self.slow)
        return self.slow


async def test_a_file_is_not_closed_while_it_is_written() -> None:
    """Whoever gave the body up does not know of the piece that the client's reader brings."""
    files = SlowFiles()
    spool = Spool(0, files)
    spool.expect(HELD_BYTES + 1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(spool.take, b"x" * PIECE_BYTES)
        await trio.to_thread.run_sync(files.slow.writes.wait)
        spool.discard()
        was_closed = files.slow.is_closed
        files.slow.may_go_on.set()
    assert not was_closed
    assert files.slow.is_closed


async def test_what_was_discarded_leaves_no_file_behind() -> None:
    spool = Spool(0)
    spool.expect(HELD_BYTES + 1)
    await spool.take(b"x" * PIECE_BYTES)
    spool.discard()
    await spool.take(b"x" * PIECE_BYTES)  # pytest would fail for a file that nobody closes


@pytest.mark.parametrize("before", [b"", b"one "])
async def test_the_last_piece_may_come_with_the_end(before: bytes) -> None:
    spool = Spool(10)
    if before:
        await spool.take(before)
    assert (await spool.finish(b"two")).held == before + b"two"


@pytest.mark.parametrize("before", [b"", b"one "])
async def test_the_last_piece_may_be_too_much_too(before: bytes) -> None:
    spool = Spool(10)
    if before:
        await spool.take(before)
    with pytest.raises(BodyTooLarge):
        await spool.finish(b"x" * 11)
