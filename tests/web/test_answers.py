"""How a stream that has begun ends when it breaks: by an event of its API, and without an end."""

from __future__ import annotations

import json

import pytest

from tests.upstream.scripted import Connection, Script
from tests.web.floor import chat, floor

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def breaking_off(*pieces: bytes) -> Script:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(HEAD)
        for piece in pieces:
            await connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))

    return script


async def told(path: str, *pieces: bytes) -> list[bytes]:
    """Return the lines of the event that ends the broken stream of ``pieces``."""
    async with floor(breaking_off(*pieces)) as web:
        web.models.end.come("exited with code 7")
        answer = await web.served.ask(chat(path=path))
    assert b"[DONE]" not in answer
    assert not answer.endswith(b"0\r\n\r\n")
    last = answer.rstrip().rpartition(b"\n\n")[2]
    return last.split(b"\n")


async def test_chats_end_by_an_envelope() -> None:
    (data,) = await told("/v1/chat/completions", b'data: {"a": 1}\n\n')
    event = json.loads(data.removeprefix(b"data: "))
    assert (event["src"], event["error"]["code"]) == ("swapd", "bad_gateway")
    assert "exited with code 7" in event["error"]["message"]


@pytest.mark.parametrize("path", ["/v1/messages", "/v/messages"])
async def test_messages_end_by_anthropics_event(path: str) -> None:
    name, data = await told(path, b"event: ping\ndata: {}\n\n")
    event = json.loads(data.removeprefix(b"data: "))
    assert (name, event["type"], event["error"]["type"]) == (b"event: error", "error", "api_error")


@pytest.mark.parametrize("path", ["/v1/responses", "/v/responses"])
async def test_responses_end_by_an_event_that_goes_on_counting(path: str) -> None:
    first, second = (b'data: {"sequence_number":%d}\n\n' % number for number in (6, 7))
    name, data = await told(path, first, second)
    event = json.loads(data.removeprefix(b"data: "))
    assert (name, event["type"], event["code"]) == (b"event: error", "error", "bad_gateway")
    assert event["sequence_number"] == 8
    assert event["error"]["message"] == event["message"]
