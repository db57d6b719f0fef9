"""How lines say their time."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from swapd.config.observing import TIME_FORMATS
from swapd.telemetry.time_formats import time_format

#: 3 February 2026, 04:05:06.078 in UTC; a Tuesday.
MOMENT = 1770091506.078


@pytest.fixture
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize("zone", ["EST5"], indirect=True)
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ansic", "Mon Feb  2 23:05:06 2026"),
        ("unixdate", "Mon Feb  2 23:05:06 EST 2026"),
        ("rubydate", "Mon Feb 02 23:05:06 -0500 2026"),
        ("rfc822", "02 Feb 26 23:05 EST"),
        ("rfc822z", "02 Feb 26 23:05 -0500"),
        ("rfc850", "Monday, 02-Feb-26 23:05:06 EST"),
        ("rfc1123", "Mon, 02 Feb 2026 23:05:06 EST"),
        ("rfc1123z", "Mon, 02 Feb 2026 23:05:06 -0500"),
        ("rfc3339", "2026-02-02T23:05:06-05:00"),
        ("rfc3339nano", "2026-02-02T23:05:06.078-05:00"),
        ("kitchen", "11:05PM"),
        ("stamp", "Feb  2 23:05:06"),
        ("stampmilli", "Feb  2 23:05:06.078"),
        ("stampmicro", "Feb  2 23:05:06.078000"),
        ("stampnano", "Feb  2 23:05:06.078000000"),
    ],
)
def test_times_are_said_as_go_says_them(zone: None, name: str, said: str) -> None:
    assert time_format(name)(MOMENT) == said


@pytest.mark.parametrize("name", TIME_FORMATS)
def test_every_format_of_the_configuration_is_known_and_follows_the_time(name: str) -> None:
    says = time_format(name)
    assert says(MOMENT)
    assert says(MOMENT) == says(MOMENT)
    assert says(MOMENT) != says(MOMENT + 86400 + 61)


@pytest.mark.parametrize("zone", ["UTC0"], indirect=True)
def test_utc_is_z_and_a_whole_second_has_no_fraction(zone: None) -> None:
    assert time_format("rfc3339")(MOMENT) == "2026-02-03T04:05:06Z"
    assert time_format("rfc3339nano")(MOMENT // 1) == "2026-02-03T04:05:06Z"
    assert time_format("rfc3339nano")(MOMENT // 1 + 0.5) == "2026-02-03T04:05:06.5Z"


def test_no_format_says_nothing() -> None:
    assert time_format("")(MOMENT) == ""


def test_the_last_moment_of_a_second_is_not_its_beginning() -> None:
    moment = 1795302944.9999998  # as near to the next second as a float comes
    assert time_format("stampmicro")(moment).endswith(".999999")
    assert ".999999" in time_format("rfc3339nano")(moment)
