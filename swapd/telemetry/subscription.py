"""What one listener is still to be told, in its order.

Rule 1: what it is told, it gets, or it is told that it was too slow; nothing is lost in silence.
Rule 2: telling never blocks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Generic, Self, TypeVar

import trio

T = TypeVar("T")

#: How much a listener may lag behind before it is cut.
LAG = 1024


class TooSlow(Exception):
    """This listener did not keep up; what follows is not told to it."""


class Subscription(Generic[T]):
    """News of one kind or more, for one listener: an async iterator."""

    def __init__(self, missed: Iterable[T] = (), *, lag: int = LAG) -> None:
        """Begin with what was ``missed``; of what comes up to ``lag`` may wait."""
        self._missed = deque(missed)
        self._overflowed = False
        self._send, self._receive = trio.open_memory_channel[T](lag)

    def tell(self, news: T) -> None:
        """Queue ``news``, or give the listener up.  Never blocks."""
        try:
            self._send.send_nowait(news)
        except trio.WouldBlock:
            self._overflowed = True
            self._send.close()
        except trio.ClosedResourceError:
            pass  # given up already, or over

    def close(self) -> None:
        """End the stream after what is queued."""
        self._send.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        """Return what was missed, then what comes, until the subscription is closed.

        Raises:
          TooSlow: After the last that was kept for a listener that lags.
        """
        if self._missed:
            return self._missed.popleft()
        try:
            return await self._receive.receive()
        except trio.EndOfChannel:
            if self._overflowed:
                raise TooSlow from None
            raise StopAsyncIteration from None
