"""Who listens to a log gets what was kept, then what comes; who is slow learns what it missed."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from swapd.telemetry.log_stream import HISTORY_BYTES, LAG_BYTES, LogReader, LogStream


async def all_of(reader: LogReader) -> bytes:
    return b"".join([piece async for piece in reader])


async def test_what_was_kept_comes_before_what_comes_and_nothing_is_lost_between() -> None:
    log = LogStream()
    log.write(b"old\n")
    with log.subscribe() as reader:
        log.write(b"new\n")
        assert await anext(reader) == b"old\nnew\n"
        log.write(b"newer\n")
        log.close()
        assert await all_of(reader) == b"newer\n"


async def test_one_who_wants_no_history_gets_what_comes() -> None:
    log = LogStream()
    log.write(b"old\n")
    with log.subscribe(history=False) as reader:
        log.write(b"new\n")
        log.close()
        assert await all_of(reader) == b"new\n"


async def test_a_reader_waits_for_what_comes(autojump_clock: trio.testing.MockClock) -> None:
    log = LogStream()

    async def write() -> None:
        for number in range(3):
            await trio.sleep(1)
            log.write(b"%d\n" % number)
        log.close()

    with log.subscribe() as reader:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            pieces = [(trio.current_time(), piece) async for piece in reader]
    assert [piece for _, piece in pieces] == [b"0\n", b"1\n", b"2\n"]
    assert pieces[2][0] - pieces[0][0] == pytest.approx(2)


async def test_one_who_does_not_read_loses_the_oldest_and_is_told_how_much() -> None:
    log = LogStream()
    with log.subscribe() as slow, log.subscribe() as quick:
        seen = b""
        for number in range(LAG_BYTES // 8 + 100):
            log.write(b"%07d\n" % number)
            if number % 1000 == 0:
                seen += await anext(quick)
        log.close()
        seen += await all_of(quick)
        gap = "\n— 800 bytes dropped —\n".encode()
        first = await anext(slow)
        assert first.startswith(gap + b"0000100\n"), "what is left comes with that word"
        rest = (first + await all_of(slow)).removeprefix(gap)
    assert len(seen.splitlines()) == LAG_BYTES // 8 + 100
    assert rest.startswith(b"0000100\n")
    assert len(rest) == LAG_BYTES


async def test_a_piece_larger_than_all_that_may_wait_is_told_as_missed() -> None:
    log = LogStream()
    with log.subscribe() as reader:
        log.write(b"x" * (LAG_BYTES + 1))
        log.write(b"y\n")
        log.close()
        said = await all_of(reader)
    assert said.decode() == f"\n— {LAG_BYTES + 1} bytes dropped —\ny\n"


async def test_what_is_missed_is_told_even_if_nothing_follows() -> None:
    log = LogStream()
    with log.subscribe() as reader:
        log.write(b"x" * (LAG_BYTES + 1))
        log.close()
        assert b"bytes dropped" in await all_of(reader)


async def test_writing_goes_on_after_the_end_and_who_comes_then_gets_what_was_kept() -> None:
    log = LogStream()
    log.close()
    log.write(b"late\n")
    with log.subscribe() as reader:
        assert await all_of(reader) == b"late\n"


async def test_one_who_has_left_is_told_nothing_more(
    autojump_clock: trio.testing.MockClock,
) -> None:
    log = LogStream()
    with log.subscribe() as reader:
        pass
    log.write(b"x")
    log.close()
    with trio.move_on_after(1) as scope:
        await anext(reader)
    assert scope.cancelled_caught


@pytest.mark.parametrize("size", [1, 10, 100_000])
def test_the_history_is_bounded_whatever_the_size_of_its_pieces(size: int) -> None:
    log = LogStream()
    for _ in range(300_000 // size):
        log.write(b"x" * size)
    assert len(log.history()) == min(HISTORY_BYTES, 300_000)
