"""One remembered request: what llama-swap remembers of it, and what swapd adds.

One is made of each request: named tuples are made several times as fast as frozen dataclasses.
"""

from __future__ import annotations

import json
import math
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from swapd.telemetry.finished import Finished
from swapd.telemetry.usage.usage import UNKNOWN, Usage

#: What SQLite stores.
Value: TypeAlias = int | float | str | None

#: The largest integer that SQLite stores.
_LARGEST = 2**63 - 1

#: Characters of a text that are kept; none that a person wrote is longer.
_LONGEST_TEXT = 2048


class Own(NamedTuple):
    """What swapd alone remembers; None is unknown.

    Attributes:
      started: When its head was there, in Unix seconds.
      duration: Seconds from its head to its end.
      queued: Seconds that it waited for others.
      loaded: Seconds that it waited while its model was started.
      first_byte: Seconds from its head to the first byte of the answer's body.
      usage: What its server said of tokens.
      key: The name of the API key that it brought.
      session: The session that it named.
      selector: The selector that chose its model.
      priority: The priority that it was queued with.
    """

    started: float
    duration: float
    queued: float
    loaded: float
    first_byte: float | None
    usage: Usage
    key: str | None
    session: str | None
    selector: str | None
    priority: int | None


class Row(NamedTuple):
    """One remembered request, with numbers as llama-swap knows them.

    Attributes:
      id: Counts the rows of a store; none is given twice.
      created: When it was over, in Unix seconds.
      model: The model's ID, or the full name of a peer's.
      path: As the client asked, without the query.
      content_type: Of the answer; empty if there was none.
      status: What the client got.
      cached: Of these five, -1 is unknown; all are 0 if the server said nothing at all.
      drafted: Tokens that a draft model proposed.
      accepted: Tokens of those that were taken.
      prompt: Tokens of the prompt.
      generated: Tokens of the answer.
      prompt_per_second: Speed of reading the prompt, unknown as above.
      generated_per_second: Speed of generating, unknown as above.
      duration_ms: From its head to its end, or what the server took if it says more.
      error: Why it failed; empty if it did not.
      metadata: A JSON object, or empty.
      own: None of a row that llama-swap wrote.
    """

    id: int
    created: int
    model: str
    path: str
    content_type: str
    status: int
    cached: int
    drafted: int
    accepted: int
    prompt: int
    generated: int
    prompt_per_second: float
    generated_per_second: float
    duration_ms: int
    error: str
    metadata: str
    own: Own | None = None


def row_of(number: int, finished: Finished) -> Row:
    """Return ``finished`` as it is remembered under ``number``."""
    usage = _usage(finished.usage)
    # llama-swap writes -1 for what an answer leaves out, and zeros if it says nothing.
    unknown = 0 if usage == UNKNOWN else -1
    return Row(
        id=number,
        created=int(finished.time),
        model=_text(finished.model),
        path=_text(finished.path),
        content_type=_text(finished.content_type),
        status=finished.status,
        cached=unknown if usage.cached is None else usage.cached,
        drafted=unknown if usage.drafted is None else usage.drafted,
        accepted=unknown if usage.accepted is None else usage.accepted,
        prompt=unknown if usage.prompt is None else usage.prompt,
        generated=unknown if usage.generated is None else usage.generated,
        prompt_per_second=_speed(usage.prompt_per_second, unknown),
        generated_per_second=_speed(usage.generated_per_second, unknown),
        duration_ms=_duration_ms(finished.duration, usage.served_ms),
        error=_text(finished.error or ""),
        metadata=_metadata(finished.priority, finished.selector),
        own=_own(finished, usage),
    )


def _own(finished: Finished, usage: Usage) -> Own:
    return Own(
        started=finished.time - finished.duration,
        duration=finished.duration,
        queued=finished.queued,
        loaded=finished.loaded,
        first_byte=finished.first_byte,
        usage=usage,
        key=_optional_text(finished.key),
        session=_optional_text(finished.session),
        selector=_optional_text(finished.selector),
        priority=finished.priority,
    )


@lru_cache(maxsize=64)  # there are few pairs of them
def _metadata(priority: int | None, selector: str | None) -> str:
    """Return what llama-swap keeps beside its columns, by its names."""
    known: dict[str, str] = {}
    if priority is not None:
        known["fifo_priority"] = str(priority)
    if selector is not None:
        known["selector"] = selector
    return json.dumps(known) if known else ""


def _usage(usage: Usage) -> Usage:
    """Return ``usage`` in numbers that SQLite and JSON know; others are unknown, too."""
    if usage == UNKNOWN:
        return UNKNOWN
    return Usage(
        prompt=_countable(usage.prompt),
        cached=_countable(usage.cached),
        generated=_countable(usage.generated),
        drafted=_countable(usage.drafted),
        accepted=_countable(usage.accepted),
        prompt_per_second=_finite(usage.prompt_per_second),
        generated_per_second=_finite(usage.generated_per_second),
        served_ms=_finite(usage.served_ms),
    )


def _countable(given: int | None) -> int | None:
    return given if given is not None and abs(given) <= _LARGEST else None


def _finite(given: float | None) -> float | None:
    return given if given is not None and math.isfinite(given) else None


def _speed(given: float | None, unknown: int) -> float:
    return float(unknown) if given is None else given


def _duration_ms(duration: float, served_ms: float | None) -> int:
    """Return how long a request took, or its server, whichever is more."""
    return min(int(max(duration * 1000, served_ms or 0)), _LARGEST)


def _text(given: str) -> str:
    """Return ``given`` as it can be stored: in characters that UTF-8 has."""
    if given.isascii() and len(given) <= _LONGEST_TEXT:
        return given
    return given[:_LONGEST_TEXT].encode(errors="replace").decode()


def _optional_text(given: str | None) -> str | None:
    return None if given is None else _text(given)
