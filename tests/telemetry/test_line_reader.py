"""Lines of all logs, for one who listens."""

from __future__ import annotations

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from swapd.telemetry.line_reader import LAG_BYTES, LINE_CHARS, LineReader, Lines


async def next_lines(reader: LineReader) -> Lines:
    return await anext(reader)


async def test_lines_of_one_source_that_follow_each_other_come_together() -> None:
    reader = LineReader()
    for piece in (("a", b"1\n2\n"), ("a", b"3\n"), ("b", b"4\n"), ("a", b"5\n")):
        reader.tell(piece)
    told = [await next_lines(reader) for _ in range(3)]
    assert told == [Lines("a", ("1", "2", "3")), Lines("b", ("4",)), Lines("a", ("5",))]


async def test_a_line_is_told_when_its_end_is_there() -> None:
    reader = LineReader()
    text = "grün\n".encode()
    for byte in text[:-1]:
        reader.tell(("a", bytes([byte])))
    reader.tell(("b", b"other\n"))
    assert await next_lines(reader) == Lines("b", ("other",))
    reader.tell(("a", text[-1:]))
    assert await next_lines(reader) == Lines("a", ("grün",))


async def test_a_line_without_an_end_is_told_when_it_is_too_long_to_wait_for() -> None:
    reader = LineReader()
    reader.tell(("a", b"x" * LINE_CHARS))
    reader.tell(("a", b"yz"))
    reader.tell(("a", b"rest\n"))
    told = await next_lines(reader)
    assert told.lines == ("x" * LINE_CHARS + "yz", "rest")


async def test_what_is_no_text_is_marked() -> None:
    reader = LineReader()
    reader.tell(("a", b"\xff!\n"))
    assert (await next_lines(reader)).lines == ("�!",)


async def test_who_lags_loses_the_oldest_and_is_told_how_much() -> None:
    reader = LineReader()
    for number in range(3 * LAG_BYTES // 100):
        reader.tell(("a", b"%099d\n" % number))
    told = [await next_lines(reader)]
    while not told[-1].lines[-1].endswith(f"{3 * LAG_BYTES // 100 - 1}"):
        told.append(await next_lines(reader))
    kept = sum(len(each.lines) for each in told)
    assert [each.missed > 0 for each in told] == [True, *[False] * (len(told) - 1)]
    assert told[0].missed + kept * 100 == 3 * LAG_BYTES // 100 * 100
    assert LAG_BYTES - 100 <= kept * 100 <= LAG_BYTES


async def test_what_lags_is_counted_in_bytes_whatever_the_script() -> None:
    reader = LineReader()
    line = "\u4e16" * 33  # 99 bytes
    for _ in range(2 * LAG_BYTES // 100):
        reader.tell(("a", f"{line}\n".encode()))
    told = await next_lines(reader)
    assert told.missed == (2 * LAG_BYTES // 100 - LAG_BYTES // 100) * 100


async def test_a_reader_waits_for_lines(autojump_clock: MockClock) -> None:
    reader = LineReader()
    heard: list[Lines] = []

    async def read() -> None:
        heard.append(await next_lines(reader))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        reader.tell(("a", b"half"))
        await wait_all_tasks_blocked()
        assert heard == []
        reader.tell(("a", b" and half\n"))
    assert heard == [Lines("a", ("half and half",))]
