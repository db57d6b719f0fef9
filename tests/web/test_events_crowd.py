"""Many who listen to the event stream, of whom some never read."""

from __future__ import annotations

import gc
import tracemalloc
from contextlib import AsyncExitStack

import pytest
import trio

from swapd.ids import Generation, ModelId
from swapd.policy.life import ModelState, Reason, Transition
from swapd.web import limits
from tests.web.event_clients import Listener, listening
from tests.web.floor import Floor, floor, get
from tests.web.raw import LONG

READERS, SLEEPERS = 5, 5

#: What is written to the log meanwhile, and how much memory that may cost.
FLOOD_BYTES = 4 * 1024 * 1024
BOUND_BYTES = 4 * 1024 * 1024

LINE = b"x" * 1023 + b"\n"


def changed(web: Floor) -> None:
    states = (ModelState.STOPPED, ModelState.STARTING)
    old, new = states if web.lifecycle.seq % 2 else states[::-1]
    web.lifecycle.publish(Transition(ModelId("m"), old, new, Reason.REQUEST, Generation(1)))


async def flood(web: Floor) -> None:
    """Let more happen than any client could take that does not read."""
    log = web.services.logs.of(ModelId("m"))
    for number in range(FLOOD_BYTES // (64 * len(LINE))):
        log.write(LINE * 64)
        changed(web)
        with web.services.requests.track("m", method="POST", path="/", client=None) as tracked:
            tracked.admitted()
            if number % 8:
                await trio.lowlevel.checkpoint()
            else:  # so that it lasts, and fills what lies between; a busy machine wakes late
                await trio.sleep(0.008)


async def hear_to(listener: Listener, seq: int) -> None:
    """Read on until the listener is told of the transition ``seq``."""
    end, last = b'-%d\nevent:message\ndata:{"type":"modelStatus"' % seq, b""
    while end not in last:
        piece = bytes(await listener.stream.receive_some())
        assert piece
        last = last[-len(end) :] + piece


async def test_who_never_reads_costs_little_memory_and_delays_nobody() -> None:
    async with floor() as web, AsyncExitStack() as stack, trio.open_nursery() as nursery:
        sleepers = [
            await stack.enter_async_context(listening(web, receive_buffer=4096))
            for _ in range(SLEEPERS)
        ]
        readers = [await stack.enter_async_context(listening(web)) for _ in range(READERS)]
        for listener in (*sleepers, *readers):
            await listener.hear_burst()

        gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        async with trio.open_nursery() as reading:
            last = web.lifecycle.seq + FLOOD_BYTES // (64 * len(LINE))
            for listener in readers:
                reading.start_soon(hear_to, listener, last)
            await flood(web)
            with trio.fail_after(LONG):  # nobody waits for those who do not read
                assert (await web.ask(get("/running"))).status == 200
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert after - before < BOUND_BYTES
        nursery.cancel_scope.cancel()


async def test_who_reads_again_is_told_how_much_is_missing_and_how_things_are_now() -> None:
    async with floor() as web, listening(web, receive_buffer=4096) as sleeper:
        await sleeper.hear_burst()
        with web.services.requests.track("m", method="POST", path="/", client=None):
            await flood(web)
            changed(web)
            logged, missed = 0, 0
            told: list[object] = []
            while int(sleeper.places[-1].split("-")[1]) < web.lifecycle.seq or missed == 0:
                kind, data = await sleeper.hear()
                if kind == "logData":
                    head, dropped, tail = data["data"].partition(" bytes dropped —")
                    missed += int(head.rpartition("— ")[2]) if dropped else 0
                    logged += len(tail if dropped else head)
                else:
                    told.append(data)
            assert missed > 0
            assert missed + logged <= FLOOD_BYTES
            assert len(told) < 100, "states in between are not told"


async def test_who_does_not_read_cannot_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LAST_WORDS", 0.05)
    async with floor() as web, listening(web, receive_buffer=4096) as sleeper:
        await sleeper.hear_burst()
        await flood(web)
        web.services.closing.set()
        with trio.fail_after(LONG):
            while web.lifecycle.news:  # noqa: ASYNC110  in another task
                await trio.sleep(0.01)
