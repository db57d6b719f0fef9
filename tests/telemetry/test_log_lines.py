"""How lines of swapd's own log look."""

from __future__ import annotations

import json

import pytest

from swapd.telemetry.log_lines import ConsoleLines, JsonLines, LogFormat, lines_of, visible

SAID = "the new configuration has problems:\nline 1"


def test_a_line_for_people_has_its_level_and_if_wanted_its_time() -> None:
    assert ConsoleLines("").line("INFO", 0, "hello", {}) == "[INFO] hello\n"
    assert ConsoleLines("rfc3339").line("WARN", 0.0, "hello", {}).endswith(" [WARN] hello\n")
    assert ConsoleLines("rfc3339").line("WARN", 0.0, "hello", {}).startswith("19")


def test_what_goes_on_is_indented_so_that_it_is_no_line_of_its_own() -> None:
    said = ConsoleLines("").line("ERROR", 0, SAID, {"exception": "Traceback\n  x"})
    assert said == (
        "[ERROR] the new configuration has problems:\n    line 1\n    Traceback\n      x\n"
    )


def test_a_line_for_programs_is_one_object() -> None:
    said = JsonLines("").line("WARN", 0.25, SAID, {"model": "m", "logger": "swapd"})
    assert said.endswith("\n")
    assert said.count("\n") == 1
    assert json.loads(said) == {
        "time": "1970-01-01T00:00:00.250000Z",
        "level": "warn",
        "event": SAID,
        "model": "m",
        "logger": "swapd",
    }


def test_programs_get_the_time_as_it_is_configured() -> None:
    assert json.loads(JsonLines("kitchen").line("INFO", 0, "x", {}))["time"][-2:] in {"AM", "PM"}


@pytest.mark.parametrize("form", LogFormat)
@pytest.mark.parametrize(
    "char", [*"\x1b\x00\r\x7f\x9b", *"\u2028\u2029\u202a\u202e\u2066\u2069\u061c\u200e\u200f"]
)
def test_nothing_in_a_line_steers_a_terminal(form: LogFormat, char: str) -> None:
    line = lines_of(form, "").line("INFO", 0, f"a{char}b", {"model": f"c{char}"})
    assert char not in line
    assert "a" in line


def test_text_stays_as_it_is() -> None:
    assert visible("Größe\t日本語 🙂\n") == "Größe\t日本語 🙂\n"
