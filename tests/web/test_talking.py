"""When swapd speaks in a stream, and when it is silent: on virtual time, into memory."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
import trio
from hypercorn.typing import ASGISendEvent, HTTPScope
from trio.testing import MockClock

from swapd.errors import UpstreamFailed
from swapd.ids import ModelId
from swapd.policy.life import ModelState
from swapd.web.answer import Answer
from swapd.web.client import Client
from swapd.web.manner import Api, Manner
from swapd.web.prompter import TICK, Prompter
from swapd.web.remarks import Asides
from swapd.web.talking import AT_ONCE, Account, TalkingStream, Waits, Way
from swapd.web.wait_report import Report, Situation

M = ModelId("m")
EVENTS = [(b"content-type", b"text/event-stream")]
EVENT = b"data: a\n\n"
ALIVE = b": keep-alive\n\n"

LOADING = Situation(ModelState.STARTING, position=1)

SCOPE = cast(
    HTTPScope,
    {"type": "http", "method": "POST", "raw_path": b"/", "http_version": "1.1", "headers": []},
)


@dataclass
class Stage:
    """One request under way; ``seen`` is what came to its client, with the second it came at."""

    talking: TalkingStream
    way: Way
    client: Client
    reader: Reader
    situation: list[Situation]

    @property
    def seen(self) -> list[tuple[float, object]]:
        return self.reader.seen

    @property
    def words(self) -> list[tuple[float, bytes]]:
        """What came but for the head."""
        return [(when, what) for when, what in self.seen if isinstance(what, bytes)]

    def admit(self) -> None:
        self.way.waits.admitted()

    def wait_again(self) -> None:
        self.way.waits.again()

    async def answer(self, *pieces: bytes) -> None:
        """Answer by an event stream of ``pieces``."""
        await self.way.downstream.begin(200, EVENTS)
        for piece in pieces:
            await self.way.downstream.write(piece)
        await self.way.downstream.finish()


@dataclass
class Reader:
    """Reads what is sent; each read takes ``slowness`` s."""

    slowness: float = 0.0
    seen: list[tuple[float, object]] = field(default_factory=list)
    began: float = field(default_factory=trio.current_time)

    def note(self, what: object) -> None:
        self.seen.append((round(trio.current_time() - self.began, 3), what))

    async def take(self, message: ASGISendEvent) -> None:
        if message["type"] == "http.response.start":
            self.note((message["status"], dict(message["headers"])))
        elif message["type"] == "http.response.body":
            if message["body"]:
                self.note(message["body"])
            if not message["more_body"]:
                self.note("the end")
        await trio.sleep(self.slowness)


@asynccontextmanager
async def stage(
    *,
    tells: bool = False,
    keep_alive: float = 15.0,
    slowness: float = 0.0,
    api: Api = Api.RESPONSES,
) -> AsyncIterator[Stage]:
    """Serve one request for the length of the block, which may fail."""
    reader, situation = Reader(slowness), [LOADING]
    client = Client(Answer(SCOPE, cast(Any, reader.take)), [], 0)
    account = Account(Report(M), Asides(Api.RESPONSES), lambda: situation[0])
    admissions: list[None] = []
    again: list[None] = []
    prompter = Prompter()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(prompter.run)
        client.beside = nursery.start_soon
        talking = TalkingStream(
            client,
            Manner(api),
            prompter,
            model="m",
            waits=Waits(lambda: admissions.append(None), lambda: again.append(None)),
            keep_alive=keep_alive,
            account=account if tells else None,
        )
        with suppress(UpstreamFailed):
            async with talking.served() as way:
                yield Stage(talking, way, client, reader, situation)
        reader.note("over")
        await trio.sleep(2 * TICK)
        assert trio.lowlevel.current_statistics().seconds_to_next_deadline == math.inf
        nursery.cancel_scope.cancel()


def at(seconds: float) -> object:
    """Return what equals a time that is as good as ``seconds``."""
    return pytest.approx(seconds, abs=3 * TICK)


def heads(stage: Stage) -> list[object]:
    return [what for _, what in stage.seen if isinstance(what, tuple)]


# -- comments before the answer ----------------------------------------------------------


async def test_a_wait_within_the_time_is_passed_over_in_silence(autojump_clock: MockClock) -> None:
    async with stage() as on:
        await trio.sleep(14.9)
        on.admit()
        await on.answer(EVENT)
    assert on.seen == [
        (at(14.9), (200, dict(EVENTS))),
        (at(14.9), EVENT),
        (at(14.9), "the end"),
        (at(14.9), "over"),
    ]


async def test_a_longer_wait_gets_a_head_of_its_own_and_comments(autojump_clock: MockClock) -> None:
    async with stage() as on:
        await trio.sleep(40)
        on.admit()
        await trio.sleep(2)
        await on.answer(EVENT)
    assert on.seen[0] == (
        at(15),
        (
            200,
            {
                b"content-type": b"text/event-stream",
                b"cache-control": b"no-cache",
                b"x-accel-buffering": b"no",
            },
        ),
    )
    assert on.words == [(at(15), ALIVE), (at(30), ALIVE), (at(42), EVENT)]


async def test_a_model_that_takes_its_time_over_the_prompt_is_covered_too(
    autojump_clock: MockClock,
) -> None:
    async with stage() as on:
        await trio.sleep(10)
        on.admit()
        await trio.sleep(30)
        await on.answer(EVENT)
    assert on.words == [(at(15), ALIVE), (at(30), ALIVE), (at(40), EVENT)]


async def test_without_an_interval_nothing_is_said(autojump_clock: MockClock) -> None:
    async with stage(keep_alive=0) as on:
        await trio.sleep(1000)
        on.admit()
        await on.answer(EVENT)
    assert on.words == [(at(1000), EVENT)]


# -- comments within the answer ----------------------------------------------------------


async def test_a_silence_between_two_events_is_broken(autojump_clock: MockClock) -> None:
    async with stage() as on:
        on.admit()
        await on.way.downstream.begin(200, EVENTS)
        await trio.sleep(10)
        await on.way.downstream.write(EVENT)
        await trio.sleep(40)
        await on.way.downstream.write(EVENT)
        await trio.sleep(14)
        await on.way.downstream.finish()
        await trio.sleep(100)
    assert on.words == [(at(10), EVENT), (at(25), ALIVE), (at(40), ALIVE), (at(50), EVENT)]
    assert (at(64), "the end") in on.seen


async def test_a_head_without_any_event_is_followed_by_comments(autojump_clock: MockClock) -> None:
    async with stage() as on:
        await on.way.downstream.begin(200, EVENTS)
        await trio.sleep(31)
        await on.way.downstream.write(EVENT)
    assert on.words == [(at(15), ALIVE), (at(30), ALIVE), (at(31), EVENT)]


async def test_whoever_speaks_often_enough_is_never_interrupted(autojump_clock: MockClock) -> None:
    async with stage() as on:
        await on.way.downstream.begin(200, EVENTS)
        for _ in range(10):
            await trio.sleep(14)
            await on.way.downstream.write(EVENT)
    assert [what for _, what in on.words] == [EVENT] * 10


@pytest.mark.parametrize("piece", [b"data: a", b"data: a\n", b"event: x\r\ndata: a\r\n"])
async def test_nothing_is_said_within_an_event(piece: bytes, autojump_clock: MockClock) -> None:
    async with stage() as on:
        await on.way.downstream.begin(200, EVENTS)
        await on.way.downstream.write(piece)
        await trio.sleep(100)
        await on.way.downstream.write(b"\n\n")
        await trio.sleep(20)
    assert on.words == [(at(0), piece), (at(100), b"\n\n"), (at(115), ALIVE)]


@pytest.mark.parametrize(
    "headers",
    [
        [*EVENTS, (b"content-encoding", b"gzip")],
        [*EVENTS, (b"content-length", b"1000")],
        [(b"content-type", b"application/json")],
    ],
    ids=["encoded", "of_a_length", "no_events"],
)
async def test_nothing_is_said_where_it_would_do_harm(
    headers: Sequence[tuple[bytes, bytes]], autojump_clock: MockClock
) -> None:
    async with stage() as on:
        await on.way.downstream.begin(200, headers)
        await trio.sleep(100)
        await on.way.downstream.write(EVENT)
        await trio.sleep(100)
    assert on.words == [(at(100), EVENT)]


async def test_a_comment_is_not_what_an_error_event_counts_on_from(
    autojump_clock: MockClock,
) -> None:
    event = b'data: {"sequence_number":7}\n\n'
    async with stage() as on:
        await on.way.downstream.begin(200, EVENTS)
        await on.way.downstream.write(event)
        await trio.sleep(20)
        assert on.client.last_piece == event
    assert on.words[-1] == (at(15), ALIVE)


# -- both at once ------------------------------------------------------------------------


async def test_an_answer_waits_for_a_comment_that_is_being_read(autojump_clock: MockClock) -> None:
    async with stage(slowness=10) as on:  # the head takes 10 s, then the comment 10 s
        await trio.sleep(16)
        on.admit()
        await on.answer(EVENT)
    assert on.words == [(at(25), ALIVE), (at(35), EVENT)]
    assert (at(45), "the end") in on.seen


async def test_no_comment_comes_behind_a_piece_that_is_being_read(
    autojump_clock: MockClock,
) -> None:
    async with stage(slowness=50) as on:
        await on.way.downstream.begin(200, EVENTS)
        await on.way.downstream.write(EVENT)
        await on.way.downstream.finish()
    assert on.words == [(at(50), EVENT)]


@pytest.mark.parametrize("attempt", range(20))
async def test_both_at_the_same_instant_take_turns(attempt: int, autojump_clock: MockClock) -> None:
    async with stage(slowness=1) as on:
        await trio.sleep(15)
        on.admit()
        await on.answer(EVENT, EVENT)
    words = [what for _, what in on.words]
    assert words in ([EVENT, EVENT], [ALIVE, EVENT, EVENT])
    assert [what for _, what in on.seen if what == "the end"] == ["the end"]
    assert len(heads(on)) == 1


async def test_an_error_waits_for_a_comment_that_is_being_read(autojump_clock: MockClock) -> None:
    async with stage(slowness=10) as on:
        await trio.sleep(16)
        raise UpstreamFailed("x")
    assert on.seen[1:] == [(at(25), ALIVE), (at(35), "over")]


async def test_a_client_that_leaves_is_waited_for_by_nobody(autojump_clock: MockClock) -> None:
    began = trio.current_time()
    with trio.move_on_after(16):
        async with stage():
            await trio.sleep_forever()
    assert trio.current_time() - began == 16


# -- what is told of a wait --------------------------------------------------------------


async def test_a_wait_is_told_of_at_once_and_until_the_model_is_ready(
    autojump_clock: MockClock,
) -> None:
    async with stage(tells=True) as on:
        await trio.sleep(12)
        on.admit()
        await trio.sleep(1)
        await on.answer(EVENT)
    assert on.words == [
        (at(AT_ONCE), b": swapd loading model: m\n\n"),
        (at(5.1), b": Loading (5 s)\n\n"),
        (at(10.1), b": Loading (10 s)\n\n"),
        (at(12), b": Done! (12.00s)\n\n"),
        (at(13), EVENT),
    ]


async def test_a_model_that_serves_at_once_has_nothing_to_tell(autojump_clock: MockClock) -> None:
    async with stage(tells=True) as on:
        await trio.sleep(AT_ONCE / 2)
        on.admit()
        await trio.sleep(5)
        await on.answer(EVENT)
    assert on.words == [(at(5.05), EVENT)]


async def test_what_was_to_be_told_is_not_told_once_the_model_is_ready(
    autojump_clock: MockClock,
) -> None:
    async with stage(tells=True) as on:
        on.talking.prompt(trio.current_time())  # its task has not begun yet
        on.admit()
        await on.answer(EVENT)
    assert on.words == [(0, EVENT)]


async def test_nothing_is_told_while_nobody_knows_of_a_wait(autojump_clock: MockClock) -> None:
    async with stage(tells=True) as on:
        on.situation[0] = Situation(ModelState.READY)  # the supervisor has not come to it yet
        await trio.sleep(0.5)
        on.admit()
        await on.answer(EVENT)
    assert on.words == [(at(0.5), EVENT)]


async def test_what_changes_is_told_within_a_second(autojump_clock: MockClock) -> None:
    async with stage(tells=True) as on:
        on.situation[0] = Situation(ModelState.STOPPED, 2, ((ModelId("b"), ModelState.READY),))
        await trio.sleep(2.5)
        on.situation[0] = LOADING
        await trio.sleep(1)
    assert on.words == [
        (at(0.1), b": swapd loading model: m\n\n: Queue position: #2: waiting for b to finish\n\n"),
        (at(3.1), b": Loading (3 s)\n\n"),
    ]


async def test_a_wait_that_ends_in_a_refusal_is_not_called_done(autojump_clock: MockClock) -> None:
    async with stage(tells=True) as on:
        await trio.sleep(3)
        raise UpstreamFailed("x")
    assert on.words == [(at(AT_ONCE), b": swapd loading model: m\n\n")]


async def test_after_the_wait_its_silence_is_broken_by_comments(autojump_clock: MockClock) -> None:
    async with stage(tells=True) as on:
        await trio.sleep(3)
        on.admit()
        await trio.sleep(16)
        await on.answer(EVENT)
    assert on.words[-3:] == [(at(3), b": Done! (3.00s)\n\n"), (at(18), ALIVE), (at(19), EVENT)]


async def test_a_second_wait_is_told_of_like_the_first(autojump_clock: MockClock) -> None:
    async with stage(tells=True) as on:
        await trio.sleep(3)
        on.admit()
        await trio.sleep(1)
        on.wait_again()
        await trio.sleep(6)
        on.admit()
        await on.answer(EVENT)
    assert on.words == [
        (at(AT_ONCE), b": swapd loading model: m\n\n"),
        (at(3), b": Done! (3.00s)\n\n"),
        (at(4.1), b": swapd loading model: m (again: its process has ended)\n\n"),
        (at(9.1), b": Loading (9 s)\n\n"),
        (at(10), b": Done! (10.00s)\n\n"),
        (at(10), EVENT),
    ]


async def test_a_wait_for_another_process_of_a_model_that_was_ready_is_told_of(
    autojump_clock: MockClock,
) -> None:
    async with stage(tells=True) as on:
        on.admit()
        await trio.sleep(1)
        on.wait_again()
        await trio.sleep(2)
        on.admit()
        await on.answer(EVENT)
    assert [what for _, what in on.words] == [
        b": swapd loading model: m (again: its process has ended)\n\n",
        b": Done! (3.00s)\n\n",
        EVENT,
    ]


async def test_nothing_is_told_late_of_a_wait_behind_which_another_began(
    autojump_clock: MockClock,
) -> None:
    async with stage(tells=True) as on:
        on.talking.prompt(trio.current_time())  # its task has not begun yet
        on.admit()
        on.wait_again()
        await trio.sleep(2)
        on.admit()
        await on.answer(EVENT)
    assert [what for _, what in on.words] == [
        b": swapd loading model: m (again: its process has ended)\n\n",
        b": Done! (2.00s)\n\n",
        EVENT,
    ]


async def test_a_second_wait_that_is_short_is_passed_over_in_silence(
    autojump_clock: MockClock,
) -> None:
    async with stage(tells=True) as on:
        on.admit()
        on.wait_again()
        await trio.sleep(AT_ONCE / 2)
        on.admit()
        await trio.sleep(20)
        await on.answer(EVENT)
    assert on.words == [(at(15), ALIVE), (at(20 + AT_ONCE / 2), EVENT)]


async def test_the_answer_comes_behind_the_last_line_however_slow_its_reader_is(
    autojump_clock: MockClock,
) -> None:
    async with stage(tells=True, slowness=2) as on:
        await trio.sleep(1)  # its head is being read until 2.1, its first line until 4.1
        on.admit()
        await on.answer(EVENT)
    assert on.words == [
        (at(2.1), b": swapd loading model: m\n\n"),
        (at(4.1), b": Done! (4.10s)\n\n"),
        (at(6.1), EVENT),
    ]


# -- answers that do not fit -------------------------------------------------------------


async def begun(on: Stage) -> None:
    """Let the stream begin before its model answers."""
    await trio.sleep(16)
    on.admit()


async def test_a_head_that_comes_too_late_is_dropped(autojump_clock: MockClock) -> None:
    async with stage() as on:
        await begun(on)
        await on.way.downstream.begin(200, [*EVENTS, (b"x-own", b"1")])
        await on.way.downstream.write(EVENT)
        await on.way.downstream.finish()
    assert len(heads(on)) == 1
    assert on.words[-1] == (at(16), EVENT)
    assert (at(16), "the end") in on.seen


async def test_an_answer_that_is_encoded_is_decoded_into_a_plain_stream(
    autojump_clock: MockClock,
) -> None:
    data = gzip.compress(EVENT * 2)
    async with stage() as on:
        await begun(on)
        await on.way.downstream.begin(200, [*EVENTS, (b"content-encoding", b"gzip")])
        await on.way.downstream.write(data[:15])
        await on.way.downstream.write(data[15:20])
        await on.way.downstream.finish(data[20:])
    assert b"".join(what for _, what in on.words) == ALIVE + EVENT * 2
    assert (at(16), "the end") in on.seen


async def test_an_encoded_answer_that_ends_too_early_has_no_clean_end(
    autojump_clock: MockClock,
) -> None:
    async with stage() as on:
        await begun(on)
        await on.way.downstream.begin(200, [*EVENTS, (b"content-encoding", b"gzip")])
        await on.way.downstream.write(gzip.compress(EVENT)[:-1])
        with pytest.raises(UpstreamFailed, match="ends too early"):
            await on.way.downstream.finish()
    assert "the end" not in [what for _, what in on.seen]


async def test_an_answer_that_is_no_event_stream_has_failed(autojump_clock: MockClock) -> None:
    async with stage() as on:
        await begun(on)
        with pytest.raises(UpstreamFailed, match="answered application/json, where"):
            await on.way.downstream.begin(200, [(b"content-type", b"application/json")])
    assert on.words == [(at(15), ALIVE)]


@pytest.mark.parametrize("api", Api)
async def test_a_refusal_becomes_an_event_and_nothing_follows(
    api: Api, autojump_clock: MockClock
) -> None:
    async with stage(api=api) as on:
        await begun(on)
        headers = [(b"content-type", b"application/json")]
        await on.way.downstream.begin(400, headers)
        await on.way.downstream.write(b'{"error": {"message": "no",\n')
        await trio.sleep(100)
        await on.way.downstream.write(b'"type": "t"}}')
        await on.way.downstream.finish()
        await trio.sleep(100)
    (_, alive), (when, event) = on.words
    assert (alive, when) == (ALIVE, 116)
    data = json.loads(event.partition(b"data: ")[2])
    assert data["error"]["message"] == "m: its server answered 400: no"
    assert data["error"]["type"] == ("invalid_request_error" if api is Api.ANTHROPIC else "t")
    assert "the end" not in [what for _, what in on.seen]


async def test_a_refusal_before_the_stream_began_is_passed_on_as_it_is(
    autojump_clock: MockClock,
) -> None:
    async with stage() as on:
        on.admit()
        await on.way.downstream.begin(400, [(b"content-type", b"application/json")])
        await on.way.downstream.write(b'{"error": "no"}')
        await trio.sleep(100)
        await on.way.downstream.finish()
    assert heads(on) == [(400, {b"content-type": b"application/json"})]
    assert on.words == [(0, b'{"error": "no"}')]
    assert (at(100), "the end") in on.seen
