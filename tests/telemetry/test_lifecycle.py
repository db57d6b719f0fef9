"""The numbered stream of transitions, and who hears what of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from swapd.ids import Generation, ModelId
from swapd.policy.life import ModelState, Reason, Transition
from swapd.telemetry.lifecycle import HISTORY, Event, Lifecycle
from swapd.telemetry.subscription import LAG, Subscription, TooSlow

A = ModelId("a")


def some_lifecycle() -> Lifecycle:
    clock = itertools.count(1000)
    return Lifecycle(wall_clock=lambda: float(next(clock)))


def change(generation: int = 1) -> Transition:
    return Transition(
        A, ModelState.STOPPED, ModelState.STARTING, Reason.REQUEST, Generation(generation)
    )


@contextmanager
def listening(lifecycle: Lifecycle, after: int | None = None) -> Iterator[Subscription[Event]]:
    """Listen for the length of the block as the websocket does."""
    subscription = Subscription[Event](lifecycle.missed(after))
    with lifecycle.telling(subscription.tell, subscription.close):
        yield subscription


async def seqs(subscription: Subscription[Event]) -> list[int]:
    return [event.seq async for event in subscription]


async def test_events_are_numbered_and_stamped() -> None:
    lifecycle = some_lifecycle()
    assert (lifecycle.latest(A), lifecycle.since(A)) == (None, 1000.0)
    lifecycle.publish(change(1))
    lifecycle.publish(change(2))
    latest = lifecycle.latest(A)
    assert latest is not None
    assert (latest.seq, latest.time, latest.transition.generation) == (2, 1002.0, 2)
    assert lifecycle.since(A) == 1002.0


async def test_a_listener_hears_what_comes_after_it_began() -> None:
    lifecycle = some_lifecycle()
    lifecycle.publish(change())
    with listening(lifecycle) as subscription:
        lifecycle.publish(change())
        lifecycle.publish(change())
        lifecycle.close()
        assert await seqs(subscription) == [2, 3]


async def test_a_listener_that_comes_back_hears_what_it_missed() -> None:
    lifecycle = some_lifecycle()
    for _ in range(5):
        lifecycle.publish(change())
    with listening(lifecycle, after=2) as subscription:
        lifecycle.publish(change())
        lifecycle.close()
        assert await seqs(subscription) == [3, 4, 5, 6]


async def test_a_listener_waits_for_what_comes(autojump_clock: MockClock) -> None:
    lifecycle = some_lifecycle()
    heard: list[int] = []

    async def listen() -> None:
        with listening(lifecycle) as subscription:
            heard.extend(await seqs(subscription))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        await wait_all_tasks_blocked()
        lifecycle.publish(change())
        await wait_all_tasks_blocked()
        lifecycle.close()
    assert heard == [1]


@pytest.mark.parametrize(
    ("since", "known"), [(0, False), (9, False), (10, True), (11, True), (HISTORY + 10, True)]
)
def test_what_is_too_old_or_in_the_future_cannot_be_resumed(since: int, known: bool) -> None:
    lifecycle = some_lifecycle()
    for _ in range(HISTORY + 10):
        lifecycle.publish(change())
    assert lifecycle.can_resume(since, lifecycle.instance) is known
    assert lifecycle.can_resume(since, None) is known
    assert not lifecycle.can_resume(since, "another")
    assert not lifecycle.can_resume(HISTORY + 11, None)


def test_nothing_happened_yet_can_be_resumed_from_nothing() -> None:
    lifecycle = some_lifecycle()
    assert lifecycle.can_resume(0, None)
    assert not lifecycle.can_resume(1, None)


async def test_a_slow_listener_is_told_and_loses_nothing_before_that() -> None:
    lifecycle = some_lifecycle()
    with listening(lifecycle) as slow, listening(lifecycle) as other:
        for _ in range(LAG):
            lifecycle.publish(change())
        assert (await anext(other)).seq == 1
        lifecycle.publish(change())
        lifecycle.publish(change())
        heard: list[int] = []

        async def listen() -> None:
            async for event in slow:
                heard.append(event.seq)  # noqa: PERF401  what was heard before it raises

        with pytest.raises(TooSlow):
            await listen()
        assert heard == list(range(1, LAG + 1))
        with pytest.raises(TooSlow):  # it lagged by one too many only at the second
            await seqs(other)


async def test_who_comes_after_the_end_is_sent_away_at_once() -> None:
    lifecycle = some_lifecycle()
    lifecycle.close()
    with listening(lifecycle) as subscription:
        assert await seqs(subscription) == []
