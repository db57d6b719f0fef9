"""The logs by HTTP."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from swapd.ids import ModelId
from swapd.telemetry.log_stream import LAG_BYTES
from swapd.telemetry.logs import Logs
from tests.web.floor import Floor, floor, get
from tests.web.raw import LONG, WAYS_TO_LEAVE, receive_until, request


@asynccontextmanager
async def streaming(
    web: Floor, path: str = "/logs/stream", *, receive_buffer: int | None = None
) -> AsyncIterator[trio.SocketStream]:
    """Ask for a stream, for the length of the block."""
    client = await web.served.connect(receive_buffer=receive_buffer)
    async with client:
        await client.send_all(request(path))
        yield client


def speak(logs: Logs) -> None:
    logs.say(b"[INFO] own\n")
    logs.of(ModelId("m")).write(b"model\n")


async def test_all_that_is_kept_is_plain_text() -> None:
    async with floor(logToStdout="none") as web:
        speak(web.services.logs)
        reply = await web.ask(get("/logs"))
    assert (reply.status, reply.body) == (200, b"[INFO] own\nmodel\n")
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"


async def test_a_browser_is_led_to_the_page() -> None:
    async with floor() as web:
        reply = await web.ask(get("/logs", head=b"accept: text/html,*/*\r\n"))
    assert (reply.status, reply.headers["location"]) == (302, "/ui/")


async def test_the_head_is_sent_at_once() -> None:
    async with floor() as web, streaming(web) as client:
        head = await receive_until(client, b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nx-accel-buffering: no\r\n" in head
    assert b"\r\nx-content-type-options: nosniff\r\n" in head
    assert b"\r\ncontent-type: text/plain; charset=utf-8\r\n" in head


@pytest.mark.parametrize(
    ("path", "kept", "coming"),
    [
        ("", b"[INFO] own\nmodel\n", [b"[INFO] new\n", b"word\n"]),
        ("/", b"[INFO] own\nmodel\n", [b"[INFO] new\n", b"word\n"]),
        ("/proxy", b"[INFO] own\n", [b"[INFO] new\n"]),
        ("/upstream", b"model\n", [b"word\n"]),
        ("/m", b"model\n", [b"word\n"]),
        ("/alias", b"model\n", [b"word\n"]),
        ("/m/and/more", b"model\n", [b"word\n"]),
        ("/%6d", b"model\n", [b"word\n"]),
    ],
)
async def test_what_was_logged_comes_first_then_what_is(
    path: str, kept: bytes, coming: list[bytes]
) -> None:
    async with floor() as web:
        logs = web.services.logs
        speak(logs)
        async with streaming(web, f"/logs/stream{path}") as client:
            assert kept in await receive_until(client, kept)
            logs.say(b"[INFO] new\n")
            logs.of(ModelId("m")).write(b"word\n")
            came = await receive_until(client, coming[-1])
            assert all(line in came for line in coming)
            assert came.count(b"\n") < 10


@pytest.mark.parametrize("path", ["/org/m", "/org%2Fm"])
async def test_a_name_may_hold_slashes(path: str) -> None:
    async with floor(name="org/m", model={}) as web:
        web.services.logs.of(ModelId("org/m")).write(b"slashed\n")
        assert (await web.ask(get(f"/logs/stream{path}?no-follow"))).body.count(b"slashed") == 1


@pytest.mark.parametrize("query", ["no-history", "no-history=", "no-history=false"])
async def test_the_history_can_be_left_out(query: str) -> None:
    async with floor() as web:
        speak(web.services.logs)
        async with streaming(web, f"/logs/stream?{query}") as client:
            await receive_until(client, b"\r\n\r\n")
            web.services.logs.say(b"[INFO] new\n")
            assert b"own" not in await receive_until(client, b"new\n")


async def test_one_who_does_not_follow_gets_what_is_kept_and_the_end() -> None:
    async with floor() as web:
        speak(web.services.logs)
        assert b"model\n" in (await web.ask(get("/logs/stream/m?no-follow"))).body


@pytest.mark.parametrize("name", ["nothing", "nothing/m", "peer/theirs"])
async def test_a_name_without_a_log_is_refused_with_the_nearest(name: str) -> None:
    peers = {"peer": {"proxy": "http://127.0.0.1:1", "models": ["theirs"]}}
    async with floor(peers=peers) as web:
        reply = await web.ask(get(f"/logs/stream/{name}"))
        assert (reply.status, reply.error["code"]) == (400, "bad_request")
        assert name.partition("/")[0] in reply.error["message"]
        near = await web.ask(get("/logs/stream/alia"))
        assert "alias" in near.error["message"]


async def test_a_log_is_called_as_its_model_is_whatever_a_profile_says() -> None:
    peers = {"peer": {"proxy": "http://127.0.0.1:1", "models": ["theirs"]}}
    pins = {"m": "theirs", "alias": None, "public": "m", "off": None}
    async with floor(peers=peers, profiles={"p": {"pins": pins}}) as web:
        web.services.logs.of(ModelId("m")).write(b"own\n")
        web.services.profiles.activate("p")
        for name in ("m", "alias"):
            assert b"own\n" in (await web.ask(get(f"/logs/stream/{name}?no-follow"))).body
        reply = await web.ask(get("/logs/stream/public?no-follow"))
        assert (reply.status, reply.error["message"]) == (
            400,
            "invalid logger: model not found: 'public'; to requests alone it means 'm', by the"
            " active profile 'p'; besides models, proxy and upstream have a log",
        )
        reply = await web.ask(get("/logs/stream/off?no-follow"))
        assert "model not found: 'off'; besides" in reply.error["message"]


async def test_no_other_method_is_known() -> None:
    async with floor() as web:
        reply = await web.ask(get("/logs/stream", method=b"POST"))
        assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")
        assert (await web.ask(get("/logs/stream/m", method=b"HEAD"))).status == 200


async def test_logs_need_a_key_where_there_is_one() -> None:
    async with floor(apiKeys=["key"]) as web:
        for path in ("/logs", "/logs/stream", "/logs/stream/m"):
            assert (await web.ask(get(path))).status == 401
        keyed = get("/logs", head=b"authorization: Bearer key\r\n")
        assert (await web.ask(keyed)).status == 200


@pytest.mark.parametrize("leave", WAYS_TO_LEAVE)
async def test_the_stream_ends_when_its_client_leaves_and_that_is_no_failure(
    leave: object, caplog: pytest.LogCaptureFixture
) -> None:
    assert callable(leave)
    caplog.set_level(logging.INFO, "swapd.access")
    async with floor() as web, streaming(web) as client:
        await receive_until(client, b"\r\n\r\n")
        await leave(client)
    assert '"GET /logs/stream HTTP/1.1" 200 ' in caplog.messages[0]
    assert "left" not in caplog.messages[0]


async def test_one_who_does_not_read_delays_nobody_and_is_told_what_it_missed() -> None:
    async with floor() as web:
        logs = web.services.logs
        async with (
            streaming(web, receive_buffer=4096) as slow,
            streaming(web, "/logs/stream?no-history") as quick,
        ):
            await receive_until(quick, b"\r\n\r\n")
            written = 0
            while written < 40 * LAG_BYTES:  # far more than sockets hold
                logs.of(ModelId("m")).write(b"x" * 32_767 + b"\n")
                written += 32_768
                await receive_until(quick, b"\n\r\n")
            logs.say(b"[INFO] the last\n")
            assert b"the last" in await receive_until(quick, b"the last\n")
            said = await receive_until(slow, b"the last\n")
    assert b" bytes dropped " in said
    assert len(said) < written


async def test_every_stream_ends_with_swapd_also_one_that_nobody_reads() -> None:
    async with floor() as web:
        logs = web.services.logs
        async with streaming(web) as reading, streaming(web, receive_buffer=4096) as stalled:
            await receive_until(reading, b"\r\n\r\n")
            await receive_until(stalled, b"\r\n\r\n")
            for _ in range(300):
                logs.say(b"x" * 32_767 + b"\n")
                await trio.lowlevel.checkpoint()
            web.services.closing.set()
            logs.close()
            with trio.fail_after(LONG):
                await receive_until(reading, b"\r\n0\r\n\r\n")
                web.served.closing.set()
                await web.served.ended.wait()
