"""How rows lie in the tables: llama-swap's ``activity``, and ``swapd_activity`` beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from swapd.telemetry.activity.row import Own, Row, Value
from swapd.telemetry.usage.usage import Usage

#: llama-swap's columns, in the order of Row's fields; every one has a value.
PEER_COLUMNS: Final = (
    *("id", "ts_created", "model_id", "req_path", "resp_content_type", "resp_status_code"),
    *("cache_tokens", "draft_tokens", "draft_acc_tokens", "input_tokens", "output_tokens"),
    *("prompt_per_second", "tokens_per_second", "duration_ms", "error_msg", "metadata_json"),
)

#: swapd's, each of which but the first may be NULL.
OWN_COLUMNS: Final = (
    *("id", "started", "duration", "queued", "loaded", "first_byte"),
    *("prompt", "cached", "generated", "drafted", "accepted"),
    *("prompt_speed", "generation_speed", "served_ms"),
    *("key_name", "session", "selector", "priority"),
)


def peer_values(row: Row) -> tuple[Value, ...]:
    """Return what stands in PEER_COLUMNS, but for the number, which the table gives."""
    return row[1:-1]


def own_values(number: int, own: Own) -> tuple[Value, ...]:
    """Return what stands in OWN_COLUMNS."""
    usage = own.usage
    return (
        *(number, own.started, own.duration, own.queued, own.loaded, own.first_byte),
        *(usage.prompt, usage.cached, usage.generated, usage.drafted, usage.accepted),
        *(usage.prompt_per_second, usage.generated_per_second, usage.served_ms),
        *(own.key, own.session, own.selector, own.priority),
    )


def row_from(values: Sequence[Value]) -> Row:
    """Return the row of what stands in PEER_COLUMNS, then in OWN_COLUMNS."""
    peers, own = values[: len(PEER_COLUMNS)], values[len(PEER_COLUMNS) :]
    return _ROW(*peers, None if own[0] is None else _own_from(own))


def _own_from(values: Sequence[Value]) -> Own:
    times, tokens, speeds, others = values[1:6], values[6:11], values[11:14], values[14:]
    return _OWN(*times, _USAGE(*tokens, *speeds), *others)


# The tables hold the types that went into them.
_ROW: Callable[..., Row] = Row
_OWN: Callable[..., Own] = Own
_USAGE: Callable[..., Usage] = Usage
