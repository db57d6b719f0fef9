"""Speaks enough of websockets for the stand-in model server: it says what is said to it.

Three texts are orders instead: ``close CODE WORDS`` takes leave, ``vanish`` breaks the connection
off, ``die`` ends the process.  It does no extensions and no limits: it is a tool for tests.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator

from swapd.testing.fake_http import Connection, Request

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10

_SALT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def is_wanted(request: Request) -> bool:
    """Tell whether ``request`` asks for a websocket."""
    return request.header("upgrade").lower() == "websocket"


def serve(connection: Connection, request: Request, die: Callable[[], None]) -> None:
    """Open a websocket, with the first subprotocol that is offered, and serve it to its end."""
    key = request.header("sec-websocket-key").encode() + _SALT
    accept = base64.b64encode(hashlib.sha1(key).digest()).decode()
    offered = request.header("sec-websocket-protocol").split(",")[0].strip()
    chosen = f"Sec-WebSocket-Protocol: {offered}\r\n" if offered else ""
    connection.send(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"{chosen}Sec-WebSocket-Accept: {accept}\r\n\r\n".encode("latin-1")
    )
    for kind, message in _messages(connection):
        order, _, words = message.decode("latin-1").partition(" ") if kind == TEXT else ("", "", "")
        if order == "close":
            code, _, reason = words.partition(" ")
            connection.send(_frame(CLOSE, int(code).to_bytes(2, "big") + reason.encode("latin-1")))
        elif order == "vanish":
            connection.cut()
            return
        elif order == "die":
            die()
        else:
            connection.send(_frame(kind, message))


def _messages(connection: Connection) -> Iterator[tuple[int, bytes]]:
    """Yield each message with its kind, until the client takes its leave."""
    kind, message, is_leaving = 0, b"", False
    while True:
        is_last, code, payload = _read_frame(connection)
        match code:
            case 8:
                if not is_leaving:
                    connection.send(_frame(CLOSE, payload))
                return
            case 9:
                connection.send(_frame(PONG, payload))
            case 10:
                pass
            case _:
                kind, message = code or kind, message + payload
                if is_last:
                    is_leaving = message.startswith(b"close ")
                    yield kind, message
                    message = b""


def _read_frame(connection: Connection) -> tuple[bool, int, bytes]:
    first, second = connection.read(2)
    size = second & 0x7F
    if size > 125:
        size = int.from_bytes(connection.read(2 if size == 126 else 8), "big")
    mask = connection.read(4)
    payload = connection.read(size)
    repeated = mask * (size // 4 + 1)
    plain = int.from_bytes(payload, "big") ^ int.from_bytes(repeated[:size], "big")
    return bool(first & 0x80), first & 0x0F, plain.to_bytes(size, "big")


def _frame(kind: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        length = bytes([size])
    elif size < 65536:
        length = b"\x7e" + size.to_bytes(2, "big")
    else:
        length = b"\x7f" + size.to_bytes(8, "big")
    return bytes([0x80 | kind]) + length + payload
