"""Logs as a terminal gets them."""

from __future__ import annotations

import pytest

from swapd.cli.terminal import ForTerminal


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (b"plain \xe2\x82\xac\n", "plain \u20ac\n"),
        (b"10%\r20%\x1b[K\tdone\r\n", "10%\r20%\x1b[K\tdone\r\n"),
        (b"\x1b[1;31mred\x1b[0m\x1b[m", "\x1b[1;31mred\x1b[0m\x1b[m"),
        (b"\x1b[38:2::1:2:3mtrue", "\x1b[38:2::1:2:3mtrue"),
        (b"\x1b]0;title\x07", "\u241b]0;title\u2407"),
        (b"\x1b]52;c;cm0gLXJm\x1b\\", "\u241b]52;c;cm0gLXJm\u241b\\"),
        (b"\x1b[2J\x1b[1;1H\x1b[A\x1bc", "\u241b[2J\u241b[1;1H\u241b[A\u241bc"),
        (b"\x1b[>4;2m", "\u241b[>4;2m"),
        (b"\x00\x08\x0b\x0c\x7f", "\u2400\u2408\u240b\u240c\u2421"),
        (b"\xff \x9b2J \xc2\x9b2J", "\ufffd \ufffd2J \ufffd2J"),
        (b"cut \x1b[3", "cut \u241b[3"),
        (b"\x1b\x1b[0m", "\u241b\x1b[0m"),
    ],
)
def test_only_colours_and_the_present_line_are_a_terminals(written: bytes, shown: str) -> None:
    whole = ForTerminal()
    assert whole.take(written) + whole.take(b"", is_last=True) == shown
    cut = ForTerminal()
    pieces = [cut.take(bytes([byte])) for byte in written]
    assert "".join(pieces) + cut.take(b"", is_last=True) == shown


def test_what_begins_a_colour_and_never_ends_is_not_kept_for_ever() -> None:
    shown = ForTerminal()
    assert shown.take(b"\x1b[" + b"1;" * 1000) == "\u241b[" + "1;" * 1000
