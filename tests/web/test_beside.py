"""Tasks beside a request."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from swapd.web.beside import Beside


async def test_what_runs_beside_a_request_has_ended_when_that_is_over() -> None:
    ended: list[int] = []

    async def side() -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append(1)

    async with trio.open_nursery() as nursery:
        async with Beside(nursery.start_soon) as request:
            request.start_soon(side)
            await wait_all_tasks_blocked()
            request.start_soon(side)
        assert ended == [1, 1]  # the one that had not begun did so to end
        assert await _are_over(nursery)


async def _are_over(nursery: trio.Nursery) -> bool:
    await wait_all_tasks_blocked()
    return not nursery.child_tasks


async def test_what_has_ended_beside_a_request_is_not_waited_for() -> None:
    done = trio.Event()

    async def side() -> None:
        done.set()

    async with trio.open_nursery() as nursery:
        with trio.fail_after(5):
            async with Beside(nursery.start_soon) as request:
                request.start_soon(side)
                await done.wait()
                await wait_all_tasks_blocked()


async def test_a_cancelled_request_ends_what_runs_beside_it_and_goes_on_behind() -> None:
    went_on = False
    async with trio.open_nursery() as nursery:
        async with Beside(nursery.start_soon) as request:
            request.start_soon(trio.sleep_forever)
            request.cancel_scope.cancel(reason="the client left")
            await trio.sleep_forever()
        went_on = True
        assert await _are_over(nursery)
    assert went_on


async def test_what_fails_beside_a_request_ends_it_and_is_raised_there() -> None:
    async def fail() -> None:
        raise ValueError("beside")

    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            async with Beside(nursery.start_soon) as request:
                request.start_soon(fail)
                await trio.sleep_forever()

        with pytest.raises(ValueError, match="beside"):
            await serve()


async def test_a_failing_request_ends_what_runs_beside_it() -> None:
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            async with Beside(nursery.start_soon) as request:
                request.start_soon(trio.sleep_forever)
                raise ValueError("itself")

        with pytest.raises(ValueError, match="itself"):
            await serve()
        assert await _are_over(nursery)
