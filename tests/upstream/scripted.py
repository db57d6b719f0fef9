"""A server that does exactly what a test says, byte by byte, over a real loopback socket."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import trio


class Connection:
    """The server's end of one connection."""

    def __init__(self, stream: trio.abc.Stream) -> None:
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

    async def begin(self) -> None:
        """Shake hands, if that is needed."""
        if isinstance(self._stream, trio.SSLStream):
            await self._stream.do_handshake()

    async def receive(self) -> bytes:
        """Return what comes next, empty at a proper end."""
        return bytes(await self._stream.receive_some())

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
        self._socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, linger_for_no_time)
        self._socket.close()

    def hang_up(self) -> None:
        """Close the connection, under TLS without a word."""
        self._socket.close()

    @property
    def _socket(self) -> trio.socket.SocketType:
        stream = self._stream
        transport = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
        assert isinstance(transport, trio.SocketStream)
        return transport.socket

    async def _more(self) -> None:
        data = await self._stream.receive_some()
        if not data:
            raise EOFError
        self._buffer += data


Script = Callable[[Connection], Awaitable[None]]


class Server:
    """Runs one script per connection, in the order of connecting."""

    def __init__(self, url: str, scripts: list[Script]) -> None:
        self.url = url
        self.connections = 0
        self.requests: list[bytes] = []
        self._scripts = scripts

    async def serve(self, stream: trio.abc.Stream) -> None:
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
async def serving(
    *scripts: Script,
    limit: float = 30,
    unix: Path | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Server]:
    """Serve ``scripts``; a connection too many fails the test.

    So does one that takes longer than ``limit`` seconds, instead of hanging.

    Args:
      scripts: One for each connection to come.
      limit: In seconds.
      unix: Where in the file system; by default it is a free port.
      tls: Whether under TLS, and how.
    """
    async with trio.open_nursery() as nursery:
        listener = await listener_at(unix)
        port = 0 if unix else listener.socket.getsockname()[1]
        server = Server(f"{'https' if tls else 'http'}://127.0.0.1:{port}", list(scripts))
        with trio.fail_after(limit):
            listening = trio.SSLListener(listener, tls) if tls else listener
            await nursery.start(partial(trio.serve_listeners, server.serve, [listening]))
            yield server
        nursery.cancel_scope.cancel(reason="the test is over")


async def listener_at(unix: Path | None) -> trio.SocketListener:
    """Return what listens on a free port, or at ``unix`` in the file system."""
    if unix is None:
        return (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    taken = trio.socket.socket(trio.socket.AF_UNIX)
    await taken.bind(str(unix))
    taken.listen()
    return trio.SocketListener(taken)


@asynccontextmanager
async def answering(
    *responses: bytes, unix: Path | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    """Serve ``responses`` on one connection, one per request, and hang up after the last."""
    async with serving(unix=unix, tls=tls) as server:
        server.then(server.answer(*responses))
        yield server
