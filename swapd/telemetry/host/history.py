"""What was measured in the last hour, and no more than that."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime

from swapd.telemetry.host.figures import Sample

#: Seconds that are kept.
KEPT = 3600


class History:
    """The newest measurements, oldest first."""

    def __init__(self, every: float) -> None:
        """Keep an hour of what is measured ``every`` so many seconds."""
        self._samples = deque[Sample](maxlen=_room(every))

    def measured_every(self, every: float) -> None:
        """Keep an hour of what is measured so from now on, and as much of what there is."""
        self._samples = deque(self._samples, maxlen=_room(every))

    def add(self, sample: Sample) -> None:
        """Keep ``sample``, at the cost of the oldest."""
        self._samples.append(sample)

    def clear(self) -> None:
        """Forget everything."""
        self._samples.clear()

    @property
    def latest(self) -> Sample | None:
        """The newest, if there is any."""
        return self._samples[-1] if self._samples else None

    def after(self, time: datetime | None) -> Sequence[Sample]:
        """Return what was measured later than ``time``, or all."""
        if time is None:
            return tuple(self._samples)
        return tuple(sample for sample in self._samples if sample.time > time)


def _room(every: float) -> int:
    return max(1, int(KEPT / every))
