"""Moments that clients name are read as RFC 3339 has them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from swapd.web.moments import moment

BEGAN = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-01-01T12:00:00Z", BEGAN),
        ("2026-01-01t12:00:00z", BEGAN),
        ("2026-01-01T14:00:00+02:00", BEGAN),
        ("2026-01-01T14:00:00 02:00", BEGAN),
        ("2026-01-01T12:00:00.5Z", BEGAN + timedelta(seconds=0.5)),
        ("2026-01-01T12:00:00.123456789Z", BEGAN + timedelta(microseconds=123456)),
    ],
)
def test_times_are_read_as_rfc_3339_has_them(text: str, time: datetime) -> None:
    assert moment(text) == time


@pytest.mark.parametrize(
    "text",
    [
        *("2026-01-01", "12:00:00Z", "2026-01-01T12:00:00", "2026-02-31T12:00:00Z", "1767268800"),
        *("2026-01-01T12:00Z", "2026-W01-4T12:00:00Z", "", "2026-01-01T25:00:00Z"),
    ],
)
def test_no_other_time_is_taken_for_one(text: str) -> None:
    assert moment(text) is None
