"""What there was of requests is told as llama-swap tells it, and more."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from trio.testing import wait_all_tasks_blocked

from swapd.telemetry.activity.row import row_of
from swapd.telemetry.usage.usage import Usage
from swapd.web.activity_entries import entry
from tests.telemetry.activity.finished import NOW, finished
from tests.upstream.scripted import staying
from tests.web.floor import Floor, chat, floor, get

_BODY = b'{"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 7}}'
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (
    len(_BODY),
    _BODY,
)


async def asked(web: Floor, path: str) -> Any:
    reply = await web.ask(get(path))
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    return json.loads(reply.body)


async def listed(web: Floor, **query: object) -> Any:
    return await asked(web, f"/api/metrics/activity?{urlencode(query, doseq=True)}")


async def ids(web: Floor, **query: object) -> list[int]:
    return [entry["id"] for entry in (await listed(web, **query))["data"]]


async def until_finished(web: Floor, count: int) -> None:
    """Wait until so many requests are told of, which is after their clients have the answers."""
    while len(web.finished) < count:
        await wait_all_tasks_blocked()


def remember(web: Floor, *told: dict[str, object]) -> None:
    for each in told:
        web.services.activity.record(finished(**each))


async def test_nothing_is_an_empty_list() -> None:
    async with floor() as web:
        assert await listed(web) == {
            "data": [],
            "page": 1,
            "limit": 25,
            "total": 0,
            "total_pages": 0,
        }
        assert await asked(web, "/api/metrics/stats") == {
            "total_requests": 0,
            "total_input_tokens": 0,
            "total_output_tokens": 0,
            "total_cache_tokens": 0,
            "prompt_histogram": None,
            "gen_histogram": None,
        }


async def test_an_entry_holds_what_llama_swap_tells_and_what_swapd_knows() -> None:
    async with floor() as web:
        usage = Usage(prompt=10, generated=5, cached=2, generated_per_second=20.0)
        remember(
            web,
            {"usage": usage, "key": "alice", "session": "s", "selector": "fast", "priority": 2},
        )
        (told,) = (await listed(web))["data"]
        told_at = datetime.fromisoformat(told.pop("timestamp"))
        assert told_at.timestamp() == int(NOW)
        assert told == {
            "id": 1,
            "model": "m",
            "req_path": "/v1/chat/completions",
            "resp_content_type": "application/json",
            "resp_status_code": 200,
            "tokens": {
                "cache_tokens": 2,
                "draft_tokens": -1,
                "draft_acc_tokens": -1,
                "input_tokens": 10,
                "output_tokens": 5,
                "prompt_per_second": -1,
                "tokens_per_second": 20,
            },
            "duration_ms": 1500,
            "has_capture": False,
            "metadata": {"fifo_priority": "2", "selector": "fast"},
            "started": NOW - 1.5,
            "queue_ms": 250,
            "load_ms": 500,
            "ttft_ms": 750,
            "usage": {
                "prompt": 10,
                "cached": 2,
                "generated": 5,
                "drafted": None,
                "accepted": None,
                "prompt_per_second": None,
                "generated_per_second": 20,
            },
            "key_name": "alice",
            "session_id": "s",
            "selector": "fast",
            "priority": 2,
        }


@pytest.mark.parametrize("seconds", [-(2**63), -(10**12), 10**12, 2**63 - 1])
def test_a_moment_that_no_calendar_has_is_the_first_of_all(seconds: int) -> None:
    row = row_of(1, finished())._replace(created=seconds)
    assert entry(row, has_capture=False)["timestamp"] == "1970-01-01T00:00:00Z"


async def test_an_error_is_told_and_nothing_else_that_is_empty() -> None:
    async with floor() as web:
        remember(web, {}, {"status": 502, "error": "it died", "first_byte": None})
        failed, well = (await listed(web))["data"]
        assert (failed["error_msg"], failed["ttft_ms"]) == ("it died", None)
        assert not {"error_msg", "metadata"} & well.keys()


async def test_a_request_is_told_of_with_its_tokens() -> None:
    async with floor(staying(ANSWER)) as web:
        await web.ask(chat())
        await until_finished(web, 1)
        (entry,) = (await listed(web))["data"]
        assert (entry["model"], entry["resp_status_code"]) == ("m", 200)
        assert (entry["tokens"]["input_tokens"], entry["tokens"]["output_tokens"]) == (12, 7)
        totals = await asked(web, "/api/metrics/stats?model=m")
        assert (totals["total_requests"], totals["total_input_tokens"]) == (1, 12)


async def test_pages_filters_and_orders() -> None:
    async with floor() as web:
        remember(
            web,
            {"model": "a", "time": 100.9, "duration": 3.0},
            {"model": "b", "time": 101.0, "duration": 1.0},
            {"model": "a", "time": 102.0, "duration": 2.0},
        )
        assert await ids(web) == [3, 2, 1]
        assert await ids(web, limit=2) == [3, 2]
        assert await ids(web, limit=2, page=2) == [1]
        assert await ids(web, page=9) == []
        assert await ids(web, model="a") == [3, 1]
        assert await ids(web, model=["a", "b", " "]) == [3, 2, 1]
        assert await ids(web, model="") == [3, 2, 1]
        assert await ids(web, model="none") == []
        assert await ids(web, sort="duration", order="ASC") == [2, 3, 1]
        assert await ids(web, min_id=2, max_id=2) == [2]
        start, end = "1970-01-01T00:01:41Z", "1970-01-01T02:01:41.9+02:00"
        assert await ids(web, start=start) == [3, 2]
        assert await ids(web, end=end) == [2, 1]
        assert await ids(web, start=start, end=start) == [2]
        assert await ids(web, end="1970-01-01T02:01:41 02:00") == [2, 1]  # a plus, not escaped
        found = await listed(web, model="a", limit=1, page=7)
        assert (found["data"], found["total"], found["total_pages"]) == ([], 2, 2)


ONE_IN_FOUR = "invalid 'start' timestamp, use RFC3339 format"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=x", "invalid limit"),
        ("limit=1.5", "invalid limit"),
        ("limit=%D9%A1", "invalid limit"),
        ("limit=0", "limit must be between 1 and 999"),
        ("limit=-1", "limit must be between 1 and 999"),
        ("limit=1000", "limit must be between 1 and 999"),
        ("page=0", "page must be >= 1"),
        ("page=x", "page must be >= 1"),
        ("page=99999999999999999999", "page must be >= 1"),
        ("min_id=0", "min_id must be >= 1"),
        ("max_id=-3", "max_id must be >= 1"),
        ("max_id=1&min_id=2", "min_id must be <= max_id"),
        ("start=yesterday", ONE_IN_FOUR),
        ("start=2024-01-01", ONE_IN_FOUR),
        ("start=2024-01-01T00:00:00", ONE_IN_FOUR),
        ("start=2024-02-30T00:00:00Z", ONE_IN_FOUR),
        ("end=1700000000", "invalid 'end' timestamp, use RFC3339 format"),
        ("start=2024-01-02T00:00:00Z&end=2024-01-01T00:00:00Z", "start must be before end"),
        ("sort=tokens", "invalid sort column"),
        ("sort=id;", "invalid sort column"),
        ("order=up", "order must be asc or desc"),
    ],
)
async def test_what_is_no_question_is_told_in_llama_swaps_words(query: str, message: str) -> None:
    async with floor() as web:
        reply = await web.ask(get(f"/api/metrics/activity?{query}"))
        assert (reply.status, reply.error["message"]) == (400, message)


@pytest.mark.parametrize(
    "query",
    [
        "limit=999",
        "limit=%2B5",
        "limit=&page=&sort=&order=&start=&end=&min_id=&max_id=",
        "page=999999999999999999",
        "start=0001-01-01T00:00:00%2B23:59",
    ],
)
async def test_what_is_at_the_edge_is_a_question(query: str) -> None:
    async with floor() as web:
        assert (await asked(web, f"/api/metrics/activity?{query}"))["total"] == 0


async def test_histograms_have_llama_swaps_names() -> None:
    async with floor() as web:
        for speed in (10.0, 20.0, 30.0):
            remember(web, {"usage": Usage(generated_per_second=speed)})
        told = await asked(web, "/api/metrics/stats")
        assert told["gen_histogram"] == {
            "bins": [1, 0, 1, 0, 1],
            "min": 10,
            "max": 30,
            "binSize": 4,
            "p50": 20,
            "p95": 29,
            "p99": 29.8,
        }
        assert told["prompt_histogram"] is None
