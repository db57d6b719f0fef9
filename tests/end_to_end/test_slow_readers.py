"""An answer of 1 GiB to who stops reading it: the model's server waits, and no memory goes."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest
import trio

from swapd.testing.running import configuration, run_swapd
from tests.end_to_end.steps import peak_of

pytestmark = [
    pytest.mark.real_process,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc"),
]

MEBIBYTE = 1024 * 1024
SIZE = 1024 * MEBIBYTE

#: Answers a POST with 1 GiB of events; ``GET /stuck`` waits until nobody takes more of it for a
#: second, and says how much was taken.
POURING = f"""
import http.server, json, socket, sys, threading

taken, stuck = 0, threading.Event()

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/stuck":
            stuck.wait()
        body = json.dumps(taken).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        global taken
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str({SIZE}))
        self.end_headers()
        self.connection.settimeout(1)
        piece = (b'data: {{"a": "' + bytes(range(97, 123)) * 39 + b'"}}').ljust(1022) + b"\\n\\n"
        piece *= 64
        while taken < {SIZE}:
            try:
                taken += self.connection.send(piece[taken % len(piece):])
            except TimeoutError:
                stuck.set()
        stuck.set()

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def pouring(folder: Path, *, fast: bool) -> str:
    script = folder / "pouring.py"
    script.write_text(POURING)
    command = shlex.join([sys.executable, str(script)]) + " ${PORT}"
    return configuration({"m": {"cmd": command}}, server={"fastTransport": fast})


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "stock"])
async def test_who_stops_reading_1_gib_has_the_model_wait_and_then_gets_all(
    tmp_path: Path, fast: bool
) -> None:
    body = json.dumps({"model": "m", "stream": True}).encode()
    async with run_swapd(tmp_path, pouring(tmp_path, fast=fast)) as swapd:
        assert (await swapd.ask("GET", "/upstream/m/")).status == 200
        before = peak_of(swapd.process.pid)
        async with await trio.open_tcp_stream("127.0.0.1", swapd.port) as client:
            await client.send_all(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
                b"content-length: %d\r\n\r\n%s" % (len(body), body)
            )
            taken = (await swapd.ask("GET", "/upstream/m/stuck")).json()
            assert isinstance(taken, int)
            assert taken < 32 * MEBIBYTE  # what the sockets hold, and what is under way
            assert peak_of(swapd.process.pid) - before < 16 * MEBIBYTE
            head, size = b"", 0
            while piece := await client.receive_some(MEBIBYTE):
                head, size = head or bytes(piece[:12]), size + len(piece)
        assert head == b"HTTP/1.1 200"
        assert SIZE < size < SIZE + 1024
        assert peak_of(swapd.process.pid) - before < 16 * MEBIBYTE
