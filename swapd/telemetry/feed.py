"""Tells whoever listens, at once.  It keeps nothing and waits for nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class Feed(Generic[T]):
    """News of one kind.  Whoever listens may neither block nor raise."""

    def __init__(self) -> None:
        """Begin without a listener."""
        self._listeners: tuple[Callable[[T], None], ...] = ()

    def __bool__(self) -> bool:
        """Tell whether anybody listens: if not, news need not even be made."""
        return bool(self._listeners)

    def tell(self, news: T) -> None:
        """Tell everybody."""
        for hear in self._listeners:
            hear(news)

    @contextmanager
    def listen(self, hear: Callable[[T], None]) -> Iterator[None]:
        """Call ``hear`` with all news for the length of the block."""
        self._listeners = (*self._listeners, hear)
        try:
            yield
        finally:
            others = [*self._listeners]
            others.remove(hear)
            self._listeners = tuple(others)
