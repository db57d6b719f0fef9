"""All that swapd tells Prometheus of itself, in the text format 0.0.4."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import trio
from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric

from swapd.telemetry.host.figures import Sample
from swapd.telemetry.metrics import present
from swapd.telemetry.metrics.accounts import Accounts
from swapd.telemetry.metrics.present import ModelNow

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _Once:
    """Families that are shown once."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


async def scrape(
    accounts: Accounts, models: Sequence[ModelNow], sample: Sample | None, version: str
) -> bytes:
    """Return everything as text; writing it takes a thread, for there can be much of it."""
    return await trio.to_thread.run_sync(exposition, accounts, models, sample, version)


def exposition(
    accounts: Accounts, models: Sequence[ModelNow], sample: Sample | None, version: str
) -> bytes:
    """Return everything as text; takes some milliseconds per thousand series."""
    now = (present.host(sample), present.build(version), present.models(models))
    families = _Once([family for part in now for family in part])
    return generate_latest(families) + generate_latest(accounts.registry)
