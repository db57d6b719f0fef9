"""Bodies in memory, in files and in parts of both: what they read as, and what edits leave."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapd.upstream.bodies.body import PIECE_BYTES, Body, Edit, Stretch
from swapd.upstream.bodies.nameless import Files, NamelessFile


async def all_of(body: Body) -> bytes:
    reader = body.reader()
    read = b""
    while piece := await reader.read():
        read += piece
    return read


def stretch(files: Files, data: bytes) -> Stretch:
    file = files.open()
    file.append(b"before" + data + b"behind")
    return Stretch(file, 6, 6 + len(data))


def stored(data: bytes) -> Body:
    """Return ``data`` as a body in a file."""
    files = Files()
    file = files.open()
    file.append(data)
    return Body(Stretch(file, 0, len(data)), files=files)


@st.composite
def edited(draw: st.DrawFn) -> tuple[bytes, list[Edit], bytes]:
    """Draw a body, edits of it, and what they must come to."""
    kept = draw(st.lists(st.binary(max_size=6), min_size=1, max_size=5))
    before, after, edits = kept[0], kept[0], []
    for part in kept[1:]:
        old, new = draw(st.binary(max_size=4)), draw(st.binary(max_size=4))
        edits.append(Edit(len(before), len(before) + len(old), new))
        before, after = before + old + part, after + new + part
    return before, edits, after


@given(edited(), st.booleans())
async def test_edits_change_what_they_name_and_nothing_else(
    change: tuple[bytes, list[Edit], bytes], in_file: bool
) -> None:
    before, edits, after = change
    body = stored(before) if in_file else Body(before)
    changed = body.edited(edits)
    assert await all_of(changed) == after
    assert changed.length == len(after)
    assert await all_of(body) == before
    if not in_file:
        assert changed.held == after
    body.close()


@given(
    st.lists(st.tuples(st.binary(max_size=5), st.booleans()), max_size=4),
    st.tuples(st.integers(0, 20), st.integers(0, 20)).map(sorted),
)
async def test_a_body_in_parts_can_be_edited_across_them(
    parts: list[tuple[bytes, bool]], place: list[int]
) -> None:
    files, whole = Files(), b"".join(part for part, _ in parts)
    laid = [stretch(files, part) if in_file else part for part, in_file in parts]
    start, end = (min(at, len(whole)) for at in place)
    changed = Body(*laid, files=files).edited([Edit(start, end, b"new")])
    assert await all_of(changed) == whole[:start] + b"new" + whole[end:]
    files.close()


@pytest.mark.parametrize("in_file", [False, True])
async def test_a_large_body_is_not_copied_to_be_edited(in_file: bool) -> None:
    data = bytes(range(256)) * (16 * PIECE_BYTES // 256)
    body = stored(data) if in_file else Body(data)
    tracemalloc.start()
    changed = body.edited([Edit(5, 5, b"new"), Edit(1000, 2000, b"")])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < PIECE_BYTES
    assert await all_of(changed) == data[:5] + b"new" + data[5:1000] + data[2000:]
    body.close()


async def test_a_large_body_in_hundreds_of_parts_is_one_again() -> None:
    data = bytes(2 * PIECE_BYTES)
    changed = Body(data).edited([Edit(at, at + 1, b"new") for at in range(0, 2000, 2)])
    assert changed.held == b"new\0" * 1000 + data[2000:]


async def test_a_file_is_read_in_pieces_as_often_as_one_likes() -> None:
    data = bytes(range(256)) * (PIECE_BYTES // 100)
    body = stored(data)
    reader = body.reader()
    assert len(await reader.read()) == PIECE_BYTES
    assert await all_of(body) == await all_of(body) == data
    body.close()


@pytest.mark.parametrize("in_file", [False, True])
def test_a_body_can_be_seen_as_a_whole(in_file: bool) -> None:
    body = stored(b"all of it") if in_file else Body(b"all of it")
    with body.whole() as seen:
        assert seen[4:] == b"of it"
    assert (body.held is None) == in_file
    body.close()


def test_a_part_of_a_file_cannot_be_seen_as_a_whole() -> None:
    files = Files()
    with pytest.raises(ValueError, match="in parts"), Body(stretch(files, b"x")).whole():
        pass
    files.close()


class Stingy(NamelessFile):
    """Gives less than it is asked for, as a file on a network may."""

    def read(self, start: int, size: int) -> bytes:
        return super().read(start, max(size // 2, 1))


async def test_a_file_that_gives_less_than_it_is_asked_for_is_read_to_its_end() -> None:
    file = Stingy()
    file.append(b"all of it")
    assert await all_of(Body(Stretch(file, 0, 9))) == b"all of it"
    file.close()


def test_no_body_is_an_empty_one() -> None:
    with Body().whole() as seen:
        assert (seen, Body().held, Body().length) == (b"", b"", 0)
