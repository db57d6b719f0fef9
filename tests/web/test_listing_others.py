"""The list of models: what is there beside swapd's own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from swapd.ids import Generation, ModelId
from swapd.policy.life import ModelState, Reason, Transition
from tests.web.floor import Floor, floor, get

PEERS = {"far": {"proxy": "http://127.0.0.1:9", "models": ["m", "other", "other"]}}


async def listed(web: Floor) -> dict[str, dict[str, Any]]:
    entries = json.loads((await web.ask(get("/v1/models"))).body)["data"]
    assert [entry["id"] for entry in entries] == sorted(entry["id"] for entry in entries)
    return {entry["id"]: entry for entry in entries}


async def test_models_of_peers_are_listed_by_their_full_names() -> None:
    async with floor(peers=PEERS) as web:
        entries = await listed(web)
    assert [*entries] == ["far/m", "far/other", "m"]
    other = entries["far/other"]
    assert isinstance(other.pop("created"), int)
    assert other == {
        "id": "far/other",
        "object": "model",
        "owned_by": "swapd",
        "name": "far: other",
        "meta": {"llamaswap": {"type": "peer", "peerID": "far"}},
        "status": {"value": "unloaded"},
    }


async def test_selectors_are_listed_with_what_they_choose_from() -> None:
    selectors = {
        "any": {
            "strategy": "warm",
            "targets": ["alias"],
            "name": "Any",
            "description": "of them",
            "metadata": {"purpose": "chat", "type": "mine"},
        },
        "spread": {"strategy": "spillover", "targets": ["m"], "settings": {"spillover": 2}},
        "hidden": {"strategy": "pin", "targets": ["m"], "unlisted": True},
    }
    async with floor(selectors=selectors) as web:
        entries = await listed(web)
    assert [*entries] == ["any", "m", "spread"]
    assert (entries["any"]["name"], entries["any"]["description"]) == ("Any", "of them")
    assert entries["any"]["meta"]["llamaswap"] == {
        "purpose": "chat",
        "type": "selector",
        "strategy": "warm",
        "targets": ["alias"],
    }
    assert entries["spread"]["meta"]["llamaswap"]["spillover"] == 2


async def test_a_selector_that_is_not_listed_is_shown_to_who_names_it() -> None:
    selectors = {"hidden": {"strategy": "pin", "targets": ["m"], "unlisted": True}}
    async with floor(selectors=selectors) as web:
        reply = await web.ask(get("/v1/models/hidden"))
        assert (reply.status, json.loads(reply.body)["id"]) == (200, "hidden")
        assert [*await listed(web)] == ["m"]


@pytest.mark.parametrize(
    ("state", "strategy", "targets", "status"),
    [
        (ModelState.READY, "warm", ["alias"], "loaded"),
        (ModelState.STARTING, "pin", ["m"], "loaded"),
        (ModelState.STOPPING, "pin", ["m"], "unloaded"),
        (ModelState.READY, "pin", ["far/other", "m"], "unloaded"),
        (ModelState.READY, "spillover", ["far/other", "m"], "loaded"),
        (ModelState.READY, "spillover", ["far/other"], "unloaded"),
    ],
)
async def test_a_selector_is_loaded_as_those_are_whom_it_would_take(
    state: ModelState, strategy: str, targets: list[str], status: str
) -> None:
    selectors = {"any": {"strategy": strategy, "targets": targets}}
    async with floor(selectors=selectors, peers=PEERS) as web:
        web.lifecycle.publish(
            Transition(
                ModelId("m"), ModelState.STOPPED, state, Reason.REQUEST, Generation(1), pid=7
            )
        )
        assert (await listed(web))["any"]["status"] == {"value": status}


async def test_the_names_of_the_active_profile_are_listed() -> None:
    pins = {"public": "m", "off": None, "m": "alias", "alias": "m", "other": "m", "any": "m"}
    selectors = {"any": {"strategy": "pin", "targets": ["m"], "unlisted": True}}
    async with floor(
        model={"aliases": ["alias"], "unlisted": True},
        peers=PEERS,
        selectors=selectors,
        profiles={"coding": {"pins": pins}},
    ) as web:
        assert [*await listed(web)] == ["far/m", "far/other"]
        body = b'{"name": "coding"}'
        head = b"content-length: %d\r\n" % len(body)
        await web.ask(get("/api/profiles/active", head=head, method=b"PUT") + body)
        entries = await listed(web)
    assert [*entries] == ["far/m", "far/other", "public"]
    assert "name" not in entries["public"]
    assert entries["public"]["meta"] == {"llamaswap": {"type": "profile"}}
