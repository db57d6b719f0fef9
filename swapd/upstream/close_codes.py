"""Has wsproto know all codes by which a websocket may be closed, on either side of swapd.

It takes 1014 for a breach of the rules, which IANA's registry has beside RFC 6455: a gateway tells
by it that who is behind it gave a bad answer.
"""

from __future__ import annotations

from wsproto.frame_protocol import CloseReason, Frame, FrameProtocol

#: What the library does not know.
BAD_GATEWAY = 1014

_UNKNOWN = BAD_GATEWAY.to_bytes(2, "big")
_KNOWN = CloseReason.TRY_AGAIN_LATER.to_bytes(2, "big")

_process_close = FrameProtocol._process_close


def _process_any_close(self: FrameProtocol, frame: Frame) -> Frame:
    """Read ``frame`` as the library does, which sees a code that it knows."""
    payload = frame.payload
    assert isinstance(payload, bytes | bytearray)
    if payload[:2] != _UNKNOWN:
        return _process_close(self, frame)
    read = _process_close(self, frame._replace(payload=_KNOWN + payload[2:]))
    assert isinstance(read.payload, tuple)
    return read._replace(payload=(BAD_GATEWAY, read.payload[1]))


def know_all_close_codes() -> None:
    """Have every websocket of this process know them.  Doing so again does nothing."""
    FrameProtocol._process_close = _process_any_close  # type: ignore[method-assign]
