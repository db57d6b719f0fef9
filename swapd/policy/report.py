"""What a simulation came to, in figures.  All durations are in seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from swapd.ids import ModelId
from swapd.policy.life import Reason


@dataclass(frozen=True, slots=True)
class Waits:
    """How long those who were served had waited for it."""

    mean: float
    #: 95 of 100 waited no longer.
    p95: float
    max: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What became of one model and its requests, or of all together."""

    served: int
    refused: int
    #: None where nobody was served.
    wait: Waits | None
    #: In which part of the makespan at least one request was served, from 0 to 1.
    busy: float
    starts: int
    #: How often it was stopped to make room for another.
    evictions: int
    #: How often it was stopped for having idled longer than its ``ttl``.
    idle_unloads: int
    #: How long it loaded, all loads together.
    loading: float


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a trace; ``makespan`` is from the first arrival to the end of the last."""

    makespan: float
    overall: Figures
    models: Mapping[ModelId, Figures]
    #: How often a request was refused, by the words of the refusal.
    refusals: Mapping[str, int]


def waits_of(waits: Sequence[float]) -> Waits | None:
    """Return the figures of ``waits``; None if there are none."""
    if not waits:
        return None
    rank = -(-95 * len(waits) // 100)  # rounded up: the nearest rank, no value in between
    return Waits(sum(waits) / len(waits), sorted(waits)[rank - 1], max(waits))


@dataclass(slots=True)
class _Account:
    """What one model has come to so far, or all together."""

    waits: list[float] = field(default_factory=list)
    refused: int = 0
    starts: int = 0
    stops: Counter[Reason] = field(default_factory=Counter)
    loading: float = 0.0
    #: How many it serves, since when anybody is served, and for how long that was before.
    serving: int = 0
    busy_since: float = 0.0
    busy: float = 0.0

    def begin(self, now: float) -> None:
        if not self.serving:
            self.busy_since = now
        self.serving += 1

    def end(self, now: float) -> None:
        self.serving -= 1
        if not self.serving:
            self.busy += now - self.busy_since

    def figures(self, makespan: float) -> Figures:
        return Figures(
            served=len(self.waits),
            refused=self.refused,
            wait=waits_of(self.waits),
            busy=self.busy / makespan if makespan else 0.0,
            starts=self.starts,
            evictions=self.stops[Reason.SWAP] + self.stops[Reason.ABORTED],
            idle_unloads=self.stops[Reason.TTL],
            loading=self.loading,
        )


class Ledger:
    """Keeps count of what happens, for each model and for all together."""

    def __init__(self, models: Iterable[ModelId]) -> None:
        self._models = {model: _Account() for model in models}
        self._all = _Account()
        self._refusals: Counter[str] = Counter()

    def admitted(self, model: ModelId, waited: float, now: float) -> None:
        """Record that a request is served from now on."""
        for account in self._accounts(model):
            account.waits.append(waited)
            account.begin(now)

    def finished(self, model: ModelId, now: float) -> None:
        """Record that a request is served no more."""
        for account in self._accounts(model):
            account.end(now)

    def refused(self, model: ModelId, words: str) -> None:
        """Record that a request was turned away."""
        self._refusals[words] += 1
        for account in self._accounts(model):
            account.refused += 1

    def started(self, model: ModelId) -> None:
        """Record that a load began."""
        for account in self._accounts(model):
            account.starts += 1

    def loaded(self, model: ModelId, seconds: float) -> None:
        """Record that a load took so long, whether it came to its end or not."""
        for account in self._accounts(model):
            account.loading += seconds

    def stopped(self, model: ModelId, reason: Reason) -> None:
        """Record why a model was stopped."""
        for account in self._accounts(model):
            account.stops[reason] += 1

    def report(self, makespan: float) -> Report:
        """Return what it all came to."""
        return Report(
            makespan=makespan,
            overall=self._all.figures(makespan),
            models={model: own.figures(makespan) for model, own in self._models.items()},
            refusals=dict(self._refusals),
        )

    def _accounts(self, model: ModelId) -> tuple[_Account, _Account]:
        return self._models[model], self._all
