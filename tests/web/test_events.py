"""The event stream, message by message, on raw sockets."""

from __future__ import annotations

import pytest
import trio

from swapd.ids import Generation, ModelId
from swapd.policy.life import ModelState, Reason, Transition
from swapd.web import events
from tests.upstream.scripted import Connection, Script
from tests.web.event_clients import listening
from tests.web.floor import chat, configured, floor, get
from tests.web.raw import request

START = Transition(
    ModelId("m"), ModelState.STOPPED, ModelState.STARTING, Reason.REQUEST, Generation(1)
)


async def test_the_stream_begins_with_all_there_is_in_the_order_that_clients_know() -> None:
    ui = {"activity": {"session_id": ["X-Session"]}}
    peers = {"far": {"proxy": "http://127.0.0.1:1", "models": ["z", "y"]}}
    async with floor(peers=peers, ui=ui) as web:
        web.services.logs.say(b"swapd says\n")
        web.services.logs.of(ModelId("m")).write("m says ü\n".encode())
        async with listening(web) as listener:
            burst = await listener.hear_burst()
    expected = {
        "content-type": "text/event-stream",
        "cache-control": "no-cache",
        "x-content-type-options": "nosniff",
        "x-accel-buffering": "no",
    }
    assert {name: listener.headers[name] for name in expected} == expected
    row = {"description": "", "unlisted": False}
    assert burst == [
        ("logData", {"data": "swapd says\n", "source": "proxy"}),
        ("logData", {"data": "m says ü\n", "source": "upstream"}),
        (
            "modelStatus",
            [
                {
                    **row,
                    "id": "m",
                    "name": "",
                    "state": "stopped",
                    "peerID": "",
                    "aliases": ["alias"],
                },
                {**row, "id": "far/y", "name": "far: y", "state": "", "peerID": "far"},
                {**row, "id": "far/z", "name": "far: z", "state": "", "peerID": "far"},
            ],
        ),
        ("uiConfig", {"activity": {"session_id": ["X-Session"]}}),
        ("profileChanged", {"active": None}),
        ("inflight", {"operation": "snapshot", "requests": []}),
    ]
    assert listener.places == [f"{web.lifecycle.instance}-0"] * 6


async def test_what_a_model_can_do_is_told_with_its_state() -> None:
    able = {"in": ["image", "text"], "out": ["text"], "tools": True, "context": 4096}
    model = {"capabilities": able, "name": "M", "description": "d", "unlisted": True}
    async with floor(model=model) as web, listening(web) as listener:
        (told,) = await listener.hear_of("modelStatus")
    assert told == {
        "id": "m",
        "name": "M",
        "description": "d",
        "state": "stopped",
        "unlisted": True,
        "peerID": "",
        "capabilities": {"vision": True, "function_calling": True},
        "context_length": 4096,
    }


async def test_each_change_of_a_state_brings_all_states_and_moves_the_place() -> None:
    async with floor() as web, listening(web) as listener:
        await listener.hear_burst()
        web.lifecycle.publish(START)
        kind, (told,) = await listener.hear()
        assert (kind, told["state"]) == ("modelStatus", "starting")
        assert listener.places[-1] == f"{web.lifecycle.instance}-1"


async def test_lines_of_logs_come_as_they_are_written_whatever_cuts_them() -> None:
    async with floor() as web, listening(web) as listener:
        await listener.hear_burst()
        web.services.logs.say(b"one\n")
        assert await listener.hear() == ("logData", {"data": "one\n", "source": "proxy"})
        first, last = "ü".encode()[:1], "ü".encode()[1:]
        log = web.services.logs.of(ModelId("m"))
        log.write(b"a" + first)
        assert await listener.hear() == ("logData", {"data": "a", "source": "upstream"})
        log.write(last + b"z\n")
        assert await listener.hear() == ("logData", {"data": "üz\n", "source": "upstream"})


async def test_another_profile_and_another_configuration_are_told_and_end_nothing() -> None:
    profiles = {"p": {"pins": {"x": "m"}}}
    async with floor(profiles=profiles) as web, listening(web) as listener:
        await listener.hear_burst()
        asked = b'{"name": "p"}'
        put = request(
            "/api/profiles/active",
            method=b"PUT",
            head=b"connection: close\r\ncontent-length: %d\r\n" % len(asked),
        )
        assert (await web.ask(put + asked)).status == 200
        assert await listener.hear_of("profileChanged") == {"active": "p"}
        config = configured({}, web.upstream.url, "n", ui={"activity": {"session_id": ["Y"]}})
        web.services.reconfigure(config)
        assert [told["id"] for told in await listener.hear_of("modelStatus")] == ["n"]
        assert await listener.hear_of("uiConfig") == {"activity": {"session_id": ["Y"]}}
        assert await listener.hear_of("profileChanged") == {"active": None}


async def test_a_reload_that_brings_a_model_is_told_though_no_state_has_changed() -> None:
    async with floor() as web, listening(web) as listener:
        await listener.hear_burst()
        web.services.reconfigure(configured({}, web.upstream.url, "n"))
        assert [told["id"] for told in await listener.hear_of("modelStatus")] == ["n"]
        web.services.reconfigure(configured({}, web.upstream.url, "n"))  # the same once more
        web.services.logs.say(b"next\n")
        assert (await listener.hear())[0] == "logData"


async def test_a_repeated_choice_of_a_profile_is_no_news() -> None:
    async with floor(profiles={"p": {"pins": {"x": "m"}}}) as web, listening(web) as listener:
        await listener.hear_burst()
        web.services.activate("p")
        assert await listener.hear_of("profileChanged") == {"active": "p"}
        web.services.activate("p")
        web.lifecycle.publish(START)
        assert (await listener.hear())[0] == "modelStatus"
        web.services.activate(None)
        assert (await listener.hear())[0] == "modelStatus"
        assert await listener.hear() == ("profileChanged", {"active": None})


def slowly(release: trio.Event) -> Script:
    """Return a server that answers once ``release`` is set."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await release.wait()
        await connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone")
        await connection.left()

    return script


async def test_a_request_is_told_of_from_its_begin_to_its_end_without_secrets() -> None:
    release = trio.Event()
    keyed = b"authorization: Bearer k\r\nuser-agent: me\r\nx-copy: open-sesame\r\n"
    async with (
        floor(slowly(release), apiKeys=["open-sesame"]) as web,
        listening(web, key="open-sesame") as listener,
        trio.open_nursery() as nursery,
    ):
        await listener.hear_burst()
        web.models.held = trio.Event()
        nursery.start_soon(web.ask, chat(head=keyed + b"x-api-key: open-sesame\r\n"))
        begun = (await listener.hear_of("inflight"))["request"]
        assert (begun["id"], begun["model"], begun["method"]) == ("1", "m", "POST")
        assert (begun["req_path"], begun["remote_ip"]) == ("/v1/chat/completions", "127.0.0.1")
        assert (begun["phase"], begun["resp_headers"], begun["resp_bytes"]) == ("waiting", {}, 0)
        sent = begun["req_headers"]
        assert "Host" not in sent
        assert sent["User-Agent"] == "me"
        assert {sent[name] for name in ("Authorization", "X-Api-Key", "X-Copy")} == {"[REDACTED]"}
        web.models.held.set()
        assert (await listener.hear_of("inflight"))["request"]["phase"] == "served"
        release.set()
        heard = [await listener.hear_of("inflight")]
        while heard[-1]["operation"] == "upsert":
            heard.append(await listener.hear_of("inflight"))
        assert heard[-1] == {"operation": "remove", "id": "1"}


async def test_who_comes_later_hears_of_what_is_under_way() -> None:
    async with floor() as web, trio.open_nursery() as nursery:
        web.models.held = trio.Event()
        nursery.start_soon(web.ask, chat())
        begun = trio.Event()
        with web.services.requests.news.listen(lambda _: begun.set()):
            await begun.wait()
        async with listening(web) as listener:
            told = await listener.hear_of("inflight")
        assert (told["operation"], [each["id"] for each in told["requests"]]) == ("snapshot", ["1"])
        nursery.cancel_scope.cancel()


async def test_how_many_bytes_were_passed_on_is_told_without_a_word_about_each() -> None:
    async with floor() as web, listening(web) as listener:
        await listener.hear_burst()
        with web.services.requests.track("m", method="POST", path="/", client=None) as tracked:
            assert (await listener.hear())[1]["request"]["resp_bytes"] == 0
            for _ in range(1000):
                tracked.bytes_sent += 1
            assert (await listener.hear())[1]["request"]["resp_bytes"] == 1000
        assert (await listener.hear())[1] == {"operation": "remove", "id": "1"}


async def test_silence_is_broken_by_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT", 0.05)
    async with floor() as web, listening(web) as listener:
        await listener.hear_burst()
        assert await listener.block() == b": keep-alive"
        assert await listener.block() == b": keep-alive"


async def test_the_end_of_swapd_is_the_end_of_the_stream() -> None:
    async with floor() as web, listening(web) as listener:
        await listener.hear_burst()
        web.services.closing.set()
        assert await listener.block() == b""


async def test_whoever_leaves_leaves_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with floor() as web:
        async with listening(web) as listener:
            await listener.hear_burst()
            assert web.services.requests.news
        services = web.services
        while services.requests.news or services.news:  # noqa: ASYNC110  in another task
            await trio.sleep(0.001)
        assert not web.lifecycle.news
    assert '" 499 ' not in caplog.text


async def test_the_stream_can_only_be_read() -> None:
    async with floor(apiKeys=["k"]) as web:
        assert (await web.ask(get("/api/events"))).status == 401
        reply = await web.ask(get("/api/events", method=b"DELETE", head=b"x-api-key: k\r\n"))
        assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")
        reply = await web.ask(get("/api/events", method=b"HEAD", head=b"x-api-key: k\r\n"))
        assert (reply.status, reply.headers["content-type"]) == (200, "text/event-stream")
