"""The listings, against models in every state."""

from __future__ import annotations

import json

import pytest

from swapd.config.load import parse
from swapd.ids import Generation, ModelId
from swapd.policy.life import ModelState, Reason, Transition
from tests.web.floor import Floor, floor, get

M = ModelId("m")


def come_to(web: Floor, state: ModelState) -> None:
    web.lifecycle.publish(
        Transition(M, ModelState.STOPPED, state, Reason.REQUEST, Generation(1), pid=7)
    )


async def test_a_model_is_listed_as_openais_clients_expect_it() -> None:
    settings = {"aliases": ["b", "a"], "name": " Mo ", "description": " "}
    async with floor(model=settings) as web:
        for path in ("/v1/models", "/models"):
            listing = json.loads((await web.ask(get(path))).body)
            (entry,) = listing["data"]
            assert listing["object"] == "list"
            assert isinstance(entry.pop("created"), int)
            assert entry == {
                "id": "m",
                "object": "model",
                "owned_by": "swapd",
                "name": "Mo",
                "meta": {"llamaswap": {"type": "model", "aliases": ["b", "a"]}},
                "status": {"value": "unloaded"},
            }


async def test_a_model_that_is_not_listed_is_seen_when_it_runs() -> None:
    async with floor(model={"unlisted": True}) as web:
        come_to(web, ModelState.READY)
        assert json.loads((await web.ask(get("/v1/models"))).body)["data"] == []
        assert len(json.loads((await web.ask(get("/running"))).body)["running"]) == 1


@pytest.mark.parametrize("state", [ModelState.STARTING, ModelState.READY, ModelState.STOPPING])
async def test_what_has_a_process_counts_as_loaded_and_running(state: ModelState) -> None:
    async with floor(model={"ttl": 60, "description": "small"}) as web:
        assert json.loads((await web.ask(get("/running"))).body) == {"running": []}
        come_to(web, state)
        listing = json.loads((await web.ask(get("/v1/models"))).body)
        (running,) = json.loads((await web.ask(get("/running"))).body)["running"]
        assert listing["data"][0]["status"] == {"value": "loaded"}
        assert set(running) == {"model", "state", "cmd", "proxy", "ttl", "name", "description"}
        assert (running["model"], running["state"], running["ttl"]) == ("m", state.value, 60)
        assert running["proxy"] == web.upstream.url


async def test_aliases_are_listed_where_that_is_configured() -> None:
    async with floor(includeAliasesInList=True) as web:
        listed = json.loads((await web.ask(get("/v1/models"))).body)["data"]
    assert [entry["id"] for entry in listed] == ["alias", "m"]


async def test_a_model_that_a_reload_took_out_is_shown_for_as_long_as_it_runs() -> None:
    async with floor() as web:
        come_to(web, ModelState.READY)
        web.services.reconfigure(parse("{}", "c.yaml", environ={}))
        web.services.reconfigure(parse("{}", "c.yaml", environ={}))
        listing = await web.ask(get("/v1/models"))
        (running,) = json.loads((await web.ask(get("/running"))).body)["running"]
        assert web.services.known() == [M]
        come_to(web, ModelState.STOPPED)
        after = await web.ask(get("/running"))
    assert listing.body == b'{"data":[],"object":"list"}\n'
    assert (running["model"], running["cmd"], running["state"]) == ("m", "serve 5800", "ready")
    assert after.body == b'{"running":[]}\n'


@pytest.mark.parametrize("name", ["m", "alias", "p/pm", "pm", "fast"])
async def test_one_name_is_shown_as_it_is_listed(name: str) -> None:
    peers = {"p": {"proxy": "http://127.0.0.1:1", "models": ["pm"]}}
    selectors = {"fast": {"strategy": "pin", "targets": ["m"]}}
    settings = {"aliases": ["alias"], "unlisted": True}
    async with floor(model=settings, peers=peers, selectors=selectors) as web:
        entry = json.loads((await web.ask(get(f"/v1/models/{name}"))).body)
    assert entry["id"] == ("p/pm" if name == "pm" else name)
    assert entry["object"] == "model"


async def test_a_name_that_is_none_is_told_with_those_that_come_near() -> None:
    async with floor() as web:
        reply = await web.ask(get("/v1/models/alia"))
        assert (await web.ask(get("/v1/models/"))).status == 404
    assert (reply.status, reply.error["code"]) == (404, "model_not_found")
    assert "'alias'" in reply.error["message"]
