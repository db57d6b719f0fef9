"""The way to peers: one pool of connections for each, and what their requests lack and bring.

Rule 1: a peer is a stranger: it is not told who swapd's clients are, nor which page had a browser
    ask.  Whether that page may was for us to say: to a peer any page is one of another site.
Rule 2: a peer's key takes the place of whatever the client brought.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from swapd.config.peers import Peer
from swapd.errors import UnknownModel
from swapd.ids import Header
from swapd.upstream.exchange import Downstream, ProxiedRequest, relay
from swapd.upstream.handshake import Handshake
from swapd.upstream.http1 import Pool
from swapd.upstream.websocket import Downstream as Websocket
from swapd.upstream.websocket import tunnel

#: The host is the peer's own; the others tell who has asked whom, as does all that begins so.
_NOT_FOR_PEERS = frozenset(
    {b"host", b"forwarded", b"x-real-ip", b"origin", b"referer", b"purpose", b"sec-purpose"}
)
_NOT_FOR_PEERS_EITHER = (b"x-forwarded-", b"sec-fetch-")

_KEYS = frozenset({b"authorization", b"x-api-key"})


class Peers:
    """Every peer, and the connections to it."""

    def __init__(self, peers: Mapping[str, Peer]) -> None:
        """Connect nowhere yet."""
        self._peers = dict(peers)
        self._pools: dict[str, Pool] = {}

    def reconfigure(self, peers: Mapping[str, Peer]) -> None:
        """Know ``peers`` from now on; the connections to those that changed are not used again."""
        for name in [name for name in self._pools if self._peers[name] != peers.get(name)]:
            self._pools.pop(name).close()
        self._peers = dict(peers)

    async def relay(self, peer: str, request: ProxiedRequest, downstream: Downstream) -> None:
        """Send ``request`` to ``peer`` and pass the answer on, piece by piece as it comes.

        Raises:
          UpstreamFailed: The peer cannot be reached, or broke the exchange.
          UnknownModel: The configuration has the peer no more.
        """
        known = self._known(peer)
        sent = request._replace(headers=_for_peer(request.headers, known.api_key), client=None)
        await relay(sent, self._pool(known), downstream)

    async def tunnel(self, peer: str, handshake: Handshake, websocket: Websocket) -> None:
        """Open a websocket to ``peer`` and pass messages on, both ways, until one side leaves.

        Raises:
          UpstreamFailed: The peer cannot be reached, or broke off.
          UnknownModel: The configuration has the peer no more.
        """
        known = self._known(peer)
        sent = replace(handshake, headers=_for_peer(handshake.headers, known.api_key), client=None)
        await tunnel(sent, self._pool(known).origin, websocket)

    def close(self) -> None:
        """Close every connection that is idle, and the others when they are done."""
        while self._pools:
            self._pools.popitem()[1].close()

    def _known(self, name: str) -> Peer:
        if (peer := self._peers.get(name)) is None:
            raise UnknownModel(f"the peer {name!r} was taken out of the configuration")
        return peer

    def _pool(self, peer: Peer) -> Pool:
        if peer.id not in self._pools:
            self._pools[peer.id] = Pool(peer.proxy, peer.timeouts)
        return self._pools[peer.id]


def _for_peer(headers: Sequence[Header], key: str) -> list[Header]:
    dropped = _NOT_FOR_PEERS | _KEYS if key else _NOT_FOR_PEERS
    kept = [
        (name, value)
        for name, value in headers
        if (lower := name.lower()) not in dropped and not lower.startswith(_NOT_FOR_PEERS_EITHER)
    ]
    if key:
        kept += [(b"authorization", b"Bearer " + key.encode()), (b"x-api-key", key.encode())]
    return kept
