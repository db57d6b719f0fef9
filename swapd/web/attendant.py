"""Serves the requests of one connection: one after another in one task, which is soon awake.

A request that is cancelled takes its task with it: its client has left, and the connection ends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import trio

#: Serves one request, which the scope that it is given ends.
Work: TypeAlias = Callable[[trio.CancelScope], Awaitable[None]]


class Attendant:
    """Serves each request at once.  Who comes while another is served has a task of its own."""

    def __init__(self, spawn: Callable[..., None]) -> None:
        """Begin tasks by ``spawn``, the first one with the first request."""
        self._spawn = spawn
        self._rest = trio.lowlevel.ParkingLot()
        self._next: Work | None = None
        self._is_closed = False

    def take(self, work: Work) -> None:
        """Have ``work`` done."""
        if self._rest:
            self._next = work
            self._rest.unpark()
        else:
            self._spawn(self._attend, work)

    def close(self) -> None:
        """Let the task end when it has done its work."""
        self._is_closed = True
        self._rest.unpark_all()

    async def _attend(self, work: Work | None) -> None:
        with trio.CancelScope() as scope:  # one for all: each costs something
            while work is not None:
                await work(scope)
                work = None
                if not (self._is_closed or self._rest):
                    await self._rest.park()
                    work, self._next = self._next, None
