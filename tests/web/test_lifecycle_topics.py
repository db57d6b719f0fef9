"""What the lifecycle websocket tells of requests and logs."""

from __future__ import annotations

import json

import pytest
import trio

from swapd.ids import ModelId
from swapd.telemetry.activity.row import row_of
from swapd.telemetry.finished import Finished
from swapd.telemetry.line_reader import LAG_BYTES
from swapd.web import lifecycle, limits
from swapd.web.activity_entries import entry
from tests.web.floor import chat, floor
from tests.web.opened import opened, talking
from tests.web.raw import LONG, OPEN_WEBSOCKET, receive_until
from tests.web.test_lifecycle import START, code_of_close, heard, listening

ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 62\r\n\r\n"
    b'{"usage": {"prompt_tokens": 3, "completion_tokens": 5    }   }'
)


async def test_a_request_is_told_of_when_it_begins_is_admitted_and_is_over() -> None:
    async with floor() as web, listening(web, "?topics=requests&since=0") as websocket:
        web.upstream.then(web.upstream.answer(ANSWER))
        assert await heard(websocket) == {"type": "requests", "after": 0, "requests": []}
        await web.ask(chat())
        begun, admitted, finished = [await heard(websocket) for _ in range(3)]
    assert begun.pop("time") > 1_700_000_000
    assert begun == {
        "type": "request",
        "after": 0,
        "event": "begun",
        "id": 1,
        "model": "m",
        "method": "POST",
        "path": "/v1/chat/completions",
        "client": "127.0.0.1",
    }
    named = ("type", "event", "id", "model", "after")
    assert [admitted[name] for name in named] == ["request", "admitted", 1, "m", 0]
    assert [finished[name] for name in named] == ["request", "finished", 1, "m", 0]
    assert (finished["status"], finished["error"]) == (200, None)
    assert finished["duration"] >= finished["first_byte"] > 0
    usage = finished["usage"]
    assert (usage["prompt"], usage["generated"], usage["drafted"]) == (3, 5, None)
    assert not finished.keys() & {"collected", "is_metered", "is_garbled"}


async def test_what_is_told_of_requests_has_its_place_among_the_transitions() -> None:
    async with floor() as web, listening(web, "?topics=lifecycle,requests") as websocket:
        assert (await heard(websocket))["type"] == "snapshot"
        assert (await heard(websocket))["type"] == "requests"
        for _ in range(3):  # at once: nothing is read in between
            web.lifecycle.publish(START)
            with web.services.requests.track("m", method="GET", path="/", client=None):
                pass
        told = [await heard(websocket) for _ in range(6)]
    assert [each.get("seq", each.get("after")) for each in told] == [1, 1, 2, 2, 3, 3]


async def test_who_comes_back_hears_what_was_missed_before_what_is_now() -> None:
    query = "?topics=lifecycle,requests,queue,logs,activity&since=1"
    async with floor() as web:
        for _ in range(3):
            web.lifecycle.publish(START)
        with web.services.requests.track("m", method="GET", path="/p", client=None):
            async with listening(web, query) as websocket:
                web.services.logs.say(b"a line\n")
                told = [await heard(websocket) for _ in range(5)]
    last = 1
    for message in told:
        last = message.get("seq", last)
        assert message.get("after", last) == last, "a place that was not told yet"
    kinds = {message["type"] for message in told}
    assert kinds == {"transition", "requests", "queue", "log"}
    (known,) = next(message["requests"] for message in told if message["type"] == "requests")
    assert known["path"] == "/p"


async def test_what_is_under_way_already_comes_first() -> None:
    async with floor() as web:
        with web.services.requests.track("m", method="GET", path="/p", client=None) as tracked:
            tracked.admitted()
            async with listening(web, "?topics=requests") as websocket:
                assert (await heard(websocket))["type"] == "snapshot"
                (known,) = (await heard(websocket))["requests"]
    assert (known["id"], known["path"], known["phase"]) == (1, "/p", "served")


async def test_a_row_is_told_as_it_is_stored_and_found() -> None:
    async with floor() as web, listening(web, "?topics=activity&since=0") as websocket:
        finished = Finished(
            1, "m", "POST", "/p", "/p", is_metered=True, status=200, content_type="t", time=1e9,
            duration=1.0, queued=0.25, loaded=0.5,
        )  # fmt: skip
        web.services.stored.tell(row_of(7, finished))
        told = await heard(websocket)
    assert (told["type"], told["after"]) == ("activity", 0)
    assert told["row"] == json.loads(json.dumps(entry(row_of(7, finished), has_capture=False)))
    assert (told["row"]["id"], told["row"]["model"]) == (7, "m")


async def test_a_websocket_is_a_request_that_is_over_when_it_closes() -> None:
    async with talking() as (web, _), listening(web, "?topics=requests&since=0") as listener:
        await heard(listener)
        async with opened(web.served):
            assert [(await heard(listener))["event"] for _ in range(2)] == ["begun", "admitted"]
        over = await heard(listener)
    assert (over["event"], over["id"], over["model"]) == ("finished", 1, "m")


async def test_who_is_too_slow_for_the_requests_is_sent_away_and_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lag = 200
    monkeypatch.setattr(lifecycle, "LAG_IN_REQUESTS", lag)
    async with floor() as web, listening(web, "?topics=requests&since=0") as websocket:
        await heard(websocket)
        for _ in range(2 * lag):  # at once: nobody has a chance to read
            with web.services.requests.track("m", method="GET", path="/", client=None):
                pass
        kept, code = await code_of_close(websocket)
    assert kept in (lag, lag + 1)
    assert code == 1013


async def test_logs_come_as_whole_lines_with_their_source() -> None:
    async with floor() as web, listening(web, "?topics=logs&since=0") as websocket:
        logs = web.services.logs
        logs.of(ModelId("m")).write("one\ntwo ü".encode()[:-1])
        assert await heard(websocket) == {
            "type": "log",
            "after": 0,
            "source": "m",
            "lines": ["one"],
        }
        logs.say(b"swapd's own\n")
        logs.of(ModelId("m")).write("ü".encode()[1:] + b"\n")
        told = [await heard(websocket) for _ in range(2)]
    assert [(each["source"], each["lines"]) for each in told] == [
        ("proxy", ["swapd's own"]),
        ("m", ["two ü"]),
    ]


async def test_who_is_too_slow_for_the_logs_is_told_how_much_is_missing() -> None:
    async with floor() as web, listening(web, "?topics=logs,lifecycle&since=0") as websocket:
        log = web.services.logs.of(ModelId("m"))
        line = b"x" * 99 + b"\n"
        for _ in range(2 * LAG_BYTES // len(line)):  # at once
            log.write(line)
        log.write(b"last\n")
        told: list[str] = []
        missed = 0
        while told[-1:] != ["last"]:
            message = await heard(websocket)
            told += message["lines"]
            missed += message.get("missed_bytes", 0)
        web.lifecycle.publish(START)
        assert (await heard(websocket))["type"] == "transition"
    assert missed == 2 * LAG_BYTES // 100 * 100 - 100 * (len(told) - 1)
    assert missed > 0


@pytest.mark.parametrize("topics", ["requests", "logs", "queue,requests,logs,activity"])
async def test_who_leaves_is_not_told_any_more(topics: str) -> None:
    async with floor() as web:
        services = web.services
        async with listening(web, f"?topics={topics}"):
            web.lifecycle.publish(START)
            assert services.lifecycle.news
        while services.lifecycle.news:  # noqa: ASYNC110  in another task
            await trio.sleep(0.001)
        assert not any([services.requests.news, services.over, services.logs.news, services.stored])


async def test_who_does_not_read_cannot_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LAST_WORDS", 0.05)
    async with floor() as web:
        client = await web.served.connect(receive_buffer=4096)
        async with client:
            path = b"/api/lifecycle?topics=lifecycle,logs&since=0"
            await client.send_all(OPEN_WEBSOCKET.replace(b"/ws", path))
            assert await receive_until(client, b"\r\n\r\n")
            for _ in range(400):
                web.services.logs.of(ModelId("m")).write(b"x" * 65535 + b"\n")
                web.lifecycle.publish(START)
                await trio.sleep(0.001)  # so that it lasts, and fills what lies between
            web.services.closing.set()
            web.lifecycle.close()
            with trio.fail_after(LONG):
                while web.lifecycle.news:  # noqa: ASYNC110  in another task
                    await trio.sleep(0.01)
