"""Parts large websocket messages into frames: to mask or to compress one takes its time.

Rule 1: between two frames others have their turn, among them the pings of the same websocket: who
    takes long over a large message can still say that it is there.
"""

from __future__ import annotations

from collections.abc import Iterator

from trio_websocket import ConnectionClosed, WebSocketConnection
from wsproto.events import BytesMessage, TextMessage

#: Bytes, or characters, of one frame; compressing so much takes some milliseconds.
PIECE = 64 * 1024


def pieces(message: str | bytes) -> Iterator[TextMessage | BytesMessage]:
    """Yield ``message`` frame by frame; an empty one is one, too."""
    last = max(len(message) - 1, 0) // PIECE * PIECE
    for start in range(0, last + 1, PIECE):
        piece = message[start : start + PIECE]
        if isinstance(piece, str):
            yield TextMessage(data=piece, message_finished=start == last)
        else:
            yield BytesMessage(data=piece, message_finished=start == last)


async def send_message(connection: WebSocketConnection, message: str | bytes) -> None:
    """Send ``message``; waits for as long as the other side does not read.

    Raises:
      ConnectionClosed: One side has left.
    """
    for piece in pieces(message):
        if connection.closed:
            raise ConnectionClosed(connection.closed)
        await connection._send(piece)
