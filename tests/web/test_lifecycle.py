"""The lifecycle websocket, message by message."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from swapd.ids import Generation, ModelId
from swapd.policy.life import ModelState, Reason, Transition
from swapd.telemetry.subscription import LAG
from swapd.views import ModelView, Waiting
from swapd.web.messages import Queue
from tests.web.floor import Floor, configured, floor

START = Transition(
    ModelId("m"), ModelState.STOPPED, ModelState.STARTING, Reason.REQUEST, Generation(3)
)


@asynccontextmanager
async def listening(web: Floor, query: str = "") -> AsyncIterator[WebSocketConnection]:
    """Listen to the stream for the length of the block."""
    async with await web.served.connect() as stream, trio.open_nursery() as nursery:
        resource = f"/api/lifecycle{query}"
        yield await wrap_client_stream(nursery, stream, "127.0.0.1", resource)
        nursery.cancel_scope.cancel(reason="heard enough")


async def heard(websocket: WebSocketConnection) -> Any:
    return json.loads(await websocket.get_message())


async def code_of_close(websocket: WebSocketConnection) -> tuple[int, int]:
    """Return how many messages came before the close, and its code."""
    for count in itertools.count():
        try:
            await websocket.get_message()
        except ConnectionClosed as closed:
            return count, closed.reason.code if closed.reason else 0
    raise AssertionError("counting has no end")


async def test_a_snapshot_is_followed_by_what_happens() -> None:
    async with floor() as web, listening(web) as websocket:
        assert await heard(websocket) == {
            "type": "snapshot",
            "instance": web.lifecycle.instance,
            "seq": 0,
            "models": [
                {
                    "model": "m",
                    "state": "stopped",
                    "since": 1000.0,
                    "generation": 0,
                    "pid": None,
                    "in_flight": 0,
                    "waiting": 0,
                    "doomed_for": None,
                    "backoff": None,
                    "stuck": None,
                    "error": None,
                }
            ],
            "queue": [],
        }
        web.lifecycle.publish(START)
        assert await heard(websocket) == {
            "type": "transition",
            "seq": 1,
            "time": 1000.0,
            "model": "m",
            "old": "stopped",
            "new": "starting",
            "reason": "request",
            "generation": 3,
            "pid": None,
            "exit_code": None,
            "detail": None,
        }


@pytest.mark.parametrize("since", ["", "x", "-1", "1.0", "%C2%B2", "4", "9" * 5000])
async def test_who_cannot_continue_is_told_that_something_is_missing(since: str) -> None:
    async with floor() as web:
        web.lifecycle.publish(START)
        async with listening(web, f"?since={since}") as websocket:
            snapshot = await heard(websocket)
    assert (snapshot["type"], snapshot["gap"], snapshot["seq"]) == ("snapshot", True, 1)
    assert snapshot["models"][0]["state"] == "starting"


async def test_who_comes_back_gets_what_it_missed_and_no_snapshot() -> None:
    async with floor() as web:
        web.lifecycle.publish(START)
        web.lifecycle.publish(START)
        async with listening(web, f"?since=1&instance={web.lifecycle.instance}") as websocket:
            assert (await heard(websocket))["seq"] == 2
        async with listening(web, "?since=1&instance=another") as websocket:
            assert (await heard(websocket))["gap"] is True


async def test_who_comes_back_is_let_in_also_if_it_has_missed_nothing() -> None:
    async with floor() as web, listening(web, "?since=0") as websocket:
        web.lifecycle.publish(START)
        assert (await heard(websocket))["seq"] == 1


async def test_the_end_of_swapd_is_a_going_away() -> None:
    async with floor() as web, listening(web) as websocket:
        await heard(websocket)
        web.lifecycle.publish(START)
        web.lifecycle.close()
        assert await code_of_close(websocket) == (1, 1001)


@pytest.mark.parametrize("size", [64 * 1024, 64 * 1024 + 1])
async def test_who_should_only_listen_may_say_little(size: int) -> None:
    async with floor() as web, listening(web) as websocket:
        await heard(websocket)
        await websocket.send_message(b"x" * size)
        if size > 64 * 1024:
            assert await code_of_close(websocket) == (0, 1009)
        else:
            await websocket.ping()  # answered behind what came before
            web.lifecycle.publish(START)
            assert (await heard(websocket))["type"] == "transition"


async def test_who_lags_gets_what_was_kept_and_may_come_again_later() -> None:
    async with floor() as web, listening(web) as websocket:
        await heard(websocket)
        for _ in range(2 * LAG):  # at once: nobody has a chance to read
            web.lifecycle.publish(START)
        kept, code = await code_of_close(websocket)
    assert kept in (LAG, LAG + 1), "it may have been waiting for the first one already"
    assert code == 1013


def waiting(model: str, waited: float = 0.0, *, overdue: bool = False) -> Waiting:
    return Waiting(ModelId(model), Reason.REQUEST, waited, 1, overdue, ())


async def test_the_queue_is_told_to_who_asks_for_it_as_often_as_it_changes() -> None:
    async with floor() as web, listening(web, "?topics=lifecycle,queue") as websocket:
        assert (await heard(websocket))["type"] == "snapshot"
        nothing: dict[str, object] = {"queue": [], "doomed": {}, "in_flight": {}, "backoff": {}}
        assert await heard(websocket) == {"type": "queue", "after": 0, **nothing}
        web.lifecycle.publish(START)
        assert (await heard(websocket))["type"] == "transition"
        web.models.change(waiting("m", 1.0))
        told = await heard(websocket)
        assert (told["after"], [place["waited"] for place in told["queue"]]) == (1, [1.0])
        web.models.change(waiting("m", 2.0))  # it has only become later
        web.models.change(waiting("m", 3.0, overdue=True))
        told = await heard(websocket)
        assert [place["overdue"] for place in told["queue"]] == [True]
        web.models.change()
        assert (await heard(websocket))["queue"] == []


async def test_who_is_served_and_who_backs_off_is_told_with_the_queue() -> None:
    async with floor() as web, listening(web, "?topics=queue&since=0") as websocket:
        assert (await heard(websocket))["in_flight"] == {}
        web.models.seen = ModelView(ModelId("m"), in_flight=2)
        web.models.change()
        assert (await heard(websocket))["in_flight"] == {"m": 2}
        web.models.seen = ModelView(ModelId("m"), backoff=8.0)
        web.models.change()
        told = await heard(websocket)
        assert (told["in_flight"], told["backoff"]) == ({}, {"m": 8.0})
        web.models.seen = ModelView(ModelId("m"), backoff=7.5)  # it has only become later
        web.models.change()
        web.models.seen = ModelView(ModelId("m"))
        web.models.change()
        assert (await heard(websocket))["backoff"] == {}


async def test_what_only_passes_with_time_is_no_news_of_the_queue() -> None:
    async with floor() as web:
        queue, found = Queue(web.services), []
        for place, backoff in (
            (waiting("m", 1.0), 0.0),
            (waiting("m", 2.0), 0.0),
            (waiting("m", 3.0), 8.0),
            (waiting("m", 4.0), 7.0),
            (waiting("m", 5.0, overdue=True), 6.0),
        ):
            web.models.change(place)
            web.models.seen = ModelView(ModelId("m"), backoff=backoff)
            found.append(queue.news(0) is not None)
    assert found == [True, False, True, False, True]


async def test_who_asks_for_the_queue_alone_hears_of_nothing_else() -> None:
    async with floor() as web, listening(web, "?topics=queue&since=0") as websocket:
        assert (await heard(websocket))["type"] == "queue"
        web.lifecycle.publish(START)
        web.models.change(waiting("m"))
        assert (await heard(websocket))["type"] == "queue"
        web.lifecycle.close()
        assert await code_of_close(websocket) == (0, 1001)


async def test_a_topic_that_does_not_exist_is_refused_by_name() -> None:
    async with floor() as web:
        upgrade = (
            b"GET /api/lifecycle?topics=queue,weather HTTP/1.1\r\nhost: 127.0.0.1\r\n"
            b"connection: upgrade, close\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
            b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        reply = await web.ask(upgrade)
        assert reply.status == 400
        assert "weather" in reply.body.decode()
        assert "lifecycle, queue" in reply.body.decode()


async def test_a_reload_that_brings_or_takes_out_models_is_told_in_its_place() -> None:
    stop = Transition(
        ModelId("m"), ModelState.STARTING, ModelState.STOPPED, Reason.RELOAD, Generation(3)
    )
    async with floor() as web, listening(web) as websocket:
        await heard(websocket)
        web.lifecycle.publish(START)
        web.services.reconfigure(configured({}, web.upstream.url, "n"))
        web.services.reconfigure(configured({}, web.upstream.url, "n"))  # the same once more
        web.lifecycle.publish(stop)
        told = [await heard(websocket) for _ in range(4)]
    assert [message["seq"] for message in told] == [1, 1, 2, 2]
    assert [[model["model"] for model in message.get("models", [])] for message in told] == [
        [],
        ["m", "n"],
        [],
        ["n"],
    ]
    assert not any("gap" in message for message in told)


async def test_who_comes_back_is_told_of_other_models_behind_what_it_missed() -> None:
    async with floor() as web:
        web.lifecycle.publish(START)
        web.services.reconfigure(configured({}, web.upstream.url, "n"))
        async with listening(web, "?since=0") as websocket:
            told = [await heard(websocket) for _ in range(2)]
        assert [message["type"] for message in told] == ["transition", "snapshot"]
        assert [model["model"] for model in told[1]["models"]] == ["m", "n"]
        web.lifecycle.publish(replace(START, old=ModelState.STARTING, new=ModelState.STOPPED))
        async with listening(web, "?since=1") as websocket:
            told = [await heard(websocket) for _ in range(2)]
        assert [model["model"] for model in told[1]["models"]] == ["n"]
