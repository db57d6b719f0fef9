"""Serves the requests of one connection: one after another in one task, which is soon awake.

A request that is cancelled takes its task with it: its client has left, and the connection ends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import trio

from swapd.cuttable import Lasting

#: Serves one request, which the scope that it is given ends, and in whose block it may be cut.
Work: TypeAlias = Callable[[trio.CancelScope, Lasting], Awaitable[None]]


class Attendant:
    """Serves each request at once.  Who comes while another is served has a task of its own."""

    def __init__(self, spawn: Callable[..., None]) -> None:
        """Begin tasks by ``spawn``, the first one with the first request."""
        self._spawn = spawn
        self._rests: trio.lowlevel.Task | None = None
        self._next: Work | None = None
        self._is_closed = False

    def take(self, work: Work) -> None:
        """Have ``work`` done."""
        if self._rests is None:
            self._spawn(self._attend, work)
        else:
            self._next = work
            self._wake(self._rests)

    def close(self) -> None:
        """Let the task end when it has done its work."""
        self._is_closed = True
        if self._rests is not None:
            self._wake(self._rests)

    async def _attend(self, work: Work | None) -> None:
        # One for all of each: they cost something.
        with trio.CancelScope() as scope, Lasting() as blocks:
            while work is not None:
                await work(scope, blocks)
                work = None
                if not self._is_closed and self._rests is None:
                    self._rests = trio.lowlevel.current_task()
                    await trio.lowlevel.wait_task_rescheduled(self._leave)
                    work, self._next = self._next, None

    def _wake(self, task: trio.lowlevel.Task) -> None:
        self._rests = None
        trio.lowlevel.reschedule(task)

    def _leave(self, _: object) -> trio.lowlevel.Abort:
        self._rests = None
        return trio.lowlevel.Abort.SUCCEEDED
