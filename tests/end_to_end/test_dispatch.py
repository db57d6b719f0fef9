"""Requests to a process that dies: before they reach it, and because of them."""

from __future__ import annotations

import http.client
import json
import os
import shlex
import signal
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trio

from swapd.testing.running import Running, configuration, fake, run_swapd
from tests.end_to_end.steps import LONG

pytestmark = pytest.mark.real_process


async def kill(swapd: Running, model: str) -> None:
    """Kill the idle process of ``model``; return when nobody listens at its port any more."""
    running = json.loads((await swapd.ask("GET", "/running")).body)["running"]
    port = urlsplit(next(entry["proxy"] for entry in running if entry["model"] == model)).port
    assert port is not None
    # The answer leaves a connection behind, which swapd keeps.
    props = json.loads((await swapd.ask("GET", f"/props?model={model}")).body)
    os.kill(props["pid"], signal.SIGKILL)
    while await listens(port):  # noqa: ASYNC110  in another process
        await trio.sleep(0.001)


async def listens(port: int) -> bool:
    try:
        stream = await trio.open_tcp_stream("127.0.0.1", port)
    except OSError:
        return False
    await stream.aclose()
    return True


@pytest.mark.parametrize("clients", [1, 3])
async def test_a_process_that_was_killed_while_idle_costs_no_request(
    tmp_path: Path, clients: int
) -> None:
    config = configuration({"a": fake("a")})
    async with run_swapd(tmp_path, config) as swapd:
        for _ in range(5):
            statuses: list[int] = []

            async def chat(statuses: list[int] = statuses) -> None:
                statuses.append((await swapd.chat("a")).status)

            with trio.fail_after(LONG):
                # Loading by order forgets that the process has died.
                assert (await swapd.ask("POST", "/api/models/load/a?wait=1")).status == 200
                await kill(swapd, "a")
                async with trio.open_nursery() as nursery:
                    for _ in range(clients):
                        nursery.start_soon(chat)
                assert statuses == [200] * clients


async def test_what_a_process_may_have_died_of_is_not_given_to_another(tmp_path: Path) -> None:
    config = configuration({"a": fake("a", "--last-words", "killed by a prompt")})
    async with run_swapd(tmp_path, config) as swapd:
        with trio.fail_after(LONG):
            assert (await swapd.chat("a")).status == 200  # swapd keeps the connection
            deadly = await swapd.chat("a", fake={"die_after_chunks": 0})
            assert deadly.status == 502
            assert "its process exited with code" in deadly.error
            assert "killed by a prompt" in deadly.error
            assert await swapd.states() == {}


#: Speaks HTTP/1.0, where only the end of the connection ends an answer; ``/die`` ends both.
OLD = """
import http.server, os, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"some")
        if self.path == "/die":
            os._exit(3)

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "stock"])
async def test_an_answer_without_a_length_is_not_whole_if_its_process_ends_with_it(
    tmp_path: Path, fast: bool
) -> None:
    script = tmp_path / "old.py"
    script.write_text(OLD)
    command = shlex.join([sys.executable, str(script)]) + " ${PORT}"
    config = configuration({"a": command}, server={"fastTransport": fast})
    async with run_swapd(tmp_path, config) as swapd:
        with trio.fail_after(LONG):
            assert (await swapd.ask("GET", "/upstream/a/live")).body == b"some"
            with pytest.raises(http.client.IncompleteRead) as cut:
                await swapd.ask("GET", "/upstream/a/die")
            assert cut.value.partial == b"some"
            said = await swapd.until_said("/upstream/a/die")
            assert "502" in said
            assert "its process exited with code 3" in said
