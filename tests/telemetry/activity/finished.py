"""Requests that are over, for tests."""

from __future__ import annotations

from swapd.telemetry.finished import Finished
from swapd.telemetry.usage.usage import Usage

#: When the requests of tests are over.
NOW = 1_700_000_000.25

_PLAIN = Finished(
    id=1,
    model="m",
    method="POST",
    path="/v1/chat/completions",
    route="/v1/chat/completions",
    is_metered=True,
    status=200,
    content_type="application/json",
    time=NOW,
    duration=1.5,
    queued=0.25,
    loaded=0.5,
    first_byte=0.75,
    usage=Usage(prompt=10, generated=5),
)


def finished(**others: object) -> Finished:
    """Return a request that is over; ``others`` are what is special about it."""
    return _PLAIN._replace(**others)  # type: ignore[arg-type]
