"""The rules of llama-swap's scheduler, in the facts and effects of ours, to hold ours against.

Whoever is ready serves whoever asks, whoever else waits.  Any other request begins its swap
at once if nobody is in the way, however long others have waited; else it joins one queue, which
is walked from its front whenever a swap is done or a model falls idle.  Nobody is ever overdue.

Left out are its limit of ten requests for one model, which would turn waiting into refusals,
and everything that a simulation has not: unloads, failures, clients that leave.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from swapd.ids import Generation, ModelId, Ticket
from swapd.policy.effects import Admit, Effect, StartModel, StopModel
from swapd.policy.eviction import EvictionPolicy
from swapd.policy.facts import (
    Fact,
    ModelReady,
    ModelStopped,
    RequestArrived,
    RequestFinished,
)
from swapd.policy.life import ModelState, Reason


@dataclass
class Swap:
    """A swap under way: whom it stops, who of them is not gone yet, and who waits for it."""

    evict: frozenset[ModelId]
    going: set[ModelId]
    waiters: list[Ticket] = field(default_factory=list)


class PeerRules:
    """Decides as llama-swap does: the fast path, and a queue that anybody may pass."""

    def __init__(self, models: Iterable[ModelId], policy: EvictionPolicy) -> None:
        self._policy = policy
        self._states = dict.fromkeys(models, ModelState.STOPPED)
        self._generations: Counter[ModelId] = Counter()
        self._swaps: dict[ModelId, Swap] = {}
        self._in_flight: Counter[ModelId] = Counter()
        self._served: dict[Ticket, ModelId] = {}
        self._queue: list[tuple[Ticket, ModelId]] = []

    def handle(self, fact: Fact, *, now: float) -> list[Effect]:
        """Record ``fact`` and return all that can be done now; what time it is counts nothing."""
        return list(self._record(fact))

    def _record(self, fact: Fact) -> Iterator[Effect]:
        match fact:
            case RequestArrived(ticket, model):
                if (done := self._offer(ticket, model)) is None:
                    self._queue.append((ticket, model))
                else:
                    yield from done
            case RequestFinished(ticket):
                model = self._served.pop(ticket)
                self._in_flight[model] -= 1
                if not self._in_flight[model]:
                    yield from self._drain()
            case ModelStopped(model, _):
                self._states[model] = ModelState.STOPPED
                for target, swap in list(self._swaps.items()):
                    if model in swap.going:
                        swap.going.remove(model)
                        yield from self._go_on(target, swap)
            case ModelReady(model, _):
                self._states[model] = ModelState.READY
                yield from self._end(model)
            case _:
                raise ValueError(f"these rules do not know {fact}")

    def _offer(self, ticket: Ticket, model: ModelId) -> list[Effect] | None:
        """Serve the request, or have it wait for a swap; None if it must queue."""
        if model in self._swaps:
            self._swaps[model].waiters.append(ticket)
            return []
        evict = self._evict(model)
        if self._collides(model, evict):
            return None
        if self._states[model] is ModelState.READY and not evict:
            return [self._grant(ticket, model)]
        if any(self._in_flight[victim] for victim in evict):
            return None
        swap = self._swaps[model] = Swap(evict, set(evict), [ticket])
        return [*self._stop_all(evict), *self._go_on(model, swap)]

    def _evict(self, target: ModelId) -> frozenset[ModelId]:
        up = {model for model, state in self._states.items() if state is not ModelState.STOPPED}
        return self._policy.victims(target, up | (self._swaps.keys() - {target})).evict

    def _collides(self, target: ModelId, evict: frozenset[ModelId]) -> bool:
        """Tell whether a swap under way is in the way, or would lose what it stops."""
        return any(
            other in evict or target in swap.evict or evict & swap.evict
            for other, swap in self._swaps.items()
        )

    def _grant(self, ticket: Ticket, model: ModelId) -> Admit:
        self._in_flight[model] += 1
        self._served[ticket] = model
        return Admit(ticket, model, Generation(self._generations[model]))

    def _stop_all(self, models: Iterable[ModelId]) -> Iterator[Effect]:
        for model in sorted(models):
            self._states[model] = ModelState.STOPPING
            yield StopModel(model, Generation(self._generations[model]), Reason.SWAP)

    def _go_on(self, target: ModelId, swap: Swap) -> Iterator[Effect]:
        """Start the target of a swap once all that it stops are gone."""
        if swap.going:
            return
        if self._states[target] is ModelState.READY:
            yield from self._end(target)
        else:
            self._generations[target] += 1
            self._states[target] = ModelState.STARTING
            yield StartModel(target, Generation(self._generations[target]), Reason.REQUEST)

    def _end(self, target: ModelId) -> Iterator[Effect]:
        """Serve all who waited for this swap, then look who else can go on."""
        for ticket in self._swaps.pop(target).waiters:
            yield self._grant(ticket, target)
        yield from self._drain()

    def _drain(self) -> Iterator[Effect]:
        """Offer the queue a way on, from its front; who is in the way of none may pass."""
        waiting, self._queue = self._queue, []
        for ticket, model in waiting:
            if (done := self._offer(ticket, model)) is None:
                self._queue.append((ticket, model))
            else:
                yield from done
