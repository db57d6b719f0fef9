"""Lines of bytes that come in pieces."""

from __future__ import annotations

import pytest

from swapd.telemetry.line_splitter import LineSplitter


def split(*pieces: bytes, longest: int = 4) -> list[str]:
    splitter = LineSplitter(longest)
    lines = [line for piece in pieces for line in splitter.take(piece)]
    return [*lines, *splitter.finish()]


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ((b"a\nb", b"c\n\nd"), ["a", "bc", "", "d"]),
        (("ü\n".encode()[:1], "ü\n".encode()[1:]), ["ü"]),
        ((b"\xff\n", b"\xc3"), ["\ufffd", "\ufffd"]),
        ((), []),
    ],
)
def test_lines_are_whole_however_they_come(pieces: tuple[bytes, ...], lines: list[str]) -> None:
    assert split(*pieces) == lines


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_the_end_of_a_line_that_was_given_out_in_parts_is_no_line(end: bytes) -> None:
    assert split(b"12345", end + b"6\n\n") == ["12345", "6", ""]


def test_what_follows_a_part_is_told_and_an_empty_line_behind_it_too() -> None:
    assert split(b"12345", b"67\n\n8\n") == ["12345", "67", "", "8"]


def test_a_character_amid_which_a_part_ends_stays_whole() -> None:
    text = "üüüüü".encode()
    assert split(text[:9], text[9:] + b"\n") == ["üüüüü"]
