"""Who is let in, on raw sockets: nothing is done for whoever is refused."""

from __future__ import annotations

import json

import pytest

from swapd.web.bound import Bound
from tests.upstream.scripted import Connection, Script
from tests.web.floor import PLAIN, Reply, chat, configured, floor, get
from tests.web.raw import OPEN_WEBSOCKET, request

EVIL = b"origin: https://evil.example\r\n"
HANDSHAKE = OPEN_WEBSOCKET.replace(b"/ws", b"/api/lifecycle")
EXPOSED = Bound("http://localhost:1", is_loopback=False, is_exposed=True)


def answer(body: bytes, *, head: bytes = b"") -> Script:
    async def script(connection: Connection) -> None:
        await connection.request()
        length = b"content-length: %d\r\n" % len(body)
        await connection.send(b"HTTP/1.1 200 OK\r\n" + length + head + b"\r\n" + body)

    return script


def by_name(host: bytes, asked: bytes) -> bytes:
    return asked.replace(b"host: localhost\r\n", b"host: %s\r\n" % host)


@pytest.mark.parametrize(
    "asked",
    [
        chat(head=EVIL),
        chat(head=b"sec-fetch-site: cross-site\r\n"),
        get("/props?model=m", head=b"sec-fetch-site: cross-site\r\n"),
        get("/unload", head=EVIL),
        get("/api/models/unload", head=EVIL, method=b"POST"),
        HANDSHAKE.replace(b"\r\n\r\n", b"\r\n" + EVIL + b"\r\n"),
        OPEN_WEBSOCKET.replace(b"/ws", b"/upstream/m/ws").replace(
            b"\r\n\r\n", b"\r\n" + EVIL + b"\r\n"
        ),
        get("/upstream/m/", head=b"sec-fetch-site: cross-site\r\n"),
        get("/comfyui/", head=b"sec-fetch-site: cross-site\r\n"),
        by_name(b"evil.example", chat()),
        by_name(b"evil.example", get("/v1/models")),
        by_name(b"evil.example", get("/", method=b"OPTIONS")),
        by_name(b"evil.example", HANDSHAKE),
        by_name(b"localhost@evil.example", get("/health")),
        get("http://evil.example/v1/models"),
        get("http://localhost@evil.example/v1/models"),
    ],
)
async def test_a_web_page_of_another_site_starts_and_changes_nothing(asked: bytes) -> None:
    async with floor() as web:
        reply = await web.ask(asked)
        assert web.upstream.connections == 0
    assert (reply.status, reply.error["code"]) == (403, "forbidden")


@pytest.mark.parametrize("path", ["//running", "/./running", "/a/../unload", "ftp://x/running"])
async def test_a_path_that_is_not_clean_leads_only_those_who_are_let_in(path: str) -> None:
    async with floor(apiKeys=["sesame"]) as web:
        locked = await web.ask(get(path))
        misled = await web.ask(by_name(b"evil.example", get(path, head=b"x-api-key: sesame\r\n")))
        led = await web.ask(get(path, head=b"x-api-key: sesame\r\n"))
    assert (locked.status, misled.status, led.status) == (401, 403, 307)
    assert "location" not in {**locked.headers, **misled.headers}


@pytest.mark.parametrize(
    "asked",
    [
        get("/%2Funload"),
        get("/%2Funload", head=EVIL),
        get("/%2F%2funload", head=b"sec-fetch-site: cross-site\r\n"),
        get("/api%2Fmodels%2Funload", method=b"POST"),
        get("/%2Fapi/models/load/m", method=b"POST"),
        get("/v1%2Fmodels"),
        get("/%2Fhealth"),
        get("/api%2Fevents"),
        chat(path="/v1/chat%2Fcompletions"),
    ],
)
async def test_a_slash_that_is_encoded_leads_to_no_route(asked: bytes) -> None:
    async with floor() as web:
        reply = await web.ask(asked)
        assert (web.models.leases, web.models.loaded) == (0, [])
        route = asked.partition(b" HTTP/1.1")[0].decode()
        assert reply.error["message"] == f"{route}: not found"
        web.services.reconfigure(configured(PLAIN, web.upstream.url, apiKeys=["sesame"]))
        assert (await web.ask(asked)).status == 401
    assert (reply.status, reply.error["code"]) == (404, "not_found")


async def test_a_name_may_have_slashes_wherever_they_stand() -> None:
    async with floor(name="a//b/") as web:
        shown = await web.ask(get("/v1/models/a%2F%2Fb%2F"))
        loaded = await web.ask(get("/api/models/load/a%2F%2Fb%2F", method=b"POST"))
        assert web.models.loaded == ["a//b/"]
    assert (shown.status, json.loads(shown.body)["id"]) == (200, "a//b/")
    assert (loaded.status, json.loads(loaded.body)) == (202, {"model": "a//b/"})


@pytest.mark.parametrize(
    "asked",
    [get("/v1/models/%2Fm"), get("/api/models/load/%2Fm", method=b"POST"), get("/ui/%2Fm")],
)
async def test_who_asks_for_a_name_with_a_slash_before_it_is_not_led_to_another(
    asked: bytes,
) -> None:
    async with floor() as web:
        reply = await web.ask(asked)
        assert web.models.loaded == []
    assert (reply.status, reply.error["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["//v1/models", "/v1/./models", "/%2Fv1/models"])
async def test_who_asks_before_it_asks_is_led_nowhere_for_no_browser_would_go(path: str) -> None:
    head = b"origin: http://localhost:1\r\naccess-control-request-method: GET\r\n"
    async with floor() as web:
        assert (await web.ask(get(path, method=b"OPTIONS", head=head))).status == 204


async def test_two_names_in_one_request_are_no_request() -> None:
    async with floor() as web:
        reply = await web.ask(get("/health", head=b"host: evil.example\r\n"))
    assert reply.status == 400


async def test_a_client_so_old_that_it_names_no_host_is_answered() -> None:
    async with floor() as web:
        assert Reply(await web.served.ask(b"GET /health HTTP/1.0\r\n\r\n")).body == b"OK"


async def test_beyond_the_loopback_any_name_will_do() -> None:
    async with floor(answer(b"{}"), bound=EXPOSED) as web:
        assert (await web.ask(by_name(b"swapd.example", chat()))).status == 200


async def test_a_refusal_is_told_in_the_clients_own_shape() -> None:
    async with floor() as web:
        page = await web.ask(get("/unload", head=EVIL + b"accept: text/html\r\n"))
        told = await web.ask(chat(path="/v1/messages", head=EVIL))
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert b"<p>a web page of &#x27;https://evil.example&#x27;" in page.body
    assert json.loads(told.body)["error"]["type"] == "permission_error"


@pytest.mark.parametrize(
    "asked",
    [
        get("/v1/chat/completions", method=b"OPTIONS"),
        get("/nowhere", method=b"OPTIONS"),
        request("*", method=b"OPTIONS", head=b"connection: close\r\n"),
        get("/upstream/m/x", method=b"OPTIONS", head=b"access-control-request-method: GET\r\n"),
    ],
)
async def test_a_preflight_is_answered_before_anything_else(asked: bytes) -> None:
    more = b"access-control-request-headers: X-A, b ad\r\n"
    async with floor(apiKeys=["sesame"]) as web:
        reply = await web.ask(asked.replace(b"\r\n\r\n", b"\r\n" + EVIL + more + b"\r\n"))
    assert (reply.status, reply.body) == (204, b"")
    assert reply.headers == {
        "access-control-allow-origin": "*",
        "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE, OPTIONS",
        "access-control-allow-headers": "X-A",
        "access-control-max-age": "86400",
        "connection": "close",
    }


async def test_a_trusted_page_reads_every_answer() -> None:
    trusted = b"origin: https://app.example\r\n"
    origins, key = ["https://app.example"], b"x-api-key: sesame\r\n"
    async with floor(answer(b"{}"), cors={"origins": origins}, apiKeys=["sesame"]) as web:
        replies = [
            await web.ask(chat(head=trusted + key)),
            await web.ask(chat(b"{", head=trusted + key)),
            await web.ask(get("/running", head=trusted + key)),
            await web.ask(get("/nowhere", head=trusted + key)),
            await web.ask(get("/running", head=trusted)),
        ]
    assert [reply.status for reply in replies] == [200, 400, 200, 404, 401]
    for reply in replies:
        assert reply.headers["access-control-allow-origin"] == "https://app.example"
        assert reply.headers["vary"] == "Origin"


async def test_other_pages_read_nothing_but_the_models_and_what_their_server_lets_them() -> None:
    own = b"access-control-allow-origin: *\r\n"
    async with floor(answer(b"{}", head=own), apiKeys=["sesame"]) as web:
        key = b"x-api-key: sesame\r\n"
        models = await web.ask(get("/v1/models", head=EVIL + key))
        plain = await web.ask(get("/running", head=EVIL))
        told = await web.ask(chat(head=EVIL + key))
    assert models.headers["access-control-allow-origin"] == "https://evil.example"
    assert "access-control-allow-origin" not in plain.headers
    assert told.headers["access-control-allow-origin"] == "*"


async def test_the_routes_are_guarded_anew_after_a_reload() -> None:
    async with floor() as web:
        assert (await web.ask(get("/running"))).status == 200
        web.services.reconfigure(configured(PLAIN, web.upstream.url, apiKeys=["sesame"]))
        assert (await web.ask(get("/running"))).status == 401
