"""When those who may speak are prompted, on virtual time."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from swapd.web.prompter import TICK, Prompter


class Speaker:
    """Notes when it is prompted, and wants to be again ``every`` s."""

    def __init__(self, every: float = math.inf) -> None:
        self.due = trio.current_time() + every
        self.every = every
        self.prompted: list[float] = []

    def prompt(self, now: float) -> None:
        self.prompted.append(now)
        self.due += self.every


@asynccontextmanager
async def running() -> AsyncIterator[Prompter]:
    prompter = Prompter()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(prompter.run)
        yield prompter
        nursery.cancel_scope.cancel()


def near(*seconds: float) -> object:
    return pytest.approx([*seconds], abs=TICK)


async def test_everyone_is_prompted_when_it_is_due(autojump_clock: MockClock) -> None:
    began = trio.current_time()
    async with running() as prompter:
        await trio.sleep(100)
        often, seldom, never = Speaker(every=2), Speaker(every=5), Speaker()
        for speaker in (often, seldom, never):
            prompter.add(speaker)
        await trio.sleep(11)
    assert [when - began for when in often.prompted] == near(102, 104, 106, 108, 110)
    assert [when - began for when in seldom.prompted] == near(105, 110)
    assert never.prompted == []


async def test_who_has_gone_is_prompted_no_more_and_others_are(autojump_clock: MockClock) -> None:
    async with running() as prompter:
        gone = Speaker(every=1)
        prompter.add(gone)
        await trio.sleep(1.5)
        prompter.discard(gone)
        prompter.discard(gone)
        await trio.sleep(10)
        assert len(gone.prompted) == 1
        late = Speaker(every=1)
        prompter.add(late)
        await trio.sleep(1.5)
    assert len(late.prompted) == 1


async def test_while_there_is_nobody_nothing_happens(autojump_clock: MockClock) -> None:
    async with running() as prompter:
        speaker = Speaker()
        prompter.add(speaker)
        prompter.discard(speaker)
        await trio.sleep(1)
        assert trio.lowlevel.current_statistics().seconds_to_next_deadline == math.inf
