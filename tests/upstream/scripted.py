"""A server that does exactly what a test says, byte by byte, over a real loopback socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import trio


class Connection:
    """The server's end of one connection."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._buffer = b""

    async def request(self) -> bytes:
        """Return the next request: its head, and as much body as it announces."""
        while b"\r\n\r\n" not in self._buffer:
            await self._more()
        end = self._buffer.index(b"\r\n\r\n") + 4
        for line in self._buffer[:end].split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                end += int(value)
        while len(self._buffer) < end:
            await self._more()
        request, self._buffer = self._buffer[:end], self._buffer[end:]
        return request

    async def send(self, data: bytes) -> None:
        await self._stream.send_all(data)

    async def left(self) -> None:
        """Return once the client has closed the connection."""
        try:
            while await self._stream.receive_some():
                pass
        except trio.BrokenResourceError:
            pass

    async def echo(self, size: int) -> None:
        """Answer a request with its own body of ``size``, each piece as soon as it is here."""
        while b"\r\n\r\n" not in self._buffer:
            await self._more()
        await self.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        _, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        while size:
            size -= len(self._buffer)
            await self.send(self._buffer)
            self._buffer = b""
            if size:
                await self._more()

    async def some(self) -> None:
        """Return when anything has come."""
        await self._more()

    def reset(self) -> None:
        """Break the connection without a proper end."""
        linger_for_no_time = b"\x01\0\0\0\0\0\0\0"
        self._stream.socket.setsockopt(
            trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, linger_for_no_time
        )
        self._stream.socket.close()

    async def _more(self) -> None:
        data = await self._stream.receive_some()
        if not data:
            raise EOFError
        self._buffer += data


Script = Callable[[Connection], Awaitable[None]]


class Server:
    """Runs one script per connection, in the order of connecting."""

    def __init__(self, port: int, scripts: list[Script]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.connections = 0
        self.requests: list[bytes] = []
        self._scripts = scripts

    async def serve(self, stream: trio.SocketStream) -> None:
        script = self._scripts[self.connections]
        self.connections += 1
        async with stream:
            await script(Connection(stream))

    def answer(self, *responses: bytes) -> Script:
        """Return a script: for each response await a request, then send it; then hang up."""
        return partial(self._answer, responses=responses)

    async def _answer(self, connection: Connection, responses: tuple[bytes, ...]) -> None:
        for response in responses:
            self.requests.append(await connection.request())
            await connection.send(response)

    def then(self, *scripts: Script) -> None:
        """Run ``scripts`` for the connections to come."""
        self._scripts.extend(scripts)


def staying(*responses: bytes) -> Script:
    """Return a script: answer, then keep the connection until the client leaves."""

    async def script(connection: Connection) -> None:
        for response in responses:
            await connection.request()
            await connection.send(response)
        await connection.left()

    return script


@asynccontextmanager
async def serving(*scripts: Script, limit: float = 10) -> AsyncIterator[Server]:
    """Serve ``scripts`` on a free port; a connection too many fails the test.

    So does one that takes longer than ``limit`` seconds, instead of hanging.
    """
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        server = Server(listeners[0].socket.getsockname()[1], list(scripts))
        with trio.fail_after(limit):
            await nursery.start(partial(trio.serve_listeners, server.serve, listeners))
            yield server
        nursery.cancel_scope.cancel(reason="the test is over")


@asynccontextmanager
async def answering(*responses: bytes) -> AsyncIterator[Server]:
    """Serve ``responses`` on one connection, one per request, and hang up after the last."""
    async with serving() as server:
        server.then(server.answer(*responses))
        yield server
