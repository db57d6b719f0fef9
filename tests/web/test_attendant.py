"""Who serves the requests of one connection, in which tasks."""

from __future__ import annotations

import trio
from trio.testing import wait_all_tasks_blocked

from swapd.cuttable import Lasting
from swapd.web.attendant import Attendant, Work


def noting(tasks: list[trio.lowlevel.Task], until: trio.Event | None = None) -> Work:
    async def work(scope: trio.CancelScope, blocks: Lasting) -> None:
        tasks.append(trio.lowlevel.current_task())
        if until is not None:
            await until.wait()

    return work


async def test_one_task_serves_what_comes_one_after_another() -> None:
    tasks: list[trio.lowlevel.Task] = []
    async with trio.open_nursery() as nursery:
        attendant = Attendant(nursery.start_soon)
        for _ in range(3):
            attendant.take(noting(tasks))
            await wait_all_tasks_blocked()
        attendant.close()
    assert len(tasks) == 3
    assert len(set(tasks)) == 1


async def test_what_comes_while_another_is_served_does_not_wait_for_it() -> None:
    tasks: list[trio.lowlevel.Task] = []
    end = trio.Event()
    async with trio.open_nursery() as nursery:
        attendant = Attendant(nursery.start_soon)
        for _ in range(3):
            attendant.take(noting(tasks, end))
        await wait_all_tasks_blocked()
        assert len(set(tasks)) == 3
        end.set()
        await wait_all_tasks_blocked()
        attendant.take(noting(tasks))
        attendant.take(noting(tasks))
        await wait_all_tasks_blocked()
        attendant.close()
    assert len(tasks) == 5
    assert tasks[3] != tasks[4]


async def test_what_was_taken_is_served_even_if_nothing_more_will_come() -> None:
    tasks: list[trio.lowlevel.Task] = []
    async with trio.open_nursery() as nursery:
        attendant = Attendant(nursery.start_soon)
        attendant.take(noting(tasks))
        await wait_all_tasks_blocked()
        attendant.take(noting(tasks))
        attendant.close()
        attendant.take(noting(tasks))
    assert len(tasks) == 3


async def test_its_task_ends_with_its_connection() -> None:
    async with trio.open_nursery() as nursery:
        attendant = Attendant(nursery.start_soon)
        attendant.take(noting([]))
        await wait_all_tasks_blocked()
        assert nursery.child_tasks
        nursery.cancel_scope.cancel(reason="the test is over")


async def test_who_is_cancelled_serves_nobody_after_that() -> None:
    tasks: list[trio.lowlevel.Task] = []

    async def leave(scope: trio.CancelScope, blocks: Lasting) -> None:
        scope.cancel(reason="the client left")

    async with trio.open_nursery() as nursery:
        attendant = Attendant(nursery.start_soon)
        for work in (noting(tasks), leave, noting(tasks)):
            attendant.take(work)
            await wait_all_tasks_blocked()
        attendant.close()
    assert len(tasks) == 2
    assert tasks[0] != tasks[1]
