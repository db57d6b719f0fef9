"""Counts what became of requests and models, for Prometheus.

Rule 1: what counts must not cost: the series of a model are looked up once, then held.
Rule 2: labels are few: models and peers' models of the configuration, swapd's routes, statuses.
Whatever else comes is counted without a name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import prometheus_client
import trio
from prometheus_client import CollectorRegistry, Counter, ProcessCollector

from swapd.policy.life import ModelState, Reason, Transition
from swapd.telemetry.finished import Finished
from swapd.telemetry.metrics.families import Families
from swapd.telemetry.usage.usage import UNKNOWN

#: Upper bounds in seconds.
LOAD_BUCKETS = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
QUEUE_BUCKETS = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600)
FIRST_BYTE_BUCKETS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300)
DURATION_BUCKETS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800)

#: Swapd's routes are fewer; should a promise break, the labels stay few.
MOST_ROUTES = 128
OTHER = "other"

_FAILURES = (Reason.CRASH, Reason.HUNG, Reason.START_FAILED)

# When each series began is of no use to anybody, and would double them.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]


class Accounts:
    """All that is counted; what is true only now is not here."""

    def __init__(self, clock: Callable[[], float] = trio.current_time) -> None:
        """Count nothing yet; ``clock`` gives seconds."""
        self.registry = CollectorRegistry()
        self._clock = clock
        self._names: frozenset[str] = frozenset()
        self._routes: set[str] = set()
        self._loading: dict[str, float] = {}
        self._failed: set[str] = set()
        self._unnamed = Counter(
            "swapd_unnamed_requests",
            "Requests that named no model that the configuration has, or has no more.",
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)
        self._families = Families(self.registry)
        self._declare()

    def _declare(self) -> None:
        count, spread = self._families.counter, self._families.histogram
        self._requests = count(
            "swapd_requests", "Requests that are over, by route and status.", "route", "status"
        )
        self._tokens = count(
            "swapd_tokens", "Tokens, as the models' servers told of them, by kind.", "kind"
        )
        self._queue = spread(
            "swapd_request_queue_seconds",
            "How long requests waited for others, before their model was started or free.",
            QUEUE_BUCKETS,
        )
        self._first_byte = spread(
            "swapd_request_first_byte_seconds",
            "From the head of a request to the first byte of a 2xx answer's body.",
            FIRST_BYTE_BUCKETS,
        )
        self._duration = spread(
            "swapd_request_duration_seconds",
            "From the head of a request to the end of a 2xx answer.",
            DURATION_BUCKETS,
        )
        self._transitions = count(
            "swapd_model_transitions",
            "Changes of state, by the new state and the reason.",
            "state",
            "reason",
        )
        self._swaps = count(
            "swapd_model_swaps", "How often the model was stopped to make room for another."
        )
        self._restarts = count(
            "swapd_model_restarts", "How often the model was started after it had failed."
        )
        self._loads = spread(
            "swapd_model_load_seconds",
            "How long loads took that ended with a ready model.",
            LOAD_BUCKETS,
        )

    def reconfigure(self, models: Iterable[str], peers: Iterable[str]) -> None:
        """Count for these from now on, and forget all others.

        Args:
          models: The models that swapd runs, in the order in which they are shown.
          peers: The full names of those that others run.
        """
        models = tuple(models)
        self._names = frozenset((*models, *peers))
        self._families.keep(self._names)
        for model in models:
            self._begin(model)
        self._loading = {m: since for m, since in self._loading.items() if m in self._names}
        self._failed &= self._names

    def _begin(self, model: str) -> None:
        """Show 0 of what is rare: Prometheus sees no increase in what was not there before."""
        self._swaps.of(model)
        self._restarts.of(model)
        for kind in ("prompt", "generated"):
            self._tokens.of(model, kind)
        for reason in _FAILURES:
            self._transitions.of(model, ModelState.STOPPED, reason)

    def observe(self, finished: Finished) -> None:
        """Count one request that is over.  Never blocks, never raises."""
        model, status = finished.model, finished.status
        self.count(model, finished.route, status)
        if model not in self._names or not finished.is_metered:
            return
        self._queue.of(model).observe(finished.queued)
        if 200 <= status < 300:
            self._duration.of(model).observe(finished.duration)
            if finished.first_byte is not None:
                self._first_byte.of(model).observe(finished.first_byte)
        self._count_tokens(model, finished)

    def count(self, model: str, route: str, status: int) -> None:
        """Count one request or websocket to ``model`` that is over.  Never blocks, never raises."""
        if model in self._names:
            self._requests.of(model, self._known(route), _label(status)).inc()
        else:
            self._unnamed.inc()

    def _count_tokens(self, model: str, finished: Finished) -> None:
        usage = finished.usage
        if usage is UNKNOWN:
            return
        for kind, tokens in (
            ("prompt", usage.prompt),
            ("cached", usage.cached),
            ("generated", usage.generated),
            ("drafted", usage.drafted),
            ("accepted", usage.accepted),
        ):
            if tokens is not None and tokens > 0:
                self._tokens.of(model, kind).inc(tokens)

    def show(self, change: Transition) -> None:
        """Count one change of a model's state.  Never blocks, never raises."""
        model, now = change.model, self._clock()
        if model not in self._names:
            return
        self._transitions.of(model, change.new, change.reason).inc()
        if change.new is ModelState.STARTING:
            self._loading[model] = now
            if model in self._failed:
                self._restarts.of(model).inc()
        elif change.new is ModelState.READY:
            self._loads.of(model).observe(now - self._loading.pop(model, now))
        elif change.reason is Reason.SWAP and change.old is not ModelState.STOPPING:
            self._swaps.of(model).inc()
        if change.new in {ModelState.STOPPING, ModelState.STOPPED}:
            self._failed.add(model) if change.reason in _FAILURES else self._failed.discard(model)

    def _known(self, route: str) -> str:
        if route in self._routes:
            return route
        if len(self._routes) >= MOST_ROUTES:
            return OTHER
        self._routes.add(route)
        return route


def _label(status: int) -> str:
    return str(status) if 100 <= status < 600 else OTHER
