"""What is new for one client of the event stream, part by part."""

from __future__ import annotations

import json
from typing import Any

import pytest

from swapd.web import event_parts
from swapd.web.event_parts import (
    ROWS,
    ActiveProfile,
    Models,
    Rows,
    Settings,
    UnderWay,
    message,
)
from tests.web.floor import floor


def told(part: UnderWay) -> list[Any]:
    return [*part.news()]


def test_a_message_is_three_lines_for_whoever_splits_them_by_unicode_too() -> None:
    line = "a\x85b\u2028c\u2029d\x0b\x0c\x1c\x1d\x1e\u20ac\n"
    said = message("logData", {"data": line}, "here").decode()
    assert len(said.splitlines()) == 4  # and the blank one
    told = json.loads(said.splitlines()[2].removeprefix("data:"))
    assert json.loads(told["data"]) == {"data": line}


async def test_what_is_told_is_told_once() -> None:
    async with floor() as web:
        for part in (Models(web.services), Settings(web.services), ActiveProfile(web.services)):
            assert len([*part.news()]) == 1
            assert [*part.news()] == []


def test_of_too_many_rows_the_newest_are_told() -> None:
    rows = Rows()
    for number in range(3 * ROWS):
        rows.add(number)
    assert [*rows.news()] == [{"id": number} for number in range(2 * ROWS, 3 * ROWS)]
    assert [*rows.news()] == []


async def test_of_a_request_only_what_differs_is_told() -> None:
    async with floor() as web:
        requests, part = web.services.requests, UnderWay(web.services)
        assert told(part) == [{"operation": "snapshot", "requests": []}]
        assert not part.is_moving
        with requests.track("m", method="POST", path="/", client=None) as tracked:
            assert [each["operation"] for each in told(part)] == ["upsert"]
            assert told(part) == []
            assert part.is_moving
            tracked.admitted()
            tracked.answered(200, [])
            tracked.bytes_sent += 5
            (upsert,) = told(part)
            shown = upsert["request"]
            assert (shown["phase"], shown["status"], shown["resp_bytes"]) == ("served", 200, 5)
            assert told(part) == []
        assert told(part) == [{"operation": "remove", "id": "1"}]
        assert told(part) == []
        assert not part.is_moving


async def test_a_request_that_has_just_come_is_told_of_as_one_that_comes_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_parts, "JUST_NOW", 60)  # for machines that are busy
    async with floor() as web:
        requests, part = web.services.requests, UnderWay(web.services)
        told(part)
        with requests.track("m", method="POST", path="/", client=None) as tracked:
            tracked.began -= 5
            (upsert,) = told(part)
            assert (upsert["request"]["elapsed_ms"], upsert["request"]["resp_headers"]) == (0, {})
            tracked.admitted()
            (upsert,) = told(part)
            assert upsert["request"]["elapsed_ms"] >= 5000


async def test_a_request_that_is_told_of_late_is_told_of_with_its_age() -> None:
    async with floor() as web:
        requests, part = web.services.requests, UnderWay(web.services)
        told(part)
        with requests.track("m", method="POST", path="/", client=None) as waiting:
            waiting.began -= 5
            (upsert,) = told(part)
            assert upsert["request"]["elapsed_ms"] >= 5000
        told(part)
        with requests.track("m", method="POST", path="/", client=None) as answered:
            answered.began -= 0.04
            answered.admitted()
            answered.answered(200, [])
            (upsert,) = told(part)
            assert upsert["request"]["elapsed_ms"] >= 40


async def test_a_request_that_nobody_was_told_of_is_not_taken_back() -> None:
    async with floor() as web:
        part = UnderWay(web.services)
        told(part)
        with web.services.requests.track("m", method="POST", path="/", client=None):
            pass
        assert told(part) == []


async def test_a_request_that_goes_while_the_others_are_told_of_is_left_out() -> None:
    async with floor() as web:
        requests, part = web.services.requests, UnderWay(web.services)
        told(part)
        with requests.track("m", method="POST", path="/", client=None):
            with requests.track("m", method="POST", path="/", client=None):
                news: Any = part.news()
                assert next(news)["request"]["id"] == "1"
            assert [*news] == []
            assert told(part) == []
