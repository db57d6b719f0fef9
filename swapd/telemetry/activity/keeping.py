"""Where requests are remembered, and which: what the configuration says of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from swapd.config.schema import Config

_DAY = 24 * 3600


@dataclass(frozen=True, slots=True)
class Retention:
    """What is remembered: the newest rows, and none that is older; 0 is no limit."""

    rows: int = 0
    seconds: float = 0


@dataclass(frozen=True, slots=True)
class Keeping:
    """Where requests are remembered, and which.

    Attributes:
      path: The file; None is in memory.
      retention: Which requests.
      capture_bytes: What copies of requests and answers may take in memory; 0 is none.
    """

    path: Path | None
    retention: Retention
    capture_bytes: int = 0


def keeping_of(config: Config) -> Keeping:
    """Return where ``config`` wants requests to be remembered, and which."""
    captures = config.capture_buffer_bytes
    if (store := config.store) is None:
        return Keeping(None, Retention(rows=config.metrics_max_in_memory), captures)
    return Keeping(Path(store.path), Retention(store.max_rows, store.max_days * _DAY), captures)
