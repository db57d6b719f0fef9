"""A block that can be ended from outside, with an error that says why."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import trio

from swapd.errors import RequestError


class Lasting:
    """The scope of many blocks of one task, one after another, which a cut block uses up.

    To enter a scope and to leave it costs more than all that decides who is served.  So a task that
    serves one request after another enters one around them all.  No other scope may be entered or
    left between it and a block: that would be in its way when the block is cut.
    """

    __slots__ = ("_scope",)

    def __init__(self) -> None:
        self._scope: trio.CancelScope | None = None

    def __enter__(self) -> Self:
        self.scope()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        return self._scope is not None and self._scope.__exit__(kind, error, trace)

    def scope(self) -> trio.CancelScope:
        """Return the one that is entered; another if that was used up."""
        if self._scope is None:
            self._scope = trio.CancelScope()
            self._scope.__enter__()
        return self._scope

    def use_up(self) -> None:
        """Leave it to a block to leave the scope."""
        self._scope = None


class Cuttable:
    """One block, entered once.  A block that is done before it is cut has not failed.

    There is one around each request, whoever may end that.
    """

    __slots__ = ("_scope", "_why", "within")

    def __init__(self) -> None:
        #: Whose scope it takes; if None, it makes its own.
        self.within: Lasting | None = None
        self._scope: trio.CancelScope | None = None  # while we are in the block
        self._why: RequestError | None = None

    def cut(self, why: RequestError) -> None:
        """End the block, or do not let it begin; the first reason is the one that counts."""
        if self._why is None:
            self._why = why
            if self._scope is not None:
                self._scope.cancel(reason=str(why))

    def __enter__(self) -> Cuttable:
        if self.within is None:
            self._scope = trio.CancelScope()
            self._scope.__enter__()
        else:
            self._scope = self.within.scope()
        if self._why is not None:
            self._scope.cancel(reason=str(self._why))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """End the block.

        Raises:
          RequestError: Why it was cut, if it was before it came to its end.
        """
        scope, self._scope = self._scope, None
        assert scope is not None  # it was entered
        if self.within is not None:
            if self._why is None:
                return False  # the scope is the next block's, too
            self.within.use_up()
        was_cut = scope.__exit__(kind, error, trace)
        if scope.cancelled_caught and self._why is not None:
            raise self._why
        return was_cut
