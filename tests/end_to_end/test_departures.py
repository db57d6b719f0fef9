"""Clients that leave at every stage, in every way: nothing of them is left in a whole swapd."""

from __future__ import annotations

import json
import os
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.lowlevel
import trustme

from swapd.testing.running import Running, configuration, fake, run_swapd
from tests.web.raw import OPEN_WEBSOCKET, WAYS_TO_LEAVE, receive_until

pytestmark = [
    pytest.mark.real_process,
    pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc"),
]

MODELS = {"ready": fake("ready"), "loading": fake("loading", "--load", "600")}
SIDE_BY_SIDE = {"all": {"swap": False, "members": [*MODELS]}}

Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]
Stage = Callable[[Stream], Awaitable[None]]
Leave = Callable[[trio.SocketStream], Awaitable[None]]
Connect = Callable[[], Awaitable[tuple[Stream, trio.SocketStream]]]


def chat(model: str, **knobs: object) -> bytes:
    messages = [{"role": "user", "content": "hi"}]
    body = {"model": model, "messages": messages, "stream": True, "fake": knobs}
    written = json.dumps(body).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
    return head + b"content-length: %d\r\n\r\n" % len(written) + written


async def before_the_head(client: Stream) -> None:
    await trio.lowlevel.checkpoint()


async def in_the_head(client: Stream) -> None:
    await client.send_all(chat("ready")[:40])


async def in_the_body(client: Stream) -> None:
    await client.send_all(chat("ready")[:-10])


async def while_the_model_loads(client: Stream) -> None:
    await client.send_all(chat("loading"))
    await trio.sleep(0.3)


async def before_the_answer(client: Stream) -> None:
    await client.send_all(chat("ready", hang=True))
    await trio.sleep(0.3)


async def in_the_answer(client: Stream) -> None:
    await client.send_all(chat("ready", chunks=1_000_000, interval=0.02))
    await receive_until(client, b"data:")


async def in_an_answer_that_it_does_not_read(client: Stream) -> None:
    await client.send_all(chat("ready", chunks=1_000_000))
    await trio.sleep(0.5)


async def with_a_second_request_behind(client: Stream) -> None:
    await client.send_all(chat("ready", hang=True) + chat("ready"))
    await trio.sleep(0.3)


async def after_the_answer(client: Stream) -> None:
    await client.send_all(chat("ready"))
    await receive_until(client, b"0\r\n\r\n")


async def in_a_websocket(client: Stream) -> None:
    await client.send_all(OPEN_WEBSOCKET.replace(b"/ws", b"/api/lifecycle"))
    await receive_until(client, b"snapshot")


STAGES = (
    before_the_head,
    in_the_head,
    in_the_body,
    while_the_model_loads,
    before_the_answer,
    in_the_answer,
    in_an_answer_that_it_does_not_read,
    with_a_second_request_behind,
    after_the_answer,
    in_a_websocket,
)


@asynccontextmanager
async def listening(kind: str, folder: Path) -> AsyncIterator[tuple[Running, Connect]]:
    """Run a swapd that listens in the way of ``kind``, and tell how to connect to it."""
    context = ssl.create_default_context()
    options = []
    if kind == "tls":
        authority = trustme.CA()
        authority.configure_trust(context)
        pem = folder / "both.pem"
        authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(pem)
        options = [f"--tls-cert-file={pem}", f"--tls-key-file={pem}"]
    elif kind == "unix":
        options = [f"--listen=unix:{folder}/s"]

    async def connect() -> tuple[Stream, trio.SocketStream]:
        family = socket.AF_UNIX if kind == "unix" else socket.AF_INET
        below = trio.socket.socket(family)
        below.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await below.connect(f"{folder}/s" if kind == "unix" else ("127.0.0.1", swapd.port))
        stream = trio.SocketStream(below)
        if kind != "tls":
            return stream, stream
        secured = trio.SSLStream(stream, context, server_hostname="localhost")
        await secured.do_handshake()
        return secured, stream

    async with run_swapd(folder, configuration(MODELS, groups=SIDE_BY_SIDE), *options) as swapd:
        yield swapd, connect


async def come_and_leave(connect: Connect, stage: Stage, leave: Leave) -> None:
    client, below = await connect()
    async with below:
        await stage(client)
        await leave(below)
        if leave is WAYS_TO_LEAVE[-1]:  # half of it is left open: until swapd has closed, too
            await below_ends(below)


async def below_ends(below: trio.SocketStream) -> None:
    try:
        while await below.receive_some():
            pass
    except trio.BrokenResourceError:
        pass


async def ask(connect: Connect, request: bytes, end: bytes) -> bytes:
    client, below = await connect()
    async with below:
        await client.send_all(request)
        return await receive_until(client, end)


async def what_is_left(swapd: Running, connect: Connect) -> tuple[int, int]:
    """Return how many descriptors swapd has, and how many requests wait or are served."""
    opening = OPEN_WEBSOCKET.replace(b"/ws", b"/api/lifecycle")
    received = await ask(connect, opening, b'"queue":[]}')
    text = received.decode("latin-1")  # the frames of a websocket, a ping among them
    snapshot, _ = json.JSONDecoder().raw_decode(text, text.index('{"type":"snapshot"'))
    requests = sum(model["in_flight"] + model["waiting"] for model in snapshot["models"])
    return len(os.listdir(f"/proc/{swapd.process.pid}/fd")), requests


@pytest.mark.parametrize("kind", ["tcp", "tls", "unix"])
async def test_a_client_that_leaves_leaves_nothing_behind(kind: str, tmp_path: Path) -> None:
    with trio.fail_after(100):
        async with listening(kind, tmp_path) as (swapd, connect):
            for model in ("ready", "loading"):  # the second one begins to load, and goes on
                with trio.move_on_after(2):
                    await ask(connect, chat(model), b"0\r\n\r\n")
            before, requests = await what_is_left(swapd, connect)
            assert requests == 0
            async with trio.open_nursery() as nursery:
                for stage in STAGES:
                    for leave in WAYS_TO_LEAVE:
                        nursery.start_soon(partial(come_and_leave, connect, stage, leave))
            # Of its connections to a model's server swapd keeps some, but no more than it used.
            left, requests = before + 3, 1
            while left > before + 2 or requests:
                await trio.sleep(0.1)
                left, requests = await what_is_left(swapd, connect)
            assert not [line for line in swapd.lines if "Traceback" in line or "ERROR" in line]
