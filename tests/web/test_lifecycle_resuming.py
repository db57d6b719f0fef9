"""A client of the lifecycle websocket that is killed again and again, and goes on where it was."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
import trio
from trio_websocket import wrap_client_stream

from swapd.ids import Generation, ModelId
from swapd.policy.life import ModelState, Reason, Transition
from tests.web.floor import Floor, floor
from tests.web.raw import leave_with_fin, leave_with_rst

#: How often it is killed, and how many transitions there are all in all.
LIVES, TRANSITIONS = 12, 600


async def keep_changing(web: Floor, pause: float) -> None:
    """Change a state ``TRANSITIONS`` times, with a request between two of them."""
    states = [ModelState.STOPPED, ModelState.STARTING]
    for number in range(TRANSITIONS):
        old, new = states[number % 2], states[1 - number % 2]
        change = Transition(ModelId("m"), old, new, Reason.REQUEST, Generation(number))
        web.lifecycle.publish(change)
        with web.services.requests.track("m", method="GET", path="/", client=None):
            await trio.sleep(pause)


async def one_life(web: Floor, query: str, most: int, *, kill: Any) -> list[Any]:
    """Listen until ``most`` transitions were heard, then vanish; return all that was heard."""
    stream = await web.served.connect()
    heard: list[Any] = []
    async with trio.open_nursery() as nursery:
        websocket = await wrap_client_stream(nursery, stream, "localhost", f"/api/lifecycle{query}")
        while most:
            heard.append(json.loads(await websocket.get_message()))
            most -= heard[-1]["type"] == "transition"
        await kill(stream)
        nursery.cancel_scope.cancel(reason="killed")
    return heard


@pytest.mark.parametrize("kill", [leave_with_fin, leave_with_rst])
async def test_a_client_that_is_killed_goes_on_without_a_gap(kill: Any) -> None:
    topics = "topics=lifecycle,requests"
    async with floor() as web, trio.open_nursery() as nursery:
        listen = partial(one_life, web, kill=kill)
        nursery.start_soon(keep_changing, web, 0.0005)
        (snapshot, requests, *heard) = await listen(f"?{topics}", 10)
        assert (snapshot["type"], requests["type"]) == ("snapshot", "requests")
        seq, instance = heard[-1]["seq"], snapshot["instance"]
        seqs = [message["seq"] for message in heard if message["type"] == "transition"]
        for life in range(LIVES):
            more = await listen(f"?{topics}&since={seq}&instance={instance}", 20 + life)
            assert "snapshot" not in {message["type"] for message in more}
            seqs += [message["seq"] for message in more if message["type"] == "transition"]
            seq = seqs[-1]
            places = [m["after"] for m in more if m["type"] == "request"]
            assert places == sorted(places)
        first = snapshot["seq"] + 1
        assert seqs == [*range(first, first + len(seqs))]
        nursery.cancel_scope.cancel(reason="seen enough")


async def test_a_client_that_was_away_for_too_long_is_told_so() -> None:
    async with floor() as web:
        await keep_changing(web, 0)
        heard = await one_life(web, "?since=0", TRANSITIONS, kill=leave_with_fin)
        assert [message["seq"] for message in heard] == [*range(1, TRANSITIONS + 1)]
        for _ in range(8):
            await keep_changing(web, 0)
        async with await web.served.connect() as stream, trio.open_nursery() as nursery:
            websocket = await wrap_client_stream(
                nursery, stream, "localhost", "/api/lifecycle?since=1"
            )
            snapshot = json.loads(await websocket.get_message())
            assert (snapshot["gap"], snapshot["seq"]) == (True, 9 * TRANSITIONS)
            nursery.cancel_scope.cancel(reason="heard")
