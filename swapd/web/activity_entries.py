"""Remembered requests as the API tells them: llama-swap's members, then swapd's own.

In swapd's own, what is unknown is null; llama-swap's say -1, and 0 if nothing is known.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import TypeAlias

from swapd.telemetry.activity.row import Own, Row
from swapd.telemetry.activity.statistics import Histogram, Statistics

#: One object of JSON.
Entry: TypeAlias = dict[str, object]


def entry(row: Row, *, has_capture: bool) -> Entry:
    """Return ``row`` as one of the API's list."""
    told: Entry = {
        "id": row.id,
        "timestamp": _local(row.created),
        "model": row.model,
        "req_path": row.path,
        "resp_content_type": row.content_type,
        "resp_status_code": row.status,
        "tokens": {
            "cache_tokens": row.cached,
            "draft_tokens": row.drafted,
            "draft_acc_tokens": row.accepted,
            "input_tokens": row.prompt,
            "output_tokens": row.generated,
            "prompt_per_second": row.prompt_per_second,
            "tokens_per_second": row.generated_per_second,
        },
        "duration_ms": row.duration_ms,
        "has_capture": has_capture,
    }
    if row.error:
        told["error_msg"] = row.error
    if metadata := _metadata(row.metadata):
        told["metadata"] = metadata
    return {**told, **_own(row.own)}


def statistics_entry(statistics: Statistics) -> Entry:
    """Return ``statistics`` as the API tells them."""
    return {
        "total_requests": statistics.requests,
        "total_input_tokens": statistics.prompt,
        "total_output_tokens": statistics.generated,
        "total_cache_tokens": statistics.cached,
        "prompt_histogram": _histogram(statistics.prompt_speeds),
        "gen_histogram": _histogram(statistics.generation_speeds),
    }


def _own(own: Own | None) -> Entry:
    if own is None:  # llama-swap wrote the row
        return dict.fromkeys(_OWN_MEMBERS)
    usage = asdict(own.usage)
    del usage["served_ms"]
    values = (
        own.started,
        _ms(own.queued),
        _ms(own.loaded),
        _ms(own.first_byte),
        usage,
        own.key,
        own.session,
        own.selector,
        own.priority,
    )
    return dict(zip(_OWN_MEMBERS, values, strict=True))


_OWN_MEMBERS = (
    *("started", "queue_ms", "load_ms", "ttft_ms", "usage"),
    *("key_name", "session_id", "selector", "priority"),
)


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _local(seconds: int) -> str:
    """Return a moment as RFC 3339 writes it, in the zone of this machine."""
    try:
        text = datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")
    except (ValueError, OSError, OverflowError):  # no calendar has it: not our row
        text = "1970-01-01T00:00:00+00:00"
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


def _metadata(text: str) -> object:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None


def _histogram(histogram: Histogram | None) -> Entry | None:
    if histogram is None:
        return None
    return {
        "bins": histogram.bins,
        "min": histogram.low,
        "max": histogram.high,
        "binSize": histogram.bin_size,
        "p50": histogram.p50,
        "p95": histogram.p95,
        "p99": histogram.p99,
    }
