"""Sums remembered requests up for whoever asks, and does not do it all the time.

A page that shows the sums asks again after each request.  Where there are a million rows that takes
seconds of a processor, so an answer that was dear is given again for a while.
"""

from __future__ import annotations

from functools import partial

import trio

from swapd.telemetry.activity.activity import Activity
from swapd.telemetry.activity.statistics import Statistics, sum_up

#: Seconds that an answer may take without being given again.
DEAR = 0.1

#: For how many times as long as it took it is.
WORTH = 10

#: How many are held at most.
_MOST = 64


class Summaries:
    """The sums of all rows, and of each model's."""

    def __init__(self, activity: Activity) -> None:
        """Sum up what ``activity`` remembers."""
        self._activity = activity
        self._held: dict[str | None, tuple[float, Statistics]] = {}
        self._turn = trio.Lock()

    async def of(self, model: str | None) -> Statistics:
        """Return the sums of all rows, or of those of ``model``; dear ones may be a bit old.

        Raises:
          StoreUnreadable: The store cannot be read now.
        """
        async with self._turn:
            until, statistics = self._held.get(model, (0.0, None))
            began = trio.current_time()
            if statistics is None or began >= until:
                statistics = await self._activity.read(partial(sum_up, model=model))
                self._hold(model, statistics, began)
            return statistics

    def _hold(self, model: str | None, statistics: Statistics, began: float) -> None:
        self._held.pop(model, None)
        now = trio.current_time()
        if now - began > DEAR:
            if len(self._held) >= _MOST:
                self._held.clear()
            self._held[model] = (now + WORTH * (now - began), statistics)
