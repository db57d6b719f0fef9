"""A block that can be ended from outside, with an error that says why."""

from __future__ import annotations

from types import TracebackType

import trio

from swapd.errors import RequestError


class Cuttable:
    """One block, entered once.  A block that is done before it is cut has not failed.

    There is one around each request, whoever may end that: a cancel scope costs as much as all
    that decides who is served.
    """

    __slots__ = ("_scope", "_why")

    def __init__(self) -> None:
        self._scope = trio.CancelScope()
        self._why: RequestError | None = None

    def cut(self, why: RequestError) -> None:
        """End the block, or do not let it begin; the first reason is the one that counts."""
        if self._why is None:
            self._why = why
            self._scope.cancel(reason=str(why))

    def __enter__(self) -> Cuttable:
        self._scope.__enter__()
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
        was_cut = self._scope.__exit__(kind, error, trace)
        if self._scope.cancelled_caught and self._why is not None:
            raise self._why
        return was_cut
