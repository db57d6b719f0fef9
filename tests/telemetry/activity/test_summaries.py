"""Sums are as new as can be, as long as they are cheap."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TypeVar, cast

import trio
from trio.testing import MockClock

from swapd.telemetry.activity.activity import Activity
from swapd.telemetry.activity.keeping import Retention
from swapd.telemetry.activity.store import Store
from swapd.telemetry.activity.summaries import Summaries
from tests.telemetry.activity.finished import NOW, finished

_T = TypeVar("_T")


class Slow:
    """An activity that takes ``takes`` seconds for each question, and has more rows each time."""

    def __init__(self, takes: float) -> None:
        self._takes = takes
        self._store = Store(None)

    async def read(self, query: Callable[[sqlite3.Connection], _T]) -> _T:
        await trio.sleep(self._takes)
        self._store.work([finished()], Retention(), NOW)
        with self._store.reading() as connection:
            return query(connection)

    def close(self) -> None:
        self._store.close()


async def counts(takes: float, *waits: float, model: str | None = None) -> list[int]:
    """Return how many rows are told, at first and after each of ``waits``."""
    slow = Slow(takes)
    summaries = Summaries(cast(Activity, slow))
    told = [(await summaries.of(model)).requests]
    for wait in waits:
        await trio.sleep(wait)
        told.append((await summaries.of(model)).requests)
    slow.close()
    return told


async def test_what_is_cheap_is_always_new(autojump_clock: MockClock) -> None:
    assert await counts(0.09, 0, 0) == [1, 2, 3]


async def test_what_is_dear_is_given_again_for_a_while(autojump_clock: MockClock) -> None:
    assert await counts(2, 0, 19, 2, 0) == [1, 1, 1, 2, 2]


async def test_each_model_has_sums_of_its_own(autojump_clock: MockClock) -> None:
    slow = Slow(1)
    summaries = Summaries(cast(Activity, slow))
    assert (await summaries.of("none")).requests == 0
    assert (await summaries.of("m")).requests == 2
    assert (await summaries.of(None)).requests == 3
    assert (await summaries.of("m")).requests == 2
    slow.close()


async def test_those_who_ask_together_are_told_the_same(autojump_clock: MockClock) -> None:
    slow = Slow(1)
    summaries, told = Summaries(cast(Activity, slow)), list[int]()

    async def ask() -> None:
        told.append((await summaries.of(None)).requests)

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(ask)
    slow.close()
    assert told == [1] * 5
