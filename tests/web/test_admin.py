"""What the owner of the box asks: loading and unloading."""

from __future__ import annotations

import json

import pytest

from swapd.ids import ModelId
from swapd.policy.life import ModelState
from swapd.views import ModelView
from tests.web.floor import floor, get
from tests.web.opened import become


@pytest.mark.parametrize("name", ["m", "alias", "sel", "public"])
async def test_a_name_to_load_means_what_it_means_to_a_request(name: str) -> None:
    selectors = {"sel": {"strategy": "spillover", "targets": ["alias"]}}
    async with floor(selectors=selectors, profiles={"p": {"pins": {"public": "sel"}}}) as web:
        web.services.profiles.activate("p")
        reply = await web.ask(get(f"/api/models/load/{name}", method=b"POST"))
        assert (reply.status, json.loads(reply.body)) == (202, {"model": "m"})
        assert web.models.loaded == [ModelId("m")]


async def test_a_load_of_what_is_ready_already_says_so() -> None:
    async with floor() as web:
        become(web, ModelState.STARTING)
        reply = await web.ask(get("/api/models/load/m", method=b"POST"))
        assert (reply.status, json.loads(reply.body)) == (202, {"model": "m"})
        become(web, ModelState.READY)
        reply = await web.ask(get("/api/models/load/m", method=b"POST"))
        assert reply.status == 202, "it is to be stopped first"
        web.models.seen = ModelView(ModelId("m"), is_open=True)
        reply = await web.ask(get("/api/models/load/alias", method=b"POST"))
        assert (reply.status, json.loads(reply.body)) == (200, {"model": "m", "state": "ready"})
        assert web.models.loaded == [ModelId("m")] * 3


async def test_swapd_is_ready_until_it_begins_to_end() -> None:
    async with floor() as web:
        reply = await web.ask(get("/ready"))
        assert (reply.status, reply.body) == (200, b"OK")
        web.services.closing.set()
        reply = await web.ask(get("/ready"))
        assert (reply.status, reply.body) == (503, b"shutting down")
        assert (await web.ask(get("/health"))).status == 200


async def test_an_unload_names_a_model_itself_whatever_a_profile_says() -> None:
    selectors = {"sel": {"strategy": "pin", "targets": ["m"]}}
    async with floor(selectors=selectors, profiles={"p": {"pins": {"public": "m"}}}) as web:
        web.services.profiles.activate("p")
        reply = await web.ask(get("/api/models/unload/public", method=b"POST"))
        assert reply.error["message"] == (
            "model not found: 'public'; to requests alone it means 'm', by the active profile 'p'"
        )
        reply = await web.ask(get("/api/models/unload/sel", method=b"POST"))
        assert reply.error["message"] == "'sel' is a selector: name one of its targets"
