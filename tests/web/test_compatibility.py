"""Another Hypercorn than the one that we know."""

from __future__ import annotations

import h11
import pytest
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.protocol.ws_stream import WSStream
from hypercorn.trio.tcp_server import TCPServer

from swapd.errors import CannotStart
from swapd.web.compatibility import check


def test_a_hypercorn_that_is_not_as_we_know_it_is_refused() -> None:
    class Renamed:
        async def run(self) -> None: ...

    check(TCPServer, H11Protocol, h11.Connection, WSStream)
    with pytest.raises(CannotStart, match=r"Renamed\.protocol_send.*hypercorn>=0\.18,<0\.19"):
        check(Renamed, H11Protocol, h11.Connection, WSStream)
