"""Knows how long each model has been starting, all its starts taken together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import trio

from swapd.ids import ModelId
from swapd.policy.life import ModelState, Transition


class Starts:
    """Adds up the time that models take to start.

    Whoever waits for a model asks twice, and knows by the difference how much of the wait was the
    start of that model, and how much was for others.
    """

    def __init__(self, clock: Callable[[], float] = trio.current_time) -> None:
        """Know of no start; ``clock`` gives seconds."""
        self._clock = clock
        self._since: dict[ModelId, float] = {}
        self._totals: defaultdict[ModelId, float] = defaultdict(float)

    def note(self, transition: Transition) -> None:
        """Take note that a model has begun to start, or does not any more."""
        if transition.new is ModelState.STARTING:
            self._since[transition.model] = self._clock()
        elif (since := self._since.pop(transition.model, None)) is not None:
            self._totals[transition.model] += self._clock() - since

    def total(self, model: ModelId) -> float:
        """Return for how many seconds ``model`` has been starting until now."""
        since = self._since.get(model)
        under_way = 0.0 if since is None else self._clock() - since
        return self._totals.get(model, 0.0) + under_way
