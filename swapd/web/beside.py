"""Tasks beside a request, of which most have none: so none has a nursery, which costs something."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeAlias

import trio
from hypercorn.typing import HTTPScope

from swapd.web.errors import BUG
from swapd.web.request_log import blame

#: What runs beside a request.
Side: TypeAlias = Callable[[], Awaitable[None]]


class Beside:
    """One request, which can be cancelled, and the tasks beside it, which end with it.

    As in a nursery: what fails beside it ends the request, and is raised at its end.
    """

    def __init__(
        self,
        spawn: Callable[..., None],
        around: trio.CancelScope | None = None,
        scope: HTTPScope | None = None,
    ) -> None:
        """Begin tasks by ``spawn``.

        Args:
          spawn: Begins a task that may outlive the block.
          around: What was entered around the request, to end it by; if None, it has its own.
          scope: Of the request: by it is told that it ended for what failed beside it.
        """
        #: Ends the request.
        self.cancel_scope = trio.CancelScope() if around is None else around
        self._is_own = around is None
        self._spawn = spawn
        self._scope = scope
        self._tasks: dict[trio.CancelScope, trio.Event] = {}
        self._failure: Exception | None = None

    def start_soon(self, side: Side) -> None:
        """Have ``side`` run beside the request, until that is over."""
        scope = trio.CancelScope()
        self._tasks[scope] = trio.Event()
        self._spawn(self._run, side, scope)

    async def _run(self, side: Side, scope: trio.CancelScope) -> None:
        try:
            with scope:
                await side()
        except Exception as failure:  # noqa: BLE001  raised at the end of the request
            self._failure = failure
            if self._scope is not None:
                blame(self._scope, BUG.kind.status, BUG.message)
            self.cancel_scope.cancel(reason="a task beside it failed")
        finally:
            self._tasks.pop(scope).set()

    async def __aenter__(self) -> Self:
        """Begin the request."""
        if self._is_own:
            self.cancel_scope.__enter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        """End the request, and what runs beside it."""
        if self._tasks:
            await self._end_tasks()  # noqa: ASYNC102  cancelled tasks end by themselves
        is_caught = self._is_own and self.cancel_scope.__exit__(kind, error, traceback)
        if self._failure is not None:
            raise self._failure
        return is_caught

    async def _end_tasks(self) -> None:
        running = dict(self._tasks)
        for scope in running:
            scope.cancel(reason="its request is over")
        with trio.CancelScope(shield=True):
            for is_over in running.values():
                await is_over.wait()
