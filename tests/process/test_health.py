"""When a server is asked, first whether it is ready, then whether it hangs; on a virtual clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from swapd.process.health import Liveness, wait_until_hung, wait_until_ready


def ready_after(seconds: float, asked: list[float]) -> Callable[[], Awaitable[str | None]]:
    began = trio.current_time()

    async def probe() -> str | None:
        await trio.lowlevel.checkpoint()
        asked.append(trio.current_time() - began)
        return None if asked[-1] >= seconds else f"status 503 at {asked[-1]:.2f}"

    return probe


async def pauses_of_a_load(seconds: float) -> list[float]:
    asked: list[float] = []
    await wait_until_ready(ready_after(seconds, asked), heard=lambda _: None)
    return [later - earlier for earlier, later in pairwise(asked)]


async def test_a_server_that_is_ready_is_asked_once_and_at_once(
    autojump_clock: MockClock,
) -> None:
    asked: list[float] = []
    await wait_until_ready(ready_after(0, asked), heard=pytest.fail)
    assert asked == [0]


async def test_the_first_pauses_are_20_ms(autojump_clock: MockClock) -> None:
    assert await pauses_of_a_load(0.9) == pytest.approx([0.02] * 45)


async def test_a_pause_is_2_percent_of_the_time_so_far(autojump_clock: MockClock) -> None:
    asked: list[float] = []
    await wait_until_ready(ready_after(20, asked), heard=lambda _: None)
    late = [(a, b - a) for a, b in pairwise(asked) if a > 1.1]
    assert all(pause == pytest.approx(0.02 * at) for at, pause in late)


async def test_no_pause_is_longer_than_half_a_second(autojump_clock: MockClock) -> None:
    pauses = await pauses_of_a_load(300)
    assert max(pauses) == pytest.approx(0.5)
    assert pauses[-1] == pytest.approx(0.5)


async def test_every_refusal_is_heard_in_order(autojump_clock: MockClock) -> None:
    heard: list[str] = []
    await wait_until_ready(ready_after(0.05, []), heard=heard.append)
    assert heard == ["status 503 at 0.00", "status 503 at 0.02", "status 503 at 0.04"]


async def test_a_probe_that_hangs_is_given_up_after_two_seconds(
    autojump_clock: MockClock,
) -> None:
    answers = iter([trio.sleep_forever, trio.lowlevel.checkpoint])
    heard: list[str] = []
    began = trio.current_time()

    async def probe() -> str | None:
        await next(answers)()
        return None

    await wait_until_ready(probe, heard=heard.append)
    assert heard == ["no answer within 2 s"]
    assert trio.current_time() - began == pytest.approx(2 + 0.04)


async def test_a_cancelled_wait_is_no_readiness(autojump_clock: MockClock) -> None:
    with trio.move_on_after(60) as patience:
        await wait_until_ready(ready_after(1e9, []), heard=lambda _: None)
    assert patience.cancelled_caught


# -- a ready server ------------------------------------------------------------------------


@dataclass
class Watched:
    """A server that answers as the test has written down; then it answers no more."""

    answers: list[str | None]
    every: float = 10
    failures: int = 3
    asked: list[float] = field(default_factory=list)
    saw: str | None = None

    def __post_init__(self) -> None:
        self._began = trio.current_time()
        self.terms = Liveness(self._probe, self.every, self.failures)

    async def _probe(self) -> str | None:
        self.asked.append(trio.current_time() - self._began)
        if not self.answers:
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()
        return self.answers.pop(0)

    def change(self, every: float, failures: int = 3) -> None:
        before, self.terms = self.terms, Liveness(self._probe, every, failures)
        before.outdated.set()

    async def watch(self) -> str:
        self.saw = await wait_until_hung(lambda: self.terms)
        return self.saw


async def test_a_ready_server_is_asked_after_each_pause_and_hangs_after_so_many_failures(
    autojump_clock: MockClock,
) -> None:
    server = Watched(["status 503", "connection refused", "status 500"])
    saw = "3 health checks in a row failed, last answer: status 500"
    assert await server.watch() == saw
    assert server.asked == [10, 20, 30]


async def test_an_answer_between_the_failures_begins_the_count_anew(
    autojump_clock: MockClock,
) -> None:
    server = Watched(["status 503", "status 503", None, "status 503", "status 503"])
    assert (await server.watch()).endswith("no answer within 2 s")
    assert server.asked == [10, 20, 30, 40, 50, 60]


async def test_the_pause_begins_when_the_answer_has_come_or_was_given_up(
    autojump_clock: MockClock,
) -> None:
    server = Watched([], failures=2)
    await server.watch()
    assert server.asked == [10, 22]
    assert trio.current_time() == server.asked[1] + 2


async def test_one_failure_is_told_as_one(autojump_clock: MockClock) -> None:
    server = Watched(["status 503"], failures=1)
    assert await server.watch() == "its health check failed, last answer: status 503"


@pytest.mark.parametrize("terms", [Liveness(), Liveness(every=1), Liveness(pytest.fail, every=0)])
async def test_nobody_is_asked_unless_there_is_a_pause_and_a_way_to_ask(
    autojump_clock: MockClock, terms: Liveness
) -> None:
    with trio.move_on_after(3600) as given_up:
        await wait_until_hung(lambda: terms)
    assert given_up.cancelled_caught


async def test_another_pause_counts_from_the_last_answer(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    server = Watched(["status 503"] * 5, every=100)
    nursery.start_soon(server.watch)
    await trio.sleep(150)
    server.change(every=20)
    await trio.sleep(1)
    assert server.asked == [100, 150]
    server.change(every=200)
    await trio.sleep(198)
    assert server.asked == [100, 150]
    await trio.sleep(2)
    assert server.asked == [100, 150, 350]


async def test_fewer_failures_may_be_enough_from_now_on(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    server = Watched(["status 503"] * 5)
    nursery.start_soon(server.watch)
    await trio.sleep(25)
    server.change(every=10, failures=2)
    await wait_all_tasks_blocked()
    assert server.saw == "2 health checks in a row failed, last answer: status 503"


async def test_what_is_turned_off_during_a_probe_does_no_harm_and_begins_anew_when_it_is_on_again(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    server = Watched(["status 503", "status 503"])
    nursery.start_soon(server.watch)
    await trio.sleep(31)
    assert server.asked == [10, 20, 30], "the third is not answered yet"
    server.change(every=0)
    await trio.sleep(69)
    server.change(every=10)
    await trio.sleep(35)
    assert server.asked[3:] == [110, 122, 134]
    assert server.saw is None
    await trio.sleep(2)
    assert server.saw is not None
