"""Speaks enough HTTP/1.1 for the stand-in model server, one thread per connection.

It does keep-alive, bodies with a length and chunked ones, chunked answers, and notices at once
when its client leaves.  It does no compression and no limits: it is a tool for tests.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import NamedTuple

PIECE_BYTES = 1 << 16
JSON_TYPE = "application/json"
#: Closing with this option set sends a reset: the abnormal end that a crash would make.
LINGER_NOT = struct.pack("ii", 1, 0)


class ClientLeftError(Exception):
    """The client closed its side; nobody will read what comes."""


class Request(NamedTuple):
    """One request as it arrived, its body undone from chunks."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    def header(self, name: str) -> str:
        """Return the last value of header ``name``, or nothing."""
        return next((value for key, value in reversed(self.headers) if key.lower() == name), "")


class Connection:
    """One client's socket, read and written by one thread."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._held = b""

    def read_request(self) -> Request:
        """Return the next request.

        Raises:
          ClientLeftError: There is none, or it was broken off.
        """
        first, *lines = self._read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        pairs = (line.partition(":") for line in lines)
        headers = [(name, value.strip()) for name, _, value in pairs]
        head = Request(method, target, headers, b"")
        if head.header("expect"):
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        return head._replace(body=self._read_body(head))

    def answer(
        self, status: int, body: Mapping[str, object], headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a whole answer with ``body`` as JSON."""
        content = json.dumps(body).encode()
        framing = {"Content-Type": JSON_TYPE, "Content-Length": str(len(content))}
        self.send(_head(status, {**framing, **(headers or {})}) + content)

    def begin(self, status: int, content_type: str, headers: Mapping[str, str]) -> None:
        """Send the head of an answer that comes in chunks."""
        framing = {"Content-Type": content_type, "Transfer-Encoding": "chunked"}
        self.send(_head(status, {**framing, **headers}))

    def write(self, piece: bytes) -> None:
        """Send ``piece`` as one chunk."""
        self.send(b"%x\r\n%b\r\n" % (len(piece), piece))

    def finish(self) -> None:
        """End the chunked answer properly."""
        self.send(b"0\r\n\r\n")

    def cut(self) -> None:
        """Break the connection off, as a crash would."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        self._socket.close()

    def wait(self, seconds: float | None) -> None:
        """Wait ``seconds``, or for ever, with an eye on the client.

        Raises:
          ClientLeftError: It closed its side, which ends the waiting at once.
        """
        self._socket.settimeout(seconds)
        try:
            while True:
                # A client that pipelines is not gone: keep its bytes, and wait anew.
                self._held += self._receive()
        except (TimeoutError, BlockingIOError, ssl.SSLWantReadError):
            pass
        finally:
            self._socket.settimeout(None)

    def _read_body(self, head: Request) -> bytes:
        if "chunked" in head.header("transfer-encoding").lower():
            return b"".join(self._read_chunks())
        return self.read(int(head.header("content-length") or 0))

    def _read_chunks(self) -> Iterable[bytes]:
        while size := int(self._read_until(b"\r\n").split(b";")[0], 16):
            yield self.read(size)
            self._read_until(b"\r\n")
        while self._read_until(b"\r\n"):
            pass  # trailers mean nothing here

    def _read_until(self, mark: bytes) -> bytes:
        while mark not in self._held:
            self._held += self._receive()
        found, _, self._held = self._held.partition(mark)
        return found

    def read(self, size: int) -> bytes:
        """Return the next ``size`` bytes."""
        pieces = bytearray(self._held)
        while len(pieces) < size:
            pieces += self._receive()
        self._held = bytes(pieces[size:])
        return bytes(pieces[:size])

    def _receive(self) -> bytes:
        try:
            piece = self._socket.recv(PIECE_BYTES)
        except ConnectionError as error:
            raise ClientLeftError from error
        if not piece:
            raise ClientLeftError
        return piece

    def send(self, data: bytes) -> None:
        """Send ``data`` as it is."""
        try:
            self._socket.sendall(data)
        except ConnectionError as error:
            raise ClientLeftError from error


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Odd"
    lines = (f"{name}: {value}" for name, value in headers.items())
    return "\r\n".join([f"HTTP/1.1 {status} {phrase}", *lines, "", ""]).encode("latin-1")
