"""Writes the tables of docs/metrics.md: python -m tests.telemetry.metrics.family_tables.

A table stands between the marks ``<!-- families: PREFIX -->`` and ``<!-- end -->``; the rest of
the document is written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from swapd.ids import Generation, ModelId
from swapd.policy.life import ModelState, Reason, Transition
from swapd.telemetry.host.figures import Gpu, Interface, Sample, System
from swapd.telemetry.metrics.accounts import Accounts
from swapd.telemetry.metrics.metrics import exposition
from swapd.telemetry.metrics.present import ModelNow
from swapd.telemetry.usage.usage import Usage
from tests.telemetry.metrics.scraped import finished

DOCS = Path(__file__).parents[3] / "docs"
DOCUMENT = DOCS / "metrics.md"
_MARKED = re.compile(r"(<!-- families: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def everything() -> bytes:
    """Return a scrape in which every family has a series."""
    accounts = Accounts(clock=lambda: 0.0)
    accounts.reconfigure(["m"], [])
    accounts.observe(finished(usage=Usage(1, 1, 1, 1, 1)))
    stopped, starting, ready, stopping = ModelState
    for old, new, reason in (
        (stopped, starting, Reason.REQUEST),
        (starting, ready, Reason.REQUEST),
        (ready, stopping, Reason.SWAP),
        (stopping, stopped, Reason.SWAP),
        (ready, stopped, Reason.CRASH),
        (stopped, starting, Reason.REQUEST),
    ):
        accounts.show(Transition(ModelId("m"), old, new, reason, Generation(1)))
    system = System((1.0,), 2, 1, 1, 2, 1, (1.0, 1.0, 1.0), (Interface("eth0", 1, 1),))
    card = Gpu(0, "card", "uuid", 1, 1, 1, 1, 2, 1, 1)
    sample = Sample(datetime(2026, 1, 1, tzinfo=UTC), system, (card,))
    return exposition(accounts, [ModelNow("m", ready, 0)], sample, "1")


def rewritten(document: str) -> str:
    """Return ``document`` with each of its tables made anew."""
    return _MARKED.sub(lambda found: found[1] + _table(found[2]) + found[3], document)


def _table(prefix: str) -> str:
    heads = ["| family | type | labels | meaning |", "|---|---|---|---|"]
    return "\n".join([*heads, *_rows(prefix), ""])


def _rows(prefix: str) -> Iterator[str]:
    for family in text_string_to_metric_families(everything().decode()):
        if family.name.startswith(prefix):
            name = family.name + ("_total" if family.type == "counter" else "")
            labels = [label for label in family.samples[0].labels if label != "le"]
            told = ", ".join(f"`{label}`" for label in _model_first(labels))
            yield f"| `{name}` | {family.type} | {told} | {family.documentation} |"


def _model_first(labels: list[str]) -> list[str]:
    return sorted(labels, key=lambda label: (label != "model", label))


if __name__ == "__main__":
    DOCUMENT.write_text(rewritten(DOCUMENT.read_text()))
