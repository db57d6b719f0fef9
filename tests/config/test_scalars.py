"""What plain scalars mean, and what text they become."""

from __future__ import annotations

import math

import pytest

from swapd.config.scalars import Timestamp, text_of, typed
from swapd.config.tree import ScalarValue


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((word, None) for word in ("", "~", "null", "Null", "NULL")),
        *((word, True) for word in ("true", "True", "TRUE")),
        *((word, False) for word in ("false", "False", "FALSE")),
        *((word, word) for word in ("yes", "Yes", "no", "on", "OFF", "y", "n", "nUll", "tRue")),
        ("0", 0),
        ("-12", -12),
        ("+12", 12),
        ("1_000", 1000),
        ("010", 8),
        ("0o17", 15),
        ("0x10", 16),
        ("-0xfF", -255),
        ("0b101", 5),
        ("089", 89.0),
        ("0b2", "0b2"),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", float(2**64)),
        ("9" * 5000, "9" * 5000),
        ("1:30", "1:30"),
        ("190:20:30", "190:20:30"),
        ("1e3", 1000.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("-.5", -0.5),
        ("1e999", "1e999"),
        (".", "."),
        ("-", "-"),
        ("+", "+"),
        ("1.2.3", "1.2.3"),
        ("2024-01-01", "2024-01-01T00:00:00Z"),
        ("2024-1-2 3:04:05.50 +2", "2024-01-02T03:04:05.5+02:00"),
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
        ("2024-13-01", "2024-13-01"),
        ("2024-01-01T00:00:00+99:00", "2024-01-01T00:00:00+99:00"),
        ("\u0661\u0662", "\u0661\u0662"),
        ("<<", "<<"),
    ],
)
def test_plain_scalars_mean_what_yaml_1_2_says(text: str, value: ScalarValue) -> None:
    assert typed(text) == value
    assert isinstance(typed(text), str) == isinstance(value, str)
    assert isinstance(typed(text), bool) == isinstance(value, bool)


def test_not_a_number_and_the_infinities_are_floats() -> None:
    assert math.isnan(float(typed(".nan") or 0))
    assert [typed(".inf"), typed("+.Inf"), typed("-.INF")] == [math.inf, math.inf, -math.inf]


def test_a_date_knows_that_it_was_no_text() -> None:
    assert isinstance(typed("2024-01-01"), Timestamp)
    assert not isinstance(typed("2024-02-30"), Timestamp)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (False, "false"),
        (16, "16"),
        ("x", "x"),
        (0.7, "0.7"),
        (1.10, "1.1"),
        (16384.0, "16384"),
        (100000.0, "100000"),
        (999999.5, "999999.5"),
        (1000000.0, "1e+06"),
        (1234567.0, "1.234567e+06"),
        (123456789.0, "1.23456789e+08"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (1e21, "1e+21"),
        (1e-300, "1e-300"),
        (0.0, "0"),
        (-0.0, "-0"),
        (-2.5, "-2.5"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)
def test_values_become_text_in_one_canonical_way(value: ScalarValue, text: str) -> None:
    assert text_of(value) == text
