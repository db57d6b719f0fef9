"""Clients of the event stream, for tests."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import h11
import trio

from tests.web.floor import Floor


class Listener:
    """A client of the stream, which reads as a browser does."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.headers: dict[str, str] = {}
        self.places: list[str] = []
        self._http = h11.Connection(h11.CLIENT)
        self._received = b""

    async def ask(self, key: str) -> None:
        asked = h11.Request(
            method="GET", target="/api/events", headers=[("host", "localhost"), ("x-api-key", key)]
        )
        await self.stream.send_all(self._http.send(asked) + self._http.send(h11.EndOfMessage()))
        response = await self._event()
        assert isinstance(response, h11.Response)
        assert response.status_code == 200
        self.headers = {name.decode(): value.decode() for name, value in response.headers}

    async def block(self) -> bytes:
        """Return what comes until the next blank line; nothing once the stream is over."""
        while b"\n\n" not in self._received:
            event = await self._event()
            if isinstance(event, h11.EndOfMessage):
                return b""
            assert isinstance(event, h11.Data)
            self._received += event.data
        block, _, self._received = self._received.partition(b"\n\n")
        return block

    async def hear(self) -> tuple[str, Any]:
        """Return the next message: its type and what it tells."""
        block = b":"
        while block.startswith(b":"):
            block = await self.block()
        lines = dict(line.split(":", 1) for line in block.decode().split("\n"))
        assert lines["event"] == "message"
        self.places.append(lines["id"])
        told = json.loads(lines["data"])
        assert set(told) == {"type", "data"}
        return told["type"], json.loads(told["data"])

    async def hear_of(self, kind: str) -> Any:
        """Return what the next message of ``kind`` tells."""
        while True:
            heard, data = await self.hear()
            if heard == kind:
                return data

    async def hear_burst(self) -> list[tuple[str, Any]]:
        return [await self.hear() for _ in range(6)]

    async def _event(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(bytes(await self.stream.receive_some()))
        return event


@asynccontextmanager
async def listening(
    web: Floor, *, key: str = "", receive_buffer: int | None = None
) -> AsyncIterator[Listener]:
    """Listen to the stream for the length of the block."""
    async with await web.served.connect(receive_buffer=receive_buffer) as stream:
        listener = Listener(stream)
        await listener.ask(key)
        yield listener
