"""What becomes of a request on its way from the name that it asks for to the model that it gets.

Profile, selector, filters and record, in this order, as the model's server and the owner see it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from trio.testing import wait_all_tasks_blocked

from swapd.policy.life import ModelState
from tests.upstream.asking import OK
from tests.upstream.scripted import serving as scripted
from tests.web.event_clients import listening
from tests.web.floor import Floor, chat, floor, get
from tests.web.opened import become

SELECTORS = {
    "pick": {"strategy": "pin", "targets": ["variant"]},
    "spread": {"strategy": "spillover", "targets": ["m"]},
}
PIN_TO_PEER = {"alias": "p/far"}
PINS = {"public": "variant", "code": "pick", "off": None, "alias": "p/far", "gone": "spread"}


@asynccontextmanager
async def coding() -> AsyncIterator[Floor]:
    """Serve ``m``, also as ``alias`` and ``variant``, while a profile is active."""
    model = {"aliases": ["alias"], "filters": {"setParamsByID": {"variant": {"thinking": True}}}}
    peers = {"p": {"proxy": "http://127.0.0.1:9", "models": ["far"]}}
    profiles = {"coding": {"pins": PINS}}
    async with floor(model=model, peers=peers, selectors=SELECTORS, profiles=profiles) as web:
        web.services.activate("coding")
        yield web


def body_of(requests: list[bytes]) -> bytes:
    (request,) = requests
    return request.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    ("asked", "sent", "selector"),
    [
        ("m", b'{"model": "m"}', None),
        ("variant", b'{"model": "variant","thinking":true}', None),
        ("public", b'{"model": "variant","thinking":true}', None),
        ("pick", b'{"model": "variant","thinking":true}', "pick"),
        ("code", b'{"model": "variant","thinking":true}', "pick"),
    ],
)
async def test_filters_go_by_the_name_to_which_profile_and_selector_lead(
    asked: str, sent: bytes, selector: str | None
) -> None:
    async with coding() as web:
        web.upstream.then(web.upstream.answer(OK))
        assert (await web.ask(chat(b'{"model": "%s"}' % asked.encode()))).status == 200
        await wait_all_tasks_blocked()
        (row,) = web.finished
    assert body_of(web.upstream.requests) == sent
    assert (row.model, row.selector) == ("m", selector)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/upstream/off/x"])
async def test_a_disabled_name_reaches_nobody(path: str) -> None:
    async with coding() as web:
        reply = await web.ask(chat(b'{"model": "off"}', path=path))
        assert (reply.status, reply.error["code"]) == (404, "model_not_found")
        assert "'off' is disabled by the active profile 'coding'" in reply.error["message"]
        assert web.upstream.connections == 0


async def test_below_upstream_a_pin_leads_to_its_model_and_changes_nothing() -> None:
    asked = b'{"model": "public", "x": 1.10}'
    async with coding() as web:
        web.upstream.then(web.upstream.answer(OK))
        path = "/upstream/public/v1/chat/completions"
        assert (await web.ask(chat(asked, path=path))).status == 200
        await wait_all_tasks_blocked()
        (row,) = web.finished
    assert web.upstream.requests[0].startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert body_of(web.upstream.requests) == asked
    assert (row.model, row.path, row.selector) == ("m", "/v1/chat/completions", None)


@pytest.mark.parametrize("name", ["pick", "code"])
async def test_below_upstream_a_selector_stands_for_nobody(name: str) -> None:
    async with coding() as web:
        reply = await web.ask(chat(b"{}", path=f"/upstream/{name}/v1/chat/completions"))
        assert reply.status == 404
        assert reply.error["message"] == (
            "'pick' is a selector: it stands for no one server, name a model"
        )
        assert web.upstream.connections == 0


@pytest.mark.parametrize("name", ["spread", "gone"])
async def test_a_selector_whose_targets_are_all_stopping_says_when_to_try_again(name: str) -> None:
    async with coding() as web:
        become(web, ModelState.STOPPING)
        reply = await web.ask(chat(b'{"model": "%s"}' % name.encode()))
    assert (reply.status, reply.headers["retry-after"]) == (503, "1")
    assert reply.error["message"] == (
        'selector "spread" has no available spillover targets: all are stopping'
    )


async def test_what_a_profile_or_a_selector_calls_so_is_no_model_with_a_state() -> None:
    async with coding() as web, listening(web) as listener:
        told = await listener.hear_of("modelStatus")
    assert [row["id"] for row in told] == ["m", "p/far"]


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        (b"far", b'{"model": "far", "keep": 1.10,"extra":{"deep":5},"bare":1}'),
        (b"p/far", b'{"model": "far", "keep": 1.10,"extra":{"deep":5},"full":1}'),
        (b"alias", b'{"model": "far", "keep": 1.10,"extra":{"deep":5},"full":1}'),
    ],
)
async def test_a_peers_filters_go_by_the_name_that_the_peer_is_called_by_here(
    asked: bytes, sent: bytes
) -> None:
    filters = {
        "stripParams": "top_p, model",
        "setParams": {"extra.deep": 5, "model": "no"},
        "setParamsByID": {"far": {"bare": 1}, "p/far": {"full": 1}},
    }
    async with scripted() as there:
        there.then(there.answer(OK))
        peers = {"p": {"proxy": there.url, "models": ["far"], "filters": filters}}
        async with floor(peers=peers, profiles={"coding": {"pins": PIN_TO_PEER}}) as web:
            web.services.activate("coding")
            body = b'{"model": "%s", "top_p": 0.5, "keep": 1.10}' % asked
            assert (await web.ask(chat(body))).status == 200
            await wait_all_tasks_blocked()
            (row,) = web.finished
    assert body_of(there.requests) == sent
    assert row.model == "p/far"


async def test_a_get_to_a_peer_has_the_peers_name_in_its_place_and_all_else_as_it_was() -> None:
    async with scripted() as there:
        there.then(there.answer(OK))
        peers = {"p": {"proxy": f"{there.url}/base/?k=v", "models": ["org/far"]}}
        async with floor(peers=peers) as web:
            path = "/v1/audio/voices?b=%2F&model=p/org%2Ffar&a=+x"
            assert (await web.ask(get(path))).status == 200
    line = there.requests[0].partition(b"\r\n")[0]
    assert line == b"GET /base/v1/audio/voices?k=v&b=%2F&model=org%2Ffar&a=+x HTTP/1.1"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/upstream/publi/x", "/v1/models/publi"])
async def test_a_near_miss_of_what_the_profile_pins_is_told(path: str) -> None:
    async with coding() as web:
        asked = get(path) if "models" in path else chat(b'{"model": "publi"}', path=path)
        reply = await web.ask(asked)
    assert reply.status == 404
    message = reply.error["message"]
    assert message.startswith("model not found: 'publi'; did you mean 'public'")
