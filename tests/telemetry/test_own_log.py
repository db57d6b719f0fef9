"""Whatever is logged in the process goes one way, in lines, and holds no key."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from swapd.config.load import parse
from swapd.config.schema import Config
from swapd.telemetry.log_lines import LogFormat
from swapd.telemetry.own_log import OwnLog

ours = logging.getLogger("swapd.requests")
theirs = logging.getLogger("hypercorn.error")


def configured(**settings: object) -> Config:
    return parse(json.dumps({"models": {}, **settings}), "c.yaml", environ={})


class Said(list[str]):
    """What was said, in lines."""

    def take(self, data: bytes) -> None:
        self.append(data.decode())


@pytest.fixture(autouse=True)
def _levels() -> Iterator[None]:
    root, swapd = logging.getLogger(), logging.getLogger("swapd")
    before = root.level, swapd.level
    yield
    root.setLevel(before[0])
    swapd.setLevel(before[1])


@contextmanager
def logging_to(
    said: Said, form: LogFormat = LogFormat.CONSOLE, **settings: object
) -> Iterator[OwnLog]:
    own_log = OwnLog(form, configured(**settings), said.take)
    with own_log.installed():
        yield own_log


@pytest.mark.parametrize(
    ("level", "lines"),
    [
        ("debug", ["[DEBUG] d\n", "[INFO] i\n", "[WARN] w\n", "[ERROR] e\n", "[ERROR] c\n"]),
        ("info", ["[INFO] i\n", "[WARN] w\n", "[ERROR] e\n", "[ERROR] c\n"]),
        ("warn", ["[WARN] w\n", "[ERROR] e\n", "[ERROR] c\n"]),
        ("error", ["[ERROR] e\n", "[ERROR] c\n"]),
    ],
)
def test_the_level_says_what_is_written(level: str, lines: list[str]) -> None:
    with logging_to(said := Said(), logLevel=level):
        for say in (ours.debug, ours.info, ours.warning, ours.error, ours.critical):
            say("%s", say.__name__[0])
    assert said == lines


def test_other_libraries_are_heard_from_a_warning_on_whatever_the_level() -> None:
    with logging_to(said := Said(), logLevel="debug"):
        theirs.debug("prompts and keys")
        theirs.info("prompts and keys")
        theirs.warning("trouble")
    assert said == ["[WARN] trouble\n"]


def test_a_reload_changes_level_and_time() -> None:
    with logging_to(said := Said(), logLevel="error") as own_log:
        ours.info("one")
        own_log.reconfigure(configured(logLevel="info", logTimeFormat="kitchen"))
        ours.info("two")
        own_log.reconfigure(configured())
        ours.info("three")
    assert len(said) == 2
    assert said[0].endswith("M [INFO] two\n")
    assert said[1] == "[INFO] three\n"


def test_nothing_is_taken_any_more_at_the_end() -> None:
    with logging_to(said := Said()):
        pass
    ours.warning("late")
    assert said == []


def test_an_exception_is_told_with_its_trace() -> None:
    said, in_json = Said(), Said()
    with logging_to(said), logging_to(in_json, LogFormat.JSON):
        try:
            raise ExceptionGroup("many", [ValueError("why")])
        except ExceptionGroup:
            ours.exception("a request failed")
    (line,) = said
    assert line.startswith("[ERROR] a request failed\n      + Exception Group Traceback")
    assert "ValueError: why" in line
    (line,) = in_json
    assert json.loads(line)["event"] == "a request failed"
    assert "ValueError: why" in json.loads(line)["exception"]


def test_what_a_line_is_about_is_told_in_json() -> None:
    with logging_to(said := Said(), LogFormat.JSON):
        ours.warning("%s died", "m", extra={"model": "m", "generation": 3, "code": None})
    (line,) = map(json.loads, said)
    assert line.pop("time")
    assert line == {
        "level": "warn",
        "event": "m died",
        "logger": "swapd.requests",
        "model": "m",
        "generation": 3,
        "code": None,
    }


@pytest.mark.parametrize("form", LogFormat)
def test_no_key_is_written_whoever_says_it(form: LogFormat) -> None:
    peers: Mapping[str, object] = {
        "p": {"proxy": "http://p", "models": ["m"], "apiKey": "peer-secret-1"}
    }
    with logging_to(said := Said(), form, apiKeys=["own-secret-2"], peers=peers) as own_log:
        ours.info("GET /?key=own-secret-2 for peer-secret-1", extra={"model": "own-secret-2"})
        own_log.reconfigure(configured(apiKeys=["new-secret-3"]))
        ours.info("now new-secret-3")
    assert len(said) == 2
    assert "secret" not in "".join(said)
    assert "for ***" in said[0]


def test_of_a_key_that_begins_with_another_nothing_is_left() -> None:
    said = Said()
    with logging_to(said, apiKeys=["sk-common", "sk-common-and-private"]):
        ours.info("GET /sk-common-and-private, then /sk-common")
    assert said == ["[INFO] GET /***, then /***\n"]


@pytest.mark.parametrize("form", [*LogFormat])
@pytest.mark.parametrize("word", ['quoted"canary', "back\\canary"])
def test_a_key_is_hidden_however_it_is_quoted(form: LogFormat, word: str) -> None:
    said = Said()
    with logging_to(said, form, apiKeys=[word]):
        ours.info("%s and %s", word, word.replace("\\", "\\\\").replace('"', '\\"'))
    assert "canary" not in said[0]
    assert said[0].count("***") == 2


def test_a_short_key_is_no_reason_to_garble_the_log() -> None:
    with logging_to(said := Said(), apiKeys=["test"]):
        ours.info("testing")
    assert said == ["[INFO] testing\n"]


async def test_what_other_threads_say_is_said_in_trios_thread() -> None:
    threads = []
    said = trio.Event()

    def take(data: bytes) -> None:
        threads.append((data, trio.lowlevel.in_trio_run()))
        said.set()

    own_log = OwnLog(LogFormat.CONSOLE, configured(), take)
    with own_log.installed():
        own_log.enter_trio()
        await trio.to_thread.run_sync(partial(ours.info, "from a thread"))
        await said.wait()
        ours.info("from a task")
    assert threads == [(b"[INFO] from a thread\n", True), (b"[INFO] from a task\n", True)]


def test_lines_are_said_also_when_trio_has_ended() -> None:
    with logging_to(said := Said()) as own_log:

        async def main() -> None:
            own_log.enter_trio()

        trio.run(main)
        ours.info("late")
    assert said == ["[INFO] late\n"]


def test_what_is_no_text_does_not_end_anything() -> None:
    own_log = OwnLog(LogFormat.CONSOLE, configured(), (said := Said()).take)
    own_log.handler.emit(ours.makeRecord("swapd", logging.INFO, "", 0, "a \udcff", (), None))
    assert said == ["[INFO] a \\udcff\n"]


class Asked:
    """Something that happens often."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __str__(self) -> str:
        return self._what

    def fields(self) -> Mapping[str, object]:
        return {"event": self._what}


async def test_what_happens_often_is_said_together_and_soon(autojump_clock: MockClock) -> None:
    with logging_to(said := Said()) as own_log:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(own_log.run)
            await wait_all_tasks_blocked()
            for _ in range(2):
                own_log.happened(Asked("one"))
                own_log.happened(Asked("two"))
                assert not said
                await trio.sleep(0.1)
                assert said == ["[INFO] one\n[INFO] two\n"]
                said.clear()
            nursery.cancel_scope.cancel()


async def test_what_happens_often_is_said_before_what_is_said_after_it() -> None:
    with logging_to(said := Said()) as own_log:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(own_log.run)
            await wait_all_tasks_blocked()
            own_log.happened(Asked("one"))
            ours.warning("two")
            own_log.happened(Asked("three"))
            assert said == ["[INFO] one\n", "[WARN] two\n"]
            nursery.cancel_scope.cancel()
        assert said == ["[INFO] one\n", "[WARN] two\n", "[INFO] three\n"]
        own_log.happened(Asked("four"))
        assert said[3:] == ["[INFO] four\n"]


async def test_what_happens_often_is_said_before_what_a_thread_says_after_it(
    mock_clock: MockClock,
) -> None:
    with logging_to(said := Said()) as own_log:
        own_log.enter_trio()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(own_log.run)
            await wait_all_tasks_blocked()
            own_log.happened(Asked("one"))
            await trio.to_thread.run_sync(partial(ours.warning, "two"))
            await wait_all_tasks_blocked()
            assert said == ["[INFO] one\n", "[WARN] two\n"]
            nursery.cancel_scope.cancel()
    assert mock_clock.current_time() == 0


class Odd(Asked):
    def __str__(self) -> str:
        raise ValueError("odd")


async def test_what_cannot_be_told_takes_nothing_with_it_that_waits_beside_it() -> None:
    with logging_to(said := Said()) as own_log:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(own_log.run)
            await wait_all_tasks_blocked()
            for what in (Asked("one"), Odd(""), Asked("two")):
                own_log.happened(what)
            nursery.cancel_scope.cancel()
    assert "ValueError: odd" in said[0]
    assert said[1:] == ["[INFO] one\n[INFO] two\n"]


def test_what_cannot_be_told_hurts_nobody_else() -> None:
    with logging_to(said := Said()) as own_log:
        own_log.happened(Odd(""))
        own_log.happened(Asked("one"))
    assert "ValueError: odd" in said[0]
    assert said[1] == "[INFO] one\n"


def test_what_happens_often_holds_no_key_either_and_is_told_in_json() -> None:
    with logging_to(said := Said(), LogFormat.JSON, apiKeys=["sk-0123456789"]) as own_log:
        own_log.happened(Asked("with sk-0123456789"))
    assert json.loads(said[0])["event"] == "with ***"
