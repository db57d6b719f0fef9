"""Captured requests are told as llama-swap tells them, and without secrets."""

from __future__ import annotations

import gzip
import json
from base64 import b64decode, b64encode
from typing import Any

import pytest
from trio.testing import wait_all_tasks_blocked

from swapd.telemetry.captures import Capture
from swapd.upstream.bodies.spool import HELD_BYTES
from swapd.web.capture_entries import capture_entry
from tests.upstream.scripted import staying
from tests.web.floor import Floor, chat, floor, get


def answer(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    fields = b"".join(header + b"\r\n" for header in headers)
    return b"HTTP/1.1 %s\r\n%scontent-length: %d\r\n\r\n%s" % (status, fields, len(body), body)


async def captured(web: Floor, asked: bytes) -> Any:
    """Ask, and return what is captured of it, and whether the list says that there is anything."""
    await web.ask(asked)
    while not web.stored:
        await wait_all_tasks_blocked(0.001)
    key = b"authorization: Bearer sk-of-swapd\r\n"
    listed = json.loads((await web.ask(get("/api/metrics/activity", head=key))).body)
    reply = await web.ask(get("/api/captures/1", head=key))
    (entry,) = listed["data"]
    assert entry["has_capture"] == (reply.status == 200)
    if reply.status != 200:
        assert (reply.status, reply.error["code"]) == (404, "not_found")
        return None
    capture = json.loads(reply.body)
    for name in ("req_body", "resp_body"):
        capture[name] = capture[name] and b64decode(capture[name])
    return capture


async def test_a_request_and_its_answer_are_captured_without_secrets() -> None:
    secrets = (
        b"authorization: Bearer sk-of-swapd\r\ncookie: a=b\r\nx-api-key: theirs\r\n"
        b"x-also: sk-of-swapd\r\nx-plain: seen\r\n"
    )
    told = answer(b'{"ok": 1}', b"set-cookie: c=d", b"x-echo: sk-of-swapd", b"x-seen: yes")
    async with floor(
        staying(told), model={"useModelName": "real"}, captureBuffer=1, apiKeys=["sk-of-swapd"]
    ) as web:
        capture = await captured(web, chat(head=secrets))
    assert list(capture) == [
        *("id", "req_path", "req_headers", "req_body", "resp_headers", "resp_body")
    ]
    assert (capture["id"], capture["req_path"]) == (1, "/v1/chat/completions")
    assert capture["req_body"] == b'{"model": "real"}'
    assert capture["resp_body"] == b'{"ok": 1}'
    assert capture["req_headers"]["X-Plain"] == "seen"
    assert capture["resp_headers"]["X-Seen"] == "yes"
    assert capture["resp_headers"]["Set-Cookie"] == "[REDACTED]"
    assert capture["resp_headers"]["X-Echo"] == "[REDACTED]"
    assert "sk-of-swapd" not in json.dumps([capture["req_headers"], capture["resp_headers"]])
    assert capture["req_headers"]["Cookie"] == "[REDACTED]"
    assert capture["req_headers"]["X-Api-Key"] == "[REDACTED]"


async def test_nothing_is_captured_unless_it_is_asked_for() -> None:
    async with floor(staying(answer(b"{}"))) as web:
        assert await captured(web, chat()) is None


async def test_a_compressed_answer_is_told_plain() -> None:
    told = answer(gzip.compress(b'{"ok": 1}'), b"content-encoding: gzip")
    async with floor(staying(told), captureBuffer=1) as web:
        capture = await captured(web, chat())
    assert capture["resp_body"] == b'{"ok": 1}'
    assert "Content-Encoding" not in capture["resp_headers"]


async def test_what_is_not_compressed_as_it_says_is_told_as_it_came() -> None:
    async with floor(
        staying(answer(b"no gzip", b"content-encoding: gzip")), captureBuffer=1
    ) as web:
        capture = await captured(web, chat())
    assert (capture["resp_headers"]["Content-Encoding"], capture["resp_body"]) == (
        "gzip",
        b"no gzip",
    )


async def test_what_would_become_too_large_is_told_as_it_came() -> None:
    packed = gzip.compress(bytes(HELD_BYTES + 1), 1)
    headers = {"Content-Encoding": "gzip"}
    told = await capture_entry(7, Capture("/v1/completions", {}, b"", headers, packed))
    assert told["resp_headers"] == headers
    assert told["resp_body"] == b64encode(packed).decode()


@pytest.mark.parametrize(
    ("path", "request_kept", "answer_kept"),
    [
        ("/v1/chat/completions", True, True),
        ("/v1/audio/speech", True, False),
        ("/v1/images/generations", True, False),
        ("/sdapi/v1/txt2img", True, False),
        ("/v1/audio/voices", False, True),
        ("/v1/audio/transcriptions", False, True),
        ("/v1/images/edits", False, False),
        ("/sdapi/v1/img2img", False, False),
        ("/audioapi/v1/tasks/run", True, True),
        ("/upstream/m/v1/audio/speech", True, False),
    ],
)
async def test_sound_and_pictures_are_not_captured(
    path: str, request_kept: bool, answer_kept: bool
) -> None:
    json_head = b"content-type: application/json\r\n"
    async with floor(staying(answer(b'{"a": 1}')), captureBuffer=1) as web:
        capture = await captured(web, chat(path=path, head=json_head))
    assert (capture["req_body"] is not None) == request_kept
    assert (capture["resp_body"] is not None) == answer_kept
    assert capture["resp_headers"]["Content-Length"] == "8"


async def test_an_error_is_captured_without_its_body() -> None:
    told = answer(b'{"error": "no"}', status=b"400 Bad Request")
    async with floor(staying(told), captureBuffer=1) as web:
        capture = await captured(web, chat())
    assert (capture["req_body"], capture["resp_body"]) == (b'{"model": "m"}', None)
    assert capture["resp_headers"]["Content-Length"] == "15"


async def test_what_is_too_large_is_not_captured_and_passes_all_the_same() -> None:
    large = b"x" * (1024 * 1024 + 1)
    async with floor(staying(answer(large)), captureBuffer=1) as web:
        assert await captured(web, chat()) is None
    async with floor(staying(answer(b"{}")), captureBuffer=1) as web:
        assert await captured(web, chat(b'{"model": "m", "x": "%s"}' % large)) is None


@pytest.mark.parametrize("number", ["x", "-1", "1.5", "%D9%A1", "9" * 30])
async def test_what_is_no_number_is_told(number: str) -> None:
    async with floor() as web:
        reply = await web.ask(get(f"/api/captures/{number}"))
        assert reply.status == 400
        assert reply.error["message"].startswith("a capture has the id of a request, a number")
