"""What lies below a model, from raw socket to raw socket."""

from __future__ import annotations

import json

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from swapd.errors import ModelUnavailable
from swapd.ids import Generation, ModelId
from swapd.policy.life import ModelState, Reason, Transition
from tests.upstream.asking import OK
from tests.upstream.scripted import Connection
from tests.web.floor import PLAIN, Floor, chat, floor, get
from tests.web.raw import request

NAMED = {"aliases": ["alias", "author/model", "white space"]}

COMFYUI = "comfyui_auto"

#: A peer that is not there.
PEER = {"proxy": "http://127.0.0.1:1", "models": ["pm"]}


def become(web: Floor, state: ModelState, model: str = "m") -> None:
    change = Transition(ModelId(model), ModelState.STOPPED, state, Reason.REQUEST, Generation(1))
    web.lifecycle.publish(change)


async def line_upstream(asked: bytes) -> bytes:
    """Return the first line that the model's server gets of ``asked``."""
    async with floor(model=NAMED) as web:
        web.upstream.then(web.upstream.answer(OK))
        reply = await web.ask(asked)
        assert reply.status == 200
    return web.upstream.requests[0].partition(b"\r\n")[0]


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/upstream/m/", b"/"),
        ("/upstream/m/v1/chat", b"/v1/chat"),
        ("/upstream/alias/x?model=other&a=%2F&&b", b"/x?model=other&a=%2F&&b"),
        ("/upstream/author/model/a%2Fb/c%20d%252F", b"/a%2Fb/c%20d%252F"),
        ("/upstream/author%2Fmodel/x", b"/x"),
        ("/upstream/white%20space/%E2%9C%93/", b"/%E2%9C%93/"),
        ("/upstream/m//x//y/../z/./", b"//x//y/../z/./"),
        ("/upstream/m/..", b"/.."),
        ("/upstream/m/%2e%2e/%5C", b"/%2e%2e/%5C"),
        ("http://localhost/upstream/m/x", b"/x"),
    ],
)
async def test_what_follows_the_model_is_sent_as_it_was_written(path: str, sent: bytes) -> None:
    assert await line_upstream(get(path)) == b"GET " + sent + b" HTTP/1.1"


@pytest.mark.parametrize("method", ["PATCH", "PUT", "DELETE", "OPTIONS", "PROPFIND", "TRACE"])
async def test_any_method_is_passed_on(method: str) -> None:
    sent = await line_upstream(get("/upstream/m/x", method=method.encode()))
    assert sent == method.encode() + b" /x HTTP/1.1"


@pytest.mark.parametrize("path", ["/upstream/m/x", "/upstream/m", "/comfyui/x"])
async def test_connect_is_not_passed_on_for_it_asks_for_a_tunnel(path: str) -> None:
    async with floor() as web:
        reply = await web.ask(get(path, method=b"CONNECT"))
        assert (reply.status, reply.error["code"]) == (405, "method_not_allowed")
        assert reply.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
    assert web.upstream.connections == 0


async def test_head_is_passed_on_and_answered_without_a_body() -> None:
    async with floor() as web:
        web.upstream.then(web.upstream.answer(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n"))
        reply = await web.ask(get("/upstream/m/x", method=b"HEAD"))
    assert (reply.status, reply.headers["content-length"], reply.body) == (200, "500", b"")
    assert web.upstream.requests[0].startswith(b"HEAD /x ")


async def test_a_body_is_passed_on_whatever_it_is() -> None:
    async with floor(model={**PLAIN, "useModelName": "other"}) as web:
        web.upstream.then(web.upstream.answer(OK))
        head = b"content-type: application/json\r\n"
        await web.ask(chat(b'{"model": "m", broken', head=head, path="/upstream/m/v1/completions"))
    asked = web.upstream.requests[0]
    assert asked.endswith(b'\r\n\r\n{"model": "m", broken')
    assert b"\r\nx-forwarded-for: 127.0.0.1\r\n" in asked


@pytest.mark.parametrize(
    ("method", "status"), [(b"GET", 301), (b"HEAD", 301), (b"POST", 308), (b"PUT", 308)]
)
@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/upstream/m", "/upstream/m/"),
        ("/upstream//m", "/upstream/m/"),
        ("/upstream/author%2Fmodel?x=1&y=%2F", "/upstream/author/model/?x=1&y=%2F"),
        ("/upstream/white%20space", "/upstream/white%20space/"),
    ],
)
async def test_a_model_itself_is_a_folder(
    method: bytes, status: int, path: str, location: str
) -> None:
    async with floor(model=NAMED) as web:
        reply = await web.ask(get(path, method=method))
    assert (reply.status, reply.headers["location"], reply.body) == (status, location, b"")
    assert web.upstream.connections == 0


async def test_a_name_that_a_profile_pins_is_a_folder_of_its_own() -> None:
    """What it leads to may change, and who keeps the answer must not be led past the pin."""
    pins = {"coding": {"pins": {"gpt": "m"}}}
    async with floor(profiles=pins) as web:
        body = b'{"name": "coding"}'
        head = b"content-length: %d\r\n" % len(body)
        assert (await web.ask(get("/api/profiles/active", head=head, method=b"PUT") + body)).status
        reply = await web.ask(get("/upstream/gpt?x=1"))
        assert (reply.status, reply.headers["location"]) == (301, "/upstream/gpt/?x=1")
        web.upstream.then(web.upstream.answer(OK))
        assert (await web.ask(get("/upstream/gpt/a%2Fb"))).body == b"ok"
    assert web.upstream.requests[0].startswith(b"GET /a%2Fb HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        ("/upstream/", "not_found", "the path names no model"),
        ("/upstream/mm/x", "model_not_found", "model not found: 'mm'; did you mean 'm'?"),
        ("/upstream/M/", "model_not_found", "model not found: 'M'"),
        ("/comfyui/", "model_not_found", "/comfyui is the model comfyui_auto, which is not"),
    ],
)
async def test_a_path_without_a_model_is_refused(path: str, code: str, message: str) -> None:
    async with floor(peers={"p": {**PEER, "models": [COMFYUI]}}) as web:
        reply = await web.ask(get(path))
    assert (reply.status, reply.error["code"]) == (404, code)
    assert reply.error["message"].startswith(message)


async def test_upstream_itself_shows_which_models_there_are() -> None:
    async with floor() as web:
        reply = await web.ask(get("/upstream"))
    assert (reply.status, reply.headers["location"]) == (302, "/ui/")


async def test_a_model_that_cannot_be_had_says_why() -> None:
    async with floor() as web:
        web.models.refusal = ModelUnavailable("m is out", retry_after=3)
        reply = await web.ask(get("/upstream/m/x"))
    assert (reply.status, reply.error["message"]) == (503, "m is out")
    assert reply.headers["retry-after"] == "3"


async def test_the_errors_of_an_api_have_its_shape_here_too() -> None:
    async with floor() as web:
        web.models.refusal = ModelUnavailable("m is out", retry_after=3)
        reply = await web.ask(chat(path="/upstream/m/v1/messages"))
    assert json.loads(reply.body)["error"] == {"type": "overloaded_error", "message": "m is out"}


async def test_keys_of_swapd_go_no_further() -> None:
    async with floor(apiKeys=["our-key"]) as web:
        web.upstream.then(web.upstream.answer(OK))
        assert (await web.ask(get("/upstream/m/x"))).status == 401
        assert (await web.ask(get("/upstream/m"))).status == 401
        head = b"authorization: Bearer our-key\r\nx-api-key: theirs\r\n"
        assert (await web.ask(get("/upstream/m/x", head=head))).status == 200
    (asked,) = web.upstream.requests
    assert b"our-key" not in asked
    assert b"\r\nx-api-key: theirs\r\n" in asked


async def test_a_request_counts_as_one_for_its_model_while_it_lasts() -> None:
    asked, left = trio.Event(), trio.Event()

    async def slow(connection: Connection) -> None:
        await connection.request()
        asked.set()
        await connection.left()
        left.set()

    async with floor(slow) as web:
        client = await web.served.connect()
        async with client:
            await client.send_all(request("/upstream/alias/slow"))
            await asked.wait()
            (tracked,) = web.services.requests
            assert (tracked.model, tracked.path) == ("m", "/slow")
        await left.wait()
        await wait_all_tasks_blocked()
        assert not [*web.services.requests]


# -- what does not load a model ---------------------------------------------------------


@pytest.mark.parametrize("path", ["/app.js", "/a/b.json?v=1", "/x.PNG.png", "/%2e%74xt"])
@pytest.mark.parametrize("state", [ModelState.STARTING, ModelState.STOPPED, ModelState.STOPPING])
async def test_what_a_page_loads_by_itself_does_not_load_a_model(
    path: str, state: ModelState
) -> None:
    async with floor() as web:
        if state is not ModelState.STOPPED:
            become(web, state)
        reply = await web.ask(get(f"/upstream/m{path}"))
    assert (reply.status, reply.error["code"]) == (409, "conflict")
    assert reply.error["message"].startswith("m is not loaded, and /")
    assert web.upstream.connections == 0


async def test_what_a_page_loads_is_served_by_a_model_that_is_ready() -> None:
    async with floor() as web:
        web.upstream.then(web.upstream.answer(OK))
        become(web, ModelState.READY)
        assert (await web.ask(get("/upstream/m/app.js"))).body == b"ok"


async def test_which_paths_do_not_load_a_model_is_configured() -> None:
    async with floor(upstream={"ignorePaths": ["^/static/", "poll"]}) as web:
        web.upstream.then(web.upstream.answer(OK), web.upstream.answer(OK))
        for path in ("/static/x", "/a/poll?x", "/%73tatic/"):
            assert (await web.ask(get(f"/upstream/m{path}"))).status == 409
        assert (await web.ask(get("/upstream/m/x/static/"))).status == 200
        assert (await web.ask(get("/upstream/m/app.js"))).status == 200


async def test_a_peers_model_is_asked_whatever_the_path() -> None:
    async with floor(peers={"p": PEER}) as web:
        reply = await web.ask(get("/upstream/pm/app.js"))
    assert (reply.status, reply.error["code"]) == (502, "bad_gateway")


# -- ComfyUI ----------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "status"), [(b"GET", 301), (b"HEAD", 301), (b"POST", 308)])
async def test_comfyui_itself_is_a_folder(method: bytes, status: int) -> None:
    async with floor(name=COMFYUI) as web:
        reply = await web.ask(get("/comfyui?token=value", method=method))
    assert (reply.status, reply.headers["location"]) == (status, "/comfyui/?token=value")


async def test_only_the_page_of_comfyui_loads_it() -> None:
    async with floor(name=COMFYUI) as web:
        web.upstream.then(web.upstream.answer(OK))
        for path in ("/comfyui/api/queue", "/comfyui/x.js", "/comfyui//"):
            reply = await web.ask(get(path))
            assert (reply.status, reply.error["code"]) == (409, "conflict")
            assert "only /comfyui/ can start it" in reply.error["message"]
        assert (await web.ask(get("/comfyui/?a=b"))).status == 200
    assert web.upstream.requests[0].startswith(b"GET /?a=b HTTP/1.1\r\n")


async def test_what_lies_below_comfyui_is_sent_as_it_was_written() -> None:
    async with floor(name=COMFYUI) as web:
        web.upstream.then(web.upstream.answer(OK))
        become(web, ModelState.READY, COMFYUI)
        path = "/comfyui/api//workflows%2Fa%252F%E2%9C%93/../x.json"
        assert (await web.ask(get(path, method=b"DELETE"))).status == 200
    assert web.upstream.requests[0].startswith(
        b"DELETE /api//workflows%2Fa%252F%E2%9C%93/../x.json HTTP/1.1\r\n"
    )


# -- paths elsewhere --------------------------------------------------------------------


@pytest.mark.parametrize("method", [b"GET", b"POST", b"DELETE"])
async def test_elsewhere_a_path_leads_to_its_clean_form_by_any_method(method: bytes) -> None:
    async with floor() as web:
        reply = await web.ask(get("//v1/x/..//models?a=%2F", method=method))
    assert (reply.status, reply.headers["location"]) == (307, "/v1/models?a=%2F")


async def test_no_path_leads_to_another_host() -> None:
    async with floor() as web:
        assert (await web.ask(get("//evil.example/%2f.."))).headers["location"] == (
            "/evil.example/%2f.."
        )
        assert (await web.ask(get("//\\evil.example//"))).headers["location"] == (
            "/%5Cevil.example/"
        )


async def test_a_preflight_is_answered_whatever_its_path() -> None:
    async with floor() as web:
        head = b"access-control-request-method: POST\r\n"
        assert (await web.ask(get("//v1//x", head=head, method=b"OPTIONS"))).status == 204
        reply = await web.ask(get("/upstream/m/x", head=head, method=b"OPTIONS"))
    assert (reply.status, web.upstream.connections) == (204, 0)
