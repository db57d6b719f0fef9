"""What is kept of a model's output, and how its last words look."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapd.config.observing import LogTo
from swapd.ids import ModelId
from swapd.telemetry.log_stream import HISTORY_BYTES
from swapd.telemetry.logs import (
    LAST_BYTES,
    LAST_LINES,
    PROGRESS_CHARS,
    Logs,
    ModelLog,
)


def last_words(*chunks: bytes) -> str:
    log = ModelLog()
    for chunk in chunks:
        log.write(chunk)
    return log.last_words()


def test_of_last_words_what_is_hidden_is_not_there_however_it_is_cut_up() -> None:
    logs = Logs()
    log = logs.of(ModelId("m"))
    logs.hide = lambda text: text.replace("secret", "***")
    log.write(b"bad option --api-key se")
    log.write(b"cr\x1b[0met\n" + (LAST_BYTES - 10) * b"x" + b" secret\n")
    words = log.last_words()
    assert words.endswith("x ***")
    assert "cret" not in words
    assert b"secret" in log.history()
    log.write(b"50% of secret\n")
    assert log.progress() == "50% of ***"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"", ""),
        (b"one\ntwo\n", "one\ntwo"),
        (b"no newline", "no newline"),
        (b"\n\none\n\n  \ntwo", "one\ntwo"),
        (b"windows\r\nlines\r\n", "windows\nlines"),
        (b"10%\r20%\r30%\n", "30%"),
        (b"\x1b[31merror:\x1b[0m no such \x1b[1;32mfile", "error: no such file"),
        (b"\x1b]0;title\x07bell\x07 and \x00nul", "bell and nul"),
        (b"\xff\xfe not utf-8", "\ufffd\ufffd not utf-8"),
        (b"tab\tstays", "tab\tstays"),
    ],
)
def test_last_words_are_plain_lines(said: bytes, words: str) -> None:
    assert last_words(said) == words


def test_only_the_last_lines_are_shown() -> None:
    said = b"".join(b"line %d\n" % number for number in range(100))
    lines = last_words(said).splitlines()
    assert lines == [f"line {number}" for number in range(100 - LAST_LINES, 100)]


def test_a_piece_may_end_anywhere() -> None:
    assert last_words(b"\x1b[3", b"1mre", b"d\x1b[0", b"m\n") == "red"


def test_a_large_piece_is_not_forgotten_for_a_small_one() -> None:
    assert last_words(b"loading\n" * 3000 + b"out of memory", b"\n").endswith("out of memory")


def test_a_new_life_has_no_words_of_the_old_one() -> None:
    log = ModelLog()
    log.write(b"old\n")
    log.begin()
    log.write(b"new\n")
    assert log.last_words() == "new"
    assert log.history() == b"old\nnew\n"


def test_a_new_life_does_not_go_on_in_a_line_of_the_old_one() -> None:
    logs = Logs()
    log = logs.of(ModelId("m"))
    for words in (b"killed amid", b"second\n", b"third\n"):
        log.begin()
        log.write(words)
    for each in (log, logs.upstream, logs.everything):
        assert each.history() == b"killed amid\nsecond\nthird\n"


def test_the_history_is_bounded_and_keeps_the_newest() -> None:
    log = ModelLog()
    for number in range(100_000):
        log.write(b"%06d\n" % number)
    history = log.history()
    assert HISTORY_BYTES - 7 < len(history) <= HISTORY_BYTES
    assert len(history.splitlines()[0]) == 6
    assert history.endswith(b"099999\n")


def progress(*chunks: bytes) -> str | None:
    log = ModelLog()
    for chunk in chunks:
        log.write(chunk)
    return log.progress()


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (b"", None),
        (b"loading\nstill loading\n", None),
        (b"shards: 25% | 1/4\nshards: 50% | 2/4\n", "shards: 50% | 2/4"),
        (b"50%\nready soon\n", "50%"),
        (b"\r 10%|#   \r 20%|##  ", "20%|##"),
        (b"\r 10%|#   \r 20%|##  \r 3", "20%|##"),
        (b"45.5 %\r\n", "45.5 %"),
        (b"\x1b[32mload:\x1b[0m 7%\x07", "load: 7%"),
        (b"100%\n", "100%"),
        (b"100.0%\n", "100.0%"),
        (b"500%\n1000%\n101%\n1,50%\n", None),
        (b"%d of %s\nload 7 of 9\n", None),
        (b"\xff 5%\n", "\ufffd 5%"),
    ],
)
def test_progress_is_the_newest_line_with_a_percentage(said: bytes, line: str | None) -> None:
    assert progress(said) == line


def test_progress_is_cut_to_what_fits_a_line() -> None:
    assert progress(b"50% " + b"x" * 1000) == "50% " + "x" * (PROGRESS_CHARS - 4)


def test_progress_is_of_this_life_alone() -> None:
    log = ModelLog()
    log.write(b"50%\n")
    log.begin()
    assert log.progress() is None


@given(st.lists(st.binary(max_size=4000), max_size=10))
def test_progress_is_bounded_and_printable_whatever_is_said(chunks: list[bytes]) -> None:
    line = progress(*chunks, b" 50%")
    assert line is not None
    assert len(line) <= PROGRESS_CHARS
    assert all(ord(char) >= 32 and not 127 <= ord(char) < 160 for char in line if char != "\t")


def test_every_model_has_one_log() -> None:
    logs = Logs()
    logs.of(ModelId("a")).write(b"a")
    assert logs.of(ModelId("a")).history() == b"a"
    assert logs.of(ModelId("b")).history() == b""


@given(st.lists(st.binary(max_size=4000), max_size=10))
def test_last_words_are_bounded_and_printable_whatever_is_said(chunks: list[bytes]) -> None:
    words = last_words(*chunks)
    assert len(words.encode()) <= LAST_BYTES
    assert len(words.splitlines()) <= LAST_LINES or "\u2028" in words or "\u2029" in words
    assert all(char in "\n\t" or ord(char) >= 32 for char in words)
    assert not any(127 <= ord(char) < 160 for char in words)


def test_what_models_say_is_in_the_log_of_all_and_no_line_runs_into_another() -> None:
    logs = Logs()
    logs.of(ModelId("a")).write(b"loading ...")
    logs.of(ModelId("a")).write(b"..")
    logs.of(ModelId("b")).write(b"hello\n")
    logs.say(b"[INFO] swapd\n")
    logs.of(ModelId("a")).write(b" done\n")
    assert logs.upstream.history() == b"loading .....\nhello\n done\n"
    assert logs.proxy.history() == b"[INFO] swapd\n"
    assert logs.everything.history() == b"loading .....\nhello\n[INFO] swapd\n done\n"
    assert logs.of(ModelId("a")).history() == b"loading ..... done\n"


async def test_every_log_ends_when_all_are_closed() -> None:
    logs = Logs()
    for log in (logs.proxy, logs.upstream, logs.everything, logs.of(ModelId("a"))):
        with log.subscribe() as pieces:
            logs.close()
            assert [piece async for piece in pieces] == []


@pytest.mark.parametrize(
    ("to_stdout", "written"),
    [
        (LogTo.PROXY, b"own\n"),
        (LogTo.UPSTREAM, b"half and half\n"),
        (LogTo.BOTH, b"half\nown\n and half\n"),
        (LogTo.NONE, b""),
    ],
)
def test_what_goes_to_standard_output_is_chosen_and_nothing_else_changes_by_it(
    to_stdout: LogTo, written: bytes
) -> None:
    pieces: list[bytes] = []
    logs = Logs(to_stdout, pieces.append)
    logs.of(ModelId("m")).write(b"half")
    logs.say(b"own\n")
    logs.of(ModelId("m")).write(b" and half\n")
    assert b"".join(pieces) == written
    assert logs.everything.history() == b"half\nown\n and half\n"
