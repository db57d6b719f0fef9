"""What a ring keeps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from swapd.telemetry.ring import Ring


@given(st.lists(st.binary(max_size=20)), st.integers(1, 30))
def test_it_keeps_the_end_of_what_was_written(pieces: list[bytes], limit: int) -> None:
    ring = Ring(limit)
    for piece in pieces:
        ring.write(piece)
    written = b"".join(pieces)
    assert written.endswith(ring.read())
    assert len(ring.read()) <= limit
    if len(written) <= limit:
        assert ring.read() == written


def test_what_was_cut_begins_with_a_whole_line() -> None:
    ring = Ring(10)
    ring.write(b"hello\nworld\nagain")
    assert ring.read() == b"again"


def test_where_there_is_no_line_it_begins_with_a_whole_character() -> None:
    ring = Ring(3)
    ring.write("äöü".encode())
    assert ring.read() == "ü".encode()
    ring.clear()
    ring.write(b"abcdefgh")
    assert ring.read() == b"fgh"


def test_what_is_no_text_stays_as_it_is() -> None:
    ring = Ring(4)
    ring.write(b"\x80" * 8)
    assert ring.read() == b"\x80" * 4
