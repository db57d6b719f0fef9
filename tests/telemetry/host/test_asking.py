"""What may hang is asked without waiting for it."""

from __future__ import annotations

import logging
import threading

import pytest
import trio

from swapd.telemetry.host.asking import Asked


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


async def test_an_answer_is_returned_and_nothing_said(caplog: pytest.LogCaptureFixture) -> None:
    assert await Asked("the card", lambda: 42, 10).ask() == 42
    assert said(caplog) == []


async def test_what_fails_is_told_once_and_that_it_works_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    answers = iter([ValueError("fan on fire."), ValueError("fan on fire"), None, None])

    def ask() -> int:
        if error := next(answers):
            raise error
        return 1

    asked = Asked("the card", ask, 10)
    assert [await asked.ask() for _ in range(4)] == [None, None, 1, 1]
    assert said(caplog) == [
        "the card: fan on fire; its figures are missing until it works",
        "the card works again",
    ]


async def test_what_hangs_is_given_up_and_not_asked_twice(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    hangs, calls = threading.Event(), list[int]()

    def ask() -> int:
        calls.append(1)
        hangs.wait(10)
        return 1

    asked = Asked("the card", ask, 0.05)
    assert [await asked.ask() for _ in range(3)] == [None, None, None]
    assert len(calls) == 1
    hangs.set()
    while await asked.ask() is None:  # noqa: ASYNC110  the thread comes back when it does
        await trio.sleep(0.01)
    assert said(caplog) == [
        "the card: does not answer within 0.05 s; its figures are missing until it works",
        "the card works again",
    ]


async def test_while_it_hangs_the_event_loop_goes_on() -> None:
    hangs, turns = threading.Event(), 0

    async def turn(scope: trio.CancelScope) -> None:
        nonlocal turns
        while True:
            await trio.sleep(0.001)
            turns += 1
            if turns == 10:
                scope.cancel(reason="seen enough")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(turn, nursery.cancel_scope)
        nursery.start_soon(Asked("the card", lambda: hangs.wait(10), 8).ask)
    hangs.set()
    assert turns == 10
