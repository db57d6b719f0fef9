"""What a request would cause, as the API tells it."""

from __future__ import annotations

import json
from contextlib import ExitStack

import pytest

from swapd.ids import Generation, ModelId, Ticket
from swapd.policy.facts import ModelReady, RequestArrived
from tests.web.floor import Floor, floor, get

N = ModelId("n")


def serve_another(web: Floor) -> None:
    """Have model ``n`` serve a request in the place of ``m``."""
    web.models.scheduler.handle(RequestArrived(Ticket(1), N), now=0.0)
    web.models.scheduler.handle(ModelReady(N, Generation(1)), now=0.0)


async def test_what_a_request_would_cause_is_told() -> None:
    async with floor() as web:
        serve_another(web)
        for name in ("m", "alias"):
            reply = await web.ask(get(f"/api/explain?model={name}"))
            assert (reply.status, json.loads(reply.body)) == (
                200,
                {
                    "model": "m",
                    "state": "stopped",
                    "outcome": "waits",
                    "told": "m is stopped. m would evict n (group g, cost 1). "
                    "A request would wait: n serves 1 request.",
                    "refusal": None,
                    "stops": [],
                    "waits_for": {"n": "serves 1 request"},
                    "ahead": [],
                    "running": ["n"],
                    "evict": ["n"],
                    "stay": [],
                    "rule": "group g",
                    "cost": 1,
                    "verdict": "m would evict n (group g, cost 1)",
                    "why": {"n": "group g swaps: one member at a time"},
                    "alternatives": [],
                },
            )


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("", "not_found", "name a model: /api/explain?model=NAME"),
        ("?model=", "not_found", "name a model: /api/explain?model=NAME"),
        ("?model=ms", "model_not_found", "model not found: 'ms'; did you mean 'm'?"),
        (
            "?model=far",
            "model_not_found",
            "'far' is a model of the peer 'p', not one of swapd's own",
        ),
    ],
)
async def test_a_model_must_be_named_that_there_is(query: str, code: str, message: str) -> None:
    async with floor(peers={"p": {"proxy": "http://h:1", "models": ["far"]}}) as web:
        reply = await web.ask(get(f"/api/explain{query}"))
        assert (reply.status, reply.error["code"]) == (404, code)
        assert reply.error["message"] == message


async def test_names_mean_what_they_mean_to_a_request() -> None:
    selectors = {"sel": {"strategy": "pin", "targets": ["alias"]}}
    pins = {"public": "sel", "m": None}
    async with floor(selectors=selectors, profiles={"p": {"pins": pins}}) as web:
        reply = await web.ask(get("/api/explain?model=sel"))
        assert (reply.status, json.loads(reply.body)["model"]) == (200, "m")
        web.services.profiles.activate("p")
        reply = await web.ask(get("/api/explain?model=public"))
        assert (reply.status, json.loads(reply.body)["model"]) == (200, "m")
        reply = await web.ask(get("/api/explain?model=m"))
        assert reply.status == 404
        assert "'m' is disabled by the active profile 'p'" in reply.error["message"]


async def test_an_explanation_takes_nobodys_turn() -> None:
    peers = {"p": {"proxy": "http://h:1", "models": ["far"]}}
    selectors = {
        "sel": {"strategy": "spillover", "targets": ["m", "far"], "settings": {"spillover": 9}}
    }
    async with floor(peers=peers, selectors=selectors) as web:
        with ExitStack() as busy:
            for model in ("m", "p/far"):
                track = web.services.requests.track(model, method="POST", path="/", client=None)
                busy.enter_context(track)
            for _ in range(3):
                reply = await web.ask(get("/api/explain?model=sel"))
                assert json.loads(reply.body)["model"] == "m"


async def test_a_key_is_asked_for() -> None:
    async with floor(apiKeys=["sesame"]) as web:
        assert (await web.ask(get("/api/explain?model=m"))).status == 401
