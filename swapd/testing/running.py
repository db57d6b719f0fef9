"""A whole swapd, run as its users run it: one process, a configuration file, real sockets."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import trio
from trio_websocket import WebSocketConnection, wrap_client_stream

#: Starts swapd without relying on where its script was installed.
COMMAND = (sys.executable, "-c", "from swapd.cli import main; main()")

#: Where models listen in tests: below what the kernel gives to clients.  Each process that runs
#: tests has ports for itself, so that those at work side by side do not meet.
_PORTS_OF_ONE = 240
_FIRST_PORT = 20_000 + os.getpid() % 50 * _PORTS_OF_ONE
_ports = itertools.cycle(range(_FIRST_PORT, _FIRST_PORT + _PORTS_OF_ONE))

#: The largest websocket message that is taken, in bytes.
LARGEST_MESSAGE = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> object:
        """Return the body as what it says in JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The message of an error envelope."""
        message = json.loads(self.body)["error"]["message"]
        assert isinstance(message, str)
        return message


class Running:
    """A swapd that runs; ``lines`` is what it has said so far."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self.url = ""
        self._said = trio.Condition()

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        port = urlsplit(self.url).port
        assert port is not None
        return port

    async def listen(self, output: trio.abc.ReceiveStream) -> None:
        """Keep what it says, line by line, to its end."""
        rest = b""
        async for chunk in output:
            *lines, rest = (rest + chunk).split(b"\n")
            async with self._said:
                self.lines += [line.decode() for line in lines]
                self._said.notify_all()
        async with self._said:
            self.lines.append("(end of output)")
            self._said.notify_all()

    async def until_said(self, text: str) -> str:
        """Wait for a line with ``text`` and return it.

        Raises:
          RuntimeError: If it ended without a word of it.
        """
        async with self._said:
            while True:
                for line in self.lines:
                    if text in line:
                        return line
                if self.lines[-1:] == ["(end of output)"]:
                    raise RuntimeError("\n".join(self.lines))
                await self._said.wait()

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request, JSON if there is a body that is no bytes, and return the answer."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent = {"content-type": "application/json"} | dict(headers or {})
        return await trio.to_thread.run_sync(
            partial(_ask, self.port, method, path, data, sent), abandon_on_cancel=True
        )

    async def chat(self, model: str, **members: object) -> Answer:
        """Ask ``model`` for one chat completion."""
        messages = [{"role": "user", "content": "hi"}]
        body = {"model": model, "messages": messages, **members}
        return await self.ask("POST", "/v1/chat/completions", body)

    @asynccontextmanager
    async def open_chat(self, model: str, **members: object) -> AsyncIterator[trio.SocketStream]:
        """Send a streaming chat request on a connection of its own; read from it what you like."""
        messages = [{"role": "user", "content": "hi"}]
        body = json.dumps({"model": model, "messages": messages, "stream": True, **members})
        async with await trio.open_tcp_stream("127.0.0.1", self.port) as stream:
            await stream.send_all(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
                b"content-type: application/json\r\n"
                b"content-length: %d\r\n\r\n%s" % (len(body), body.encode())
            )
            yield stream

    @asynccontextmanager
    async def websocket(self, path: str, *subprotocols: str) -> AsyncIterator[WebSocketConnection]:
        """Open a websocket for the length of the block."""
        # trio-websocket's own openers leave the socket open when the other side closes.
        async with (
            await trio.open_tcp_stream("127.0.0.1", self.port) as stream,
            trio.open_nursery() as nursery,
        ):
            yield await wrap_client_stream(
                nursery,
                stream,
                "127.0.0.1",
                path,
                subprotocols=subprotocols,
                max_message_size=LARGEST_MESSAGE,
            )
            nursery.cancel_scope.cancel(reason="heard enough")

    @asynccontextmanager
    async def lifecycle(self, query: str = "") -> AsyncIterator[WebSocketConnection]:
        """Listen to the lifecycle websocket for the length of the block."""
        async with self.websocket(f"/api/lifecycle{query}") as websocket:
            yield websocket

    async def snapshot(self) -> dict[str, Any]:
        """Return what the lifecycle websocket says first."""
        async with self.lifecycle() as websocket:
            message: dict[str, Any] = json.loads(await websocket.get_message())
        return message

    async def upstream_log(self, model: str) -> dict[str, object]:
        """Return what the stand-in for ``model`` has seen, asked behind swapd's back."""
        listing = json.loads((await self.ask("GET", "/running")).body)
        proxy = next(entry["proxy"] for entry in listing["running"] if entry["model"] == model)
        ask = partial(_ask, urlsplit(proxy).port, "GET", "/log", None, {})
        log = json.loads((await trio.to_thread.run_sync(ask, abandon_on_cancel=True)).body)
        assert isinstance(log, dict)
        return log

    async def until_upstream(self, model: str, what: str, count: int) -> None:
        """Wait until the stand-in for ``model`` has counted ``what`` so often."""
        while (await self.upstream_log(model))[what] != count:  # noqa: ASYNC110  in another process
            await trio.sleep(0.02)

    async def states(self) -> dict[str, str]:
        """Return what runs, and how."""
        listing = json.loads((await self.ask("GET", "/running")).body)
        return {entry["model"]: entry["state"] for entry in listing["running"]}


def _ask(
    port: int | None, method: str, path: str, body: bytes | None, headers: dict[str, str]
) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, headers)
        with connection.getresponse() as response:
            return Answer(response.status, dict(response.headers), response.read())
    finally:
        connection.close()


def fake(model: str, *options: str) -> str:
    """Return the command of a stand-in server for ``model``, for a configuration file."""
    words = [sys.executable, "-m", "swapd.testing.fake_server", "--port", "${PORT}"]
    return shlex.join([*words, "--model", model, *options]).replace("'${PORT}'", "${PORT}")


def configuration(models: Mapping[str, str | Mapping[str, object]], **others: object) -> str:
    """Return a configuration file; a model that is a string is its command."""
    written: dict[str, object] = {}
    for name, model in models.items():
        settings = {"cmd": model} if isinstance(model, str) else dict(model)
        written[name] = {"proxy": "http://127.0.0.1:${PORT}", **settings}
    ports = {"startPort": free_ports(len(models))}
    return json.dumps({"models": written, **ports, **others}, indent=2)  # YAML reads JSON


def free_ports(count: int) -> int:
    """Return the first of ``count`` ports in a row that nobody listens on."""
    while True:
        first, *others = itertools.islice(_ports, count)
        with suppress(OSError), ExitStack() as sockets:
            for port in range(first, first + count):
                sockets.enter_context(socket.create_server(("127.0.0.1", port)))
            if others == [*range(first + 1, first + count)]:
                return first


@asynccontextmanager
async def run_swapd(
    folder: Path,
    config: str,
    *options: str,
    command: Sequence[str] = COMMAND,
    environ: Mapping[str, str] | None = None,
) -> AsyncIterator[Running]:
    """Serve ``config`` for the length of the block, on any free port of 127.0.0.1.

    A swapd that still runs at its end is killed, which takes its models with it.
    """
    path = folder / "config.yaml"
    path.write_text(config)
    argv = [*command, "serve", "--config", str(path), "--listen", "127.0.0.1:0", *options]
    async with trio.open_nursery() as nursery:
        process: trio.Process = await nursery.start(
            partial(
                trio.run_process,
                argv,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
                env={**os.environ, **(environ or {})},
                deliver_cancel=_kill,
            )
        )
        running = Running(process)
        assert process.stdout is not None
        nursery.start_soon(running.listen, process.stdout)
        announced = await running.until_said("swapd listens on ")
        running.url = announced.split("swapd listens on ")[1].split(",")[0]
        yield running
        nursery.cancel_scope.cancel(reason="the test is over")


async def _kill(process: trio.Process) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGKILL)
