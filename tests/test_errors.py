"""What of an error's words goes where there is room for one line."""

from __future__ import annotations

import pytest

from swapd.errors import LAST_WORDS, first_line


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("m is stopping", "m is stopping"),
        (
            f"m could not be started: exited with code 7{LAST_WORDS}a\nb",
            "m could not be started: exited with code 7",
        ),
        ("the file has problems:\nc.yaml:1", "the file has problems"),
        ("\n  too long\nsecond  ", "too long"),
        ("its name is a:", "its name is a:"),
        ("", ""),
    ],
)
def test_the_first_line_does_not_announce_what_is_not_there(words: str, line: str) -> None:
    assert first_line(words) == line
