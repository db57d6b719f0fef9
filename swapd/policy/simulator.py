"""Plays a trace of requests to a scheduler in virtual time.  No clock, no tasks, no I/O.

The scheduler is the one that serves; only clients and processes are made up.  A model loads and
stops for as long as it is said to, a request is served for as long as its trace says, however
many are served beside it; no start fails, no client leaves, and none that is refused comes again.

Rule 1: what is to come lies in a heap, and time jumps from one fact to the next.
Rule 2: of what happens at the same instant, what was known first comes first: requests come
before the ends of others.  So one trace has one report.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Protocol, assert_never

from swapd.ids import Generation, ModelId, Ticket
from swapd.policy.effects import (
    Admit,
    Complete,
    Effect,
    Refuse,
    Revoke,
    StartModel,
    StopModel,
    WakeAt,
)
from swapd.policy.facts import (
    Fact,
    LoadRequested,
    ModelReady,
    ModelStopped,
    RequestArrived,
    RequestFinished,
    Woke,
)
from swapd.policy.life import Reason
from swapd.policy.report import Ledger, Report


class Decider(Protocol):
    """Whoever decides: the scheduler, or another one to hold against it."""

    def handle(self, fact: Fact, *, now: float) -> list[Effect]:
        """Record ``fact`` and return all that can be done now, in order."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a trace: it comes at ``arrival`` and is served for ``service`` seconds."""

    arrival: float
    model: ModelId
    service: float


@dataclass(frozen=True, slots=True)
class Times:
    """How many seconds a model takes to load, and to stop."""

    load: float
    stop: float


def simulate(
    scheduler: Decider,
    times: Mapping[ModelId, Times],
    trace: Iterable[Request],
    preload: Sequence[ModelId] = (),
) -> Report:
    """Play ``trace`` until its last request is over.

    Args:
      scheduler: A new one; its clock begins at 0.
      times: Those of every model that the scheduler knows.
      trace: At least one request, in any order.
      preload: What is loaded at 0, without a request.
    """
    return _Simulation(scheduler, times).run(
        sorted(trace, key=lambda request: request.arrival), preload
    )


class _Simulation:
    def __init__(self, scheduler: Decider, times: Mapping[ModelId, Times]) -> None:
        self._scheduler = scheduler
        self._times = times
        self._ledger = Ledger(times)
        self._now = 0.0
        self._wake_at = math.inf
        self._due: list[tuple[float, int, Fact]] = []
        self._number = itertools.count(1)
        self._requests: dict[Ticket, Request] = {}  # that are not over yet
        self._serving: set[Ticket] = set()
        self._loads: dict[ModelId, tuple[Generation, float]] = {}  # and when each began

    def run(self, trace: Sequence[Request], preload: Sequence[ModelId]) -> Report:
        for model in preload:
            self._expect(0.0, LoadRequested(self._ticket(), model, Reason.PRELOAD))
        for request in trace:
            ticket = self._ticket()
            self._requests[ticket] = request
            self._expect(request.arrival, RequestArrived(ticket, request.model))
        while self._requests:
            self._answer(self._next())
        for model in list(self._loads):
            self._end_load(model)
        return self._ledger.report(self._now - trace[0].arrival)

    def _ticket(self) -> Ticket:
        return Ticket(next(self._number))

    def _expect(self, when: float, fact: Fact) -> None:
        heappush(self._due, (when, next(self._number), fact))

    def _next(self) -> Fact:
        """Go on to the next fact, and to its time."""
        if self._due and self._due[0][0] <= self._wake_at:
            self._now, _, fact = heappop(self._due)
            return fact
        if self._wake_at == math.inf:
            raise RuntimeError(f"{len(self._requests)} requests wait, and nothing is to come")
        self._now = self._wake_at
        return Woke()

    def _answer(self, fact: Fact) -> None:
        match fact:
            case RequestFinished(ticket):
                self._finish(ticket)
            case ModelReady(model, generation):
                if (load := self._loads.get(model)) is None or load[0] != generation:
                    return  # it was stopped before its end
                self._end_load(model)
            case _:
                pass
        self._wake_at = math.inf
        for effect in self._scheduler.handle(fact, now=self._now):
            self._obey(effect)

    def _finish(self, ticket: Ticket) -> None:
        request = self._requests.pop(ticket)
        if ticket in self._serving:
            self._serving.remove(ticket)
            self._ledger.finished(request.model, self._now)

    def _obey(self, effect: Effect) -> None:
        match effect:
            case Admit(ticket, _, _):
                self._admit(ticket)
            case Refuse(ticket, refusal):
                if request := self._requests.get(ticket):  # else it was a preload
                    self._ledger.refused(request.model, refusal.message)
                    self._expect(self._now, RequestFinished(ticket))
            case StartModel(model, generation, _):
                self._ledger.started(model)
                self._loads[model] = (generation, self._now)
                self._expect(self._now + self._times[model].load, ModelReady(model, generation))
            case StopModel(model, generation, reason):
                self._ledger.stopped(model, reason)
                self._end_load(model)
                self._expect(self._now + self._times[model].stop, ModelStopped(model, generation))
            case WakeAt(when):
                self._wake_at = when
            case Complete() | Revoke():
                pass  # a preload is done; nobody unloads or reloads here, so nothing is cut
            case _:
                assert_never(effect)

    def _admit(self, ticket: Ticket) -> None:
        request = self._requests[ticket]
        self._serving.add(ticket)
        self._ledger.admitted(request.model, self._now - request.arrival, self._now)
        self._expect(self._now + request.service, RequestFinished(ticket))

    def _end_load(self, model: ModelId) -> None:
        if load := self._loads.pop(model, None):
            self._ledger.loaded(model, self._now - load[1])
