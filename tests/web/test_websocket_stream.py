"""Websockets as the server speaks them, on raw sockets: each rule of web/websocket_stream.py."""

from __future__ import annotations

import gc
import json
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable

import pytest
import trio
from hypercorn.protocol.ws_stream import WebsocketBuffer
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, WebsocketScope
from trio.testing import MockClock, wait_all_tasks_blocked
from wsproto.frame_protocol import FrameProtocol

from swapd.upstream.websocket import Farewell
from swapd.web import limits
from swapd.web.client_websocket import ClientWebsocket
from swapd.web.connection import Web
from swapd.web.limits import FAREWELL, PING_EVERY, SILENT_AFTER, WEBSOCKET_MESSAGE_BYTES
from swapd.web.websocket_stream import WebsocketStream
from tests.web.raw import OPEN_WEBSOCKET, Served, receive_until, rest, serving

PING, PONG = b"\x89\x00", b"\x8a\x80\0\0\0\0"


def frame(kind: int, payload: bytes) -> bytes:
    """Return a whole message as a client sends it, masked by zeros."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xff" + size.to_bytes(8, "big")
    return bytes([0x80 | kind]) + length + bytes(4) + payload


class Talking:
    """An app whose websockets are served by a function."""

    def __init__(self, talk: Callable[[ClientWebsocket], Awaitable[None]]) -> None:
        self._talk = talk

    def claims(self, scope: WebsocketScope) -> bool:
        return True

    async def serve(
        self, scope: WebsocketScope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        client = ClientWebsocket(receive, send)
        assert (await receive())["type"] == "websocket.connect"
        await client.accept(None, [])
        await self._talk(client)


def app_of(talk: Callable[[ClientWebsocket], Awaitable[None]]) -> Web:
    return Web(__name__, route_of=lambda _: None, websockets=Talking(talk))


async def open_websocket(served: Served) -> trio.SocketStream:
    client = await served.connect()
    await client.send_all(OPEN_WEBSOCKET)
    head = b""
    while not head.endswith(b"\r\n\r\n"):  # and not a byte of what is said at once
        head += await client.receive_some(1)
    assert head.startswith(b"HTTP/1.1 101 ")
    await wait_all_tasks_blocked(0.01)  # its pings have their time from now on
    return client


class Notes:
    """An app that listens until its client leaves, and notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[str | bytes] = []
        self.farewell: Farewell | None = None
        self.over = trio.Event()

    async def talk(self, client: ClientWebsocket) -> None:
        while not isinstance(message := await client.receive(), Farewell):
            self.heard.append(message)
        self.farewell = message
        self.over.set()


@pytest.mark.parametrize(
    ("sent", "farewell"),
    [
        (frame(8, b"\x03\xe8done"), Farewell(1000, "done")),
        (frame(8, b"\x10\xe1so be it"), Farewell(4321, "so be it")),
        (frame(8, b"\x03\xf6bad gateway"), Farewell(1014, "bad gateway")),
        (frame(8, b""), Farewell(1005)),
        (b"", Farewell(1006)),
        (b"\xff\xff", Farewell(1006)),
    ],
)
async def test_how_a_client_leaves_is_told(sent: bytes, farewell: Farewell) -> None:
    notes = Notes()
    async with serving(app_of(notes.talk)) as served:
        async with await open_websocket(served) as client:
            await client.send_all(frame(1, b"") + frame(2, b"") + sent)
        await notes.over.wait()
    assert (notes.heard, notes.farewell) == (["", b""], farewell)


async def test_a_message_that_is_too_large_is_told_as_such() -> None:
    notes = Notes()
    large = b"\x82\xff" + (2**40).to_bytes(8, "big") + bytes(4)
    async with serving(app_of(notes.talk)) as served, await open_websocket(served) as client:
        await client.send_all(large)
        left = WEBSOCKET_MESSAGE_BYTES + 1
        while left > 0:
            await client.send_all(bytes(2**20))
            left -= 2**20
        assert (await rest(client)).startswith(b"\x88\x02\x03\xf1")
        await notes.over.wait()
    assert notes.farewell is not None
    assert (notes.heard, notes.farewell.code) == ([], 1009)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"\x81\x02hi", 1002),  # not masked
        (frame(1, b"\xff"), 1007),
        (frame(3, b""), 1002),
        (frame(0, b""), 1002),
        (frame(8, b"\x03"), 1002),
    ],
)
async def test_who_breaks_the_rules_hears_so_and_is_heard_no_more(sent: bytes, code: int) -> None:
    notes = Notes()
    async with serving(app_of(notes.talk)) as served, await open_websocket(served) as client:
        await client.send_all(frame(1, b"good") + sent + frame(1, b"late"))
        answer = await rest(client)
        await notes.over.wait()
    assert (answer[0], answer[2:4]) == (0x88, code.to_bytes(2, "big"))
    assert (notes.heard, notes.farewell) == (["good"], Farewell(1006))


@pytest.mark.parametrize("sent", [b"", b"\xff\xff"])
async def test_nothing_is_kept_of_a_message_that_does_not_end(sent: bytes) -> None:
    notes = Notes()
    gc.collect()
    gc.disable()
    try:
        async with serving(app_of(notes.talk)) as served:
            async with await open_websocket(served) as client:
                await client.send_all(b"\x02\xff" + bytes([0, 0, 0, 0, 0, 0x20, 0, 0]) + bytes(4))
                await client.send_all(bytes(2**21) + sent)
            await notes.over.wait()
        kept = (WebsocketStream, WebsocketBuffer, FrameProtocol)
        assert not [one for one in gc.get_objects() if isinstance(one, kept)]
    finally:
        gc.enable()


MEBIBYTE = 1024 * 1024
DEFLATE = b"sec-websocket-extensions: permessage-deflate\r\n"


def deflated(payload: bytes) -> bytes:
    """Return a whole binary message as a client sends it that compresses."""
    squeeze = zlib.compressobj(wbits=-15)
    squeezed = (squeeze.compress(payload) + squeeze.flush(zlib.Z_SYNC_FLUSH))[:-4]
    size = len(squeezed)
    wide = size >= 65536
    length = (b"\xff" if wide else b"\xfe") + size.to_bytes(8 if wide else 2, "big")
    return b"\xc2" + (length if size > 125 else bytes([0x80 | size])) + bytes(4) + squeezed


async def open_deflating(served: Served) -> trio.SocketStream:
    client = await served.connect()
    await client.send_all(OPEN_WEBSOCKET.replace(b"\r\n\r\n", b"\r\n" + DEFLATE + b"\r\n"))
    assert b"permessage-deflate" in await receive_until(client, b"\r\n\r\n")
    return client


async def test_what_would_inflate_beyond_a_message_is_not_made_and_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "WEBSOCKET_MESSAGE_BYTES", MEBIBYTE)
    notes, bomb = Notes(), deflated(bytes(60 * MEBIBYTE))
    gc.collect()
    gc.disable()
    try:
        async with serving(app_of(notes.talk)) as served:
            async with await open_deflating(served) as client:
                tracemalloc.start()
                await client.send_all(bomb)
                assert (await rest(client)).startswith(b"\x88")
            await notes.over.wait()
            kept, most = tracemalloc.get_traced_memory()
        assert not [one for one in gc.get_objects() if isinstance(one, FrameProtocol)]
    finally:
        tracemalloc.stop()
        gc.enable()
    assert notes.farewell is not None
    assert (notes.heard, notes.farewell.code) == ([], 1009)
    assert most < 16 * MEBIBYTE
    assert kept < MEBIBYTE


async def test_a_large_message_is_inflated_a_little_at_a_time() -> None:
    sent = bytes(60 * MEBIBYTE)
    bomb, notes = deflated(sent), Notes()
    async with serving(app_of(notes.talk)) as served, await open_deflating(served) as client:
        tracemalloc.start()
        try:
            await client.send_all(bomb)
            await client.send_all(frame(8, b"\x03\xe8"))
            await notes.over.wait()
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert notes.heard == [sent]
    assert most < 150 * MEBIBYTE


async def test_compressed_messages_of_any_size_arrive_as_they_were() -> None:
    sent = [b"", bytes(3 * MEBIBYTE), bytes(range(256)) * 2000]
    notes = Notes()
    async with serving(app_of(notes.talk)) as served, await open_deflating(served) as client:
        for message in sent:
            await client.send_all(deflated(message))
        await client.send_all(frame(8, b"\x03\xe8"))
        await notes.over.wait()
    assert notes.heard == sent


async def test_a_message_that_is_not_compressed_as_it_says_ends_the_connection() -> None:
    notes = Notes()
    async with serving(app_of(notes.talk)) as served, await open_deflating(served) as client:
        await client.send_all(b"\xc2\x84" + bytes(4) + b"\xff" * 4)
        goodbye = await rest(client)
        await notes.over.wait()
    assert (goodbye[:1], int.from_bytes(goodbye[2:4])) == (b"\x88", 1007)
    assert notes.heard == []


async def test_a_message_may_inflate_to_what_one_may_have_but_not_beyond(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "WEBSOCKET_MESSAGE_BYTES", MEBIBYTE)
    for size, code in ((MEBIBYTE, 1000), (MEBIBYTE + 1, 1009)):
        notes = Notes()
        async with serving(app_of(notes.talk)) as served, await open_deflating(served) as client:
            await client.send_all(deflated(bytes(size)) * 2 + frame(8, b"\x03\xe8"))
            await notes.over.wait()
        assert notes.farewell is not None
        assert notes.farewell.code == code


async def test_lists_of_a_handshake_may_be_in_several_fields() -> None:
    offered: list[str] = []

    async def talk(client: ClientWebsocket) -> None:
        await client.close(Farewell(1000))

    class Asked(Talking):
        def claims(self, scope: WebsocketScope) -> bool:
            offered.extend(scope["subprotocols"])
            return True

    lines = (
        b"connection: keep-alive\r\n"
        b"Sec-WebSocket-Protocol: a\r\nsec-websocket-protocol: b, c\r\n\r\n"
    )
    app = Web(__name__, route_of=lambda _: None, websockets=Asked(talk))
    async with serving(app) as served, await served.connect() as client:
        await client.send_all(OPEN_WEBSOCKET.removesuffix(b"\r\n") + lines)
        assert (await receive_until(client, b"\r\n")).startswith(b"HTTP/1.1 101 ")
    assert offered == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("field", "is_websocket"),
    [
        (b"Upgrade: WebSocket", True),
        (b"upgrade: h2c, WebSocket", True),
        (b"upgrade: websocket\r\nupgrade: h2c", True),
        (b"upgrade: h2c", False),
        (b"upgrade: websockets", False),
    ],
)
async def test_a_websocket_may_be_one_of_what_a_client_would_speak(
    field: bytes, is_websocket: bool
) -> None:
    asked = OPEN_WEBSOCKET.replace(b"upgrade: websocket", field)
    async with serving(app_of(Notes().talk)) as served, await served.connect() as client:
        await client.send_all(asked)
        status = (await receive_until(client, b"\r\n"))[9:12]
    assert status == (b"101" if is_websocket else b"404")


async def let_pass(seconds: float, clock: MockClock) -> None:
    for _ in range(int(seconds / PING_EVERY)):
        clock.jump(PING_EVERY)
        await wait_all_tasks_blocked(0.01)


async def test_a_client_that_answers_no_ping_is_taken_for_gone(mock_clock: MockClock) -> None:
    notes = Notes()
    async with (
        serving(app_of(notes.talk), limit=1000) as served,
        await open_websocket(served) as client,
    ):
        await let_pass(SILENT_AFTER - PING_EVERY, mock_clock)
        assert not notes.over.is_set()
        await let_pass(2 * PING_EVERY, mock_clock)
        await notes.over.wait()
        assert await rest(client) == PING * int(SILENT_AFTER / PING_EVERY)
    assert notes.farewell == Farewell(1006)


async def test_a_client_that_answers_pings_may_have_nothing_to_say(mock_clock: MockClock) -> None:
    notes = Notes()
    async with (
        serving(app_of(notes.talk), limit=1000) as served,
        await open_websocket(served) as client,
    ):
        for _ in range(3 * int(SILENT_AFTER / PING_EVERY)):
            await let_pass(PING_EVERY, mock_clock)
            assert await receive_until(client, PING) == PING
            await client.send_all(PONG)
        assert not notes.over.is_set()
        await client.send_all(frame(1, b"still there"))
        await wait_all_tasks_blocked(0.01)
    assert notes.heard == ["still there"]


async def test_a_client_to_whom_nobody_listens_is_not_silent(mock_clock: MockClock) -> None:
    listen = trio.Event()
    notes = Notes()

    async def talk(client: ClientWebsocket) -> None:
        await listen.wait()
        await notes.talk(client)

    async with (
        serving(app_of(talk), limit=1000) as served,
        await open_websocket(served) as client,
    ):
        await client.send_all(frame(1, b"one") + frame(1, b"two") + frame(1, b"three"))
        await let_pass(3 * SILENT_AFTER, mock_clock)
        listen.set()
        await wait_all_tasks_blocked(0.01)
        assert notes.heard == ["one", "two", "three"]
        assert not notes.over.is_set()


async def test_what_is_not_taken_is_not_read() -> None:
    async def talk(client: ClientWebsocket) -> None:
        await trio.sleep_forever()

    sent = 0
    async with serving(app_of(talk)) as served, await open_websocket(served) as client:
        with trio.move_on_after(1):
            while True:
                await client.send_all(frame(2, bytes(2**20)))
                sent += 1
        assert sent < 20


async def until_tasks_are(count: int) -> None:
    """Wait until there are so many tasks again, which fails in the end if one was left."""
    while trio.lowlevel.current_statistics().tasks_living != count:
        await wait_all_tasks_blocked(0.01)


MANY = b"".join(frame(1, b"x") for _ in range(20))


@pytest.mark.parametrize("attempt", range(10))
@pytest.mark.parametrize("sent", [MANY, frame(8, b"\x03\xe8") + MANY, MANY + frame(8, b"") * 3])
async def test_who_is_done_leaves_what_still_comes(sent: bytes, attempt: int) -> None:
    async def talk(client: ClientWebsocket) -> None:
        await client.receive()  # the others wait behind this one

    async with serving(app_of(talk)) as served:
        before = trio.lowlevel.current_statistics().tasks_living
        async with await open_websocket(served) as client:
            await client.send_all(sent)
            # Both leave at the same moment: it is open whose word comes through.
            assert (await rest(client))[:2] in {b"\x88\x02", b"\x88\x00", b""}
        await until_tasks_are(before)


async def test_who_never_listened_holds_up_nobody() -> None:
    async def talk(client: ClientWebsocket) -> None:
        await go.wait()

    go = trio.Event()
    async with serving(app_of(talk)) as served:
        before = trio.lowlevel.current_statistics().tasks_living
        async with await open_websocket(served) as client:
            await client.send_all(MANY)
            await wait_all_tasks_blocked(0.01)
            go.set()
            assert (await rest(client)).startswith(b"\x88\x02\x03\xf3")  # 1011: without a word
        await until_tasks_are(before)


async def test_nothing_is_told_behind_the_leave() -> None:
    told: list[object] = []
    over = trio.Event()

    async def talk(client: ClientWebsocket) -> None:
        await go.wait()
        with trio.move_on_after(0.2):
            while True:
                told.append(await client.receive())
        over.set()

    go = trio.Event()
    async with serving(app_of(talk)) as served, await open_websocket(served) as client:
        await client.send_all(frame(1, b"before") + frame(8, b"\x03\xe8") + MANY)
        await wait_all_tasks_blocked(0.01)
        go.set()
        await over.wait()
    assert told == ["before", Farewell(1000)]


@pytest.mark.parametrize(
    "field",
    [
        b"sec-websocket-protocol: \xff",
        b"sec-websocket-extensions: \xff",
        b"sec-websocket-extensions: permessage-deflate; client_max_window_bits=x",
        b"sec-websocket-extensions: permessage-deflate; client_max_window_bits=9999999",
        b"sec-websocket-extensions: permessage-deflate; server_max_window_bits=",
        b"sec-websocket-extensions: permessage-deflate; client_max_window_bits=99",
    ],
)
async def test_what_of_a_handshake_cannot_be_read_is_left_out(field: bytes) -> None:
    notes = Notes()
    async with serving(app_of(notes.talk)) as served, await served.connect() as client:
        await client.send_all(OPEN_WEBSOCKET.replace(b"\r\n\r\n", b"\r\n" + field + b"\r\n\r\n"))
        head = await receive_until(client, b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"sec-websocket-" not in head.replace(b"sec-websocket-accept", b"")
        await client.send_all(frame(1, b"hi") + frame(8, b""))
        await notes.over.wait()
    assert notes.heard == ["hi"]


@pytest.mark.parametrize(
    ("field", "said"),
    [
        (b"sec-websocket-version: \xff", "this opens no websocket"),
        (b"sec-websocket-key: \xff", "this opens no websocket"),
        (b"sec-websocket-version: 8", "only version 13"),
    ],
)
async def test_a_handshake_that_lacks_what_it_needs_is_refused(field: bytes, said: str) -> None:
    name = field.partition(b":")[0]
    lines = OPEN_WEBSOCKET.split(b"\r\n")
    asked = b"\r\n".join(field if line.startswith(name) else line for line in lines)
    async with serving(app_of(Notes().talk)) as served:
        head, _, body = (await served.ask(asked)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["error"]["message"].startswith(said)
    assert (b"sec-websocket-version: 13" in head.lower()) == said.startswith("only version 13")


async def test_compression_is_agreed_on_where_it_can_be() -> None:
    offer = (
        b"sec-websocket-extensions: permessage-deflate; client_max_window_bits, x-other; a=1\r\n"
    )
    async with serving(app_of(Notes().talk)) as served, await served.connect() as client:
        await client.send_all(OPEN_WEBSOCKET.replace(b"\r\n\r\n", b"\r\n" + offer + b"\r\n"))
        head = await receive_until(client, b"\r\n\r\n")
    assert b"sec-websocket-extensions: permessage-deflate; client_max_window_bits=15\r\n" in head


async def test_a_close_waits_for_the_client_to_take_its_leave(mock_clock: MockClock) -> None:
    async def talk(client: ClientWebsocket) -> None:
        await client.close(Farewell(1012, "back soon"))
        over.set()

    over = trio.Event()
    async with (
        serving(app_of(talk), limit=1000) as served,
        await open_websocket(served) as client,
    ):
        said = b"\x88\x0b\x03\xf4back soon"
        assert await receive_until(client, said) == said
        await client.send_all(frame(1, b"not yet heard"))
        await wait_all_tasks_blocked(0.01)
        assert not over.is_set()
        await client.send_all(frame(8, b"\x03\xf4"))
        assert await rest(client) == b""
        assert over.is_set()

    over = trio.Event()
    async with (
        serving(app_of(talk), limit=1000) as served,
        await open_websocket(served) as client,
    ):
        await receive_until(client, said)
        await wait_all_tasks_blocked(0.01)
        mock_clock.jump(FAREWELL)
        assert await rest(client) == b""
