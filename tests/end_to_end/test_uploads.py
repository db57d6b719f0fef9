"""Uploads that would not fit into memory, through a whole swapd to a server that counts."""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
from pathlib import Path

import pytest
import trio

from swapd.testing.running import Running, configuration, run_swapd

pytestmark = pytest.mark.real_process

MEBIBYTE = 1024 * 1024
SIZE = 200 * MEBIBYTE

#: Answers each POST with how many bytes came, and their hash.
COUNTING = """
import hashlib, http.server, json, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({})

    def do_POST(self):
        left = int(self.headers["content-length"])
        seen, digest = left, hashlib.sha256()
        while left:
            piece = self.rfile.read(min(left, 1 << 20))
            left -= len(piece)
            digest.update(piece)
        self.answer({"bytes": seen, "sha256": digest.hexdigest()})

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


def counting(folder: Path) -> str:
    script = folder / "counting.py"
    script.write_text(COUNTING)
    command = shlex.join([sys.executable, str(script)]) + " ${PORT}"
    return configuration({"m": {"cmd": command, "useModelName": "org/m"}})


def peak_of(pid: int) -> int:
    """Return the most memory that a process ever had, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) * 1024


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
async def test_a_large_upload_costs_no_memory_and_arrives_renamed(tmp_path: Path) -> None:
    expected = hashlib.sha256(HEAD)
    for _ in range(SIZE // len(PIECE)):
        expected.update(PIECE)
    expected.update(TAIL % b"org/m")
    async with run_swapd(tmp_path, counting(tmp_path)) as swapd:
        await upload(swapd, MEBIBYTE)  # whatever is imported late is there now
        before = peak_of(swapd.process.pid)
        assert await upload(swapd, SIZE) == {
            "bytes": len(HEAD) + SIZE + len(TAIL % b"org/m"),
            "sha256": expected.hexdigest(),
        }
        assert peak_of(swapd.process.pid) - before < 32 * MEBIBYTE
