"""When a starting server is asked, on a virtual clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock

from swapd.process.health import wait_until_ready


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
