"""Forms in parts through a whole swapd: any client's, and those that would not fit into memory."""

from __future__ import annotations

import base64
import email
import hashlib
import json
import os
import shlex
import shutil
import sys
from collections.abc import Awaitable, Callable
from email.message import Message
from functools import partial
from pathlib import Path

import openai
import pytest
import trio

from swapd.testing.running import Running, configuration, run_swapd
from tests.end_to_end.steps import peak_of

pytestmark = pytest.mark.real_process

MEBIBYTE = 1024 * 1024
SIZE = 200 * MEBIBYTE

#: Seconds that no test here takes on a machine that works.
LONG = 120

on_either_transport = pytest.mark.parametrize("fast", [True, False], ids=["fast", "stock"])

#: Answers each POST with how many bytes came, their hash, and all of it if it is not much.
COUNTING = """
import base64, hashlib, http.server, json, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({})

    def do_POST(self):
        left = int(self.headers["content-length"])
        seen, digest, held = left, hashlib.sha256(), b""
        while left:
            piece = self.rfile.read(min(left, 1 << 20))
            left -= len(piece)
            digest.update(piece)
            held = held or piece
        found = {"bytes": seen, "sha256": digest.hexdigest()}
        if seen == len(held):
            found |= {"text": base64.b64encode(held).decode(), "type": self.headers["content-type"]}
        self.answer(found)

    def answer(self, found):
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""

HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
TAIL = b'\r\n--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n%s\r\n--b--\r\n'
PIECE = bytes(range(256)) * (MEBIBYTE // 256)


def counting(folder: Path, *, fast: bool) -> str:
    script = folder / "counting.py"
    script.write_text(COUNTING)
    command = shlex.join([sys.executable, str(script)]) + " ${PORT}"
    model = {"cmd": command, "useModelName": "org/m"}
    return configuration({"m": model}, server={"fastTransport": fast})


async def upload(swapd: Running, size: int) -> object:
    tail = TAIL % b"m"
    async with await trio.open_tcp_stream("127.0.0.1", swapd.port) as stream:
        await stream.send_all(
            b"POST /v1/audio/transcriptions HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n"
            b"content-type: multipart/form-data; boundary=b\r\n"
            b"content-length: %d\r\n\r\n%s" % (len(HEAD) + size + len(tail), HEAD)
        )
        for _ in range(size // len(PIECE)):
            await stream.send_all(PIECE)
        await stream.send_all(tail)
        answer = b"".join([bytes(piece) async for piece in stream])
    return json.loads(answer.partition(b"\r\n\r\n")[2])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@on_either_transport
async def test_a_large_upload_costs_no_memory_and_arrives_renamed(
    tmp_path: Path, fast: bool
) -> None:
    expected = hashlib.sha256(HEAD)
    for _ in range(SIZE // len(PIECE)):
        expected.update(PIECE)
    expected.update(TAIL % b"org/m")
    async with run_swapd(tmp_path, counting(tmp_path, fast=fast)) as swapd:
        await upload(swapd, MEBIBYTE)  # whatever is imported late is there now
        before = peak_of(swapd.process.pid)
        assert await upload(swapd, SIZE) == {
            "bytes": len(HEAD) + SIZE + len(TAIL % b"org/m"),
            "sha256": expected.hexdigest(),
        }
        assert peak_of(swapd.process.pid) - before < 32 * MEBIBYTE


SOUND = bytes(range(256)) * 200 + b"\r\n--\n--x\r\n\r\n"
NAME, PROMPT = "an \u00e9.wav", "one\r\n\r\n\u00e9 two"

FETCH = """
const fs = require("fs"), [url, file, name, prompt] = process.argv.slice(1);
const form = new FormData();
form.append("file", new Blob([fs.readFileSync(file)], {type: "audio/wav"}), name);
form.append("model", "m");
form.append("prompt", prompt);
fetch(url, {method: "POST", body: form}).then((answer) => answer.text()).then(console.log);
"""


async def sent_by_a_program(command: list[str]) -> object:
    process = await trio.run_process(command, capture_stdout=True)
    return json.loads(process.stdout)


async def sent_by_curl(url: str, file: Path, *more: str) -> object:
    part = f"file=@{file};type=audio/wav;filename={NAME}"
    fields = ["-F", part, "-F", f"prompt={PROMPT}", "-F", "model=m;type=text/plain"]
    return await sent_by_a_program(["curl", "-s", *more, *fields, url])


async def sent_by_curl_in_chunks(url: str, file: Path) -> object:
    return await sent_by_curl(url, file, "-H", "Transfer-Encoding: chunked")


async def sent_by_node(url: str, file: Path) -> object:
    return await sent_by_a_program(["node", "-e", FETCH, url, str(file), NAME, PROMPT])


async def sent_by_openai(url: str, _: Path) -> object:
    base = url.removesuffix("/audio/transcriptions")
    with openai.OpenAI(base_url=base, api_key="any", max_retries=0, timeout=LONG) as sdk:
        ask = partial(sdk.audio.transcriptions.create, model="m", prompt=PROMPT)
        sound = (NAME, SOUND, "audio/wav")
        answer = await trio.to_thread.run_sync(partial(ask, file=sound))
    return answer.to_dict()


def parts_of(form: Message) -> dict[object, tuple[str, bytes]]:
    """Return type and content of each part, as a library sees them that is none of ours."""
    found: dict[object, tuple[str, bytes]] = {}
    for part in form.get_payload():
        assert isinstance(part, Message)
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        name = part.get_param("name", header="content-disposition")
        found[name] = (part.get_content_type(), content)
    return found


def needs(program: str) -> pytest.MarkDecorator:
    """Skip a test where ``program`` is missing; in CI it may not be, so there the test fails."""
    is_missing = shutil.which(program) is None and not os.environ.get("CI")
    return pytest.mark.skipif(is_missing, reason=f"{program} is not installed")


@on_either_transport
@pytest.mark.parametrize(
    "send",
    [
        pytest.param(sent_by_curl, marks=needs("curl")),
        pytest.param(sent_by_curl_in_chunks, marks=needs("curl")),
        pytest.param(sent_by_node, marks=needs("node")),
        sent_by_openai,
    ],
)
async def test_the_forms_of_any_client_arrive_as_they_are_but_for_the_model(
    tmp_path: Path, send: Callable[[str, Path], Awaitable[object]], fast: bool
) -> None:
    file = tmp_path / "sound"
    file.write_bytes(SOUND)
    with trio.fail_after(LONG):
        async with run_swapd(tmp_path, counting(tmp_path, fast=fast)) as swapd:
            came = await send(f"{swapd.url}/v1/audio/transcriptions", file)
    assert isinstance(came, dict)
    body = base64.b64decode(came["text"])
    head = f"content-type: {came['type']}\r\n\r\n".encode()
    assert parts_of(email.message_from_bytes(head + body)) == {
        "file": ("audio/wav", SOUND),
        "model": ("text/plain", b"org/m"),
        "prompt": ("text/plain", PROMPT.encode()),
    }
    assert f'; filename="{NAME}"\r\n'.encode() in body
