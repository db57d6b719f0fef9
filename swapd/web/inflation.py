"""Undoes the compression of a client's websocket messages within bounds.

Rule 1: a few bytes can become many: no more is made of them than a message may have.
"""

from __future__ import annotations

import zlib

from wsproto.connection import Connection
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol


class BoundedDeflate(PerMessageDeflate):
    """The compression of wsproto, as it is agreed on; made of one by ``bounded``."""

    #: What a message may become, and what the present one has become.
    _most = 0
    _inflated = 0

    def bound(self, most: int) -> None:
        """Make no more than ``most`` bytes of one message."""
        self._most = most

    def frame_inbound_payload_data(
        self, proto: FrameDecoder | FrameProtocol, data: bytes
    ) -> bytes | CloseReason:
        """Return what ``data`` comes to (rule 1)."""
        if not self._inbound_compressed or not self._inbound_is_compressible:
            return data
        assert self._decompressor is not None
        left = self._most - self._inflated
        try:
            plain = self._decompressor.decompress(data, left + 1)
        except zlib.error:
            return CloseReason.INVALID_FRAME_PAYLOAD_DATA
        if len(plain) > left:
            self._decompressor = None
            return CloseReason.MESSAGE_TOO_BIG
        self._inflated += len(plain)
        return plain

    def frame_inbound_complete(
        self, proto: FrameDecoder | FrameProtocol, fin: bool
    ) -> bytes | CloseReason | None:
        """Return what is left of a frame, which may be the last one of its message."""
        if fin and self._inbound_is_compressible:
            self._inflated = 0
        return super().frame_inbound_complete(proto, fin)


def bounded(connection: Connection, most: int) -> bool:
    """Have messages on ``connection`` become ``most`` bytes; tell whether they are compressed."""
    found = [each for each in connection._proto.extensions if isinstance(each, PerMessageDeflate)]
    for extension in found:
        extension.__class__ = BoundedDeflate
        assert isinstance(extension, BoundedDeflate)
        extension.bound(most)
    return bool(found)
