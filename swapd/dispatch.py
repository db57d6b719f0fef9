"""Sends a request to its model and passes the answer on: to a process of ours, or to a peer.

Rule 1: a request that a process cannot have read whole before it died is given to the next one,
    once.  Any other is not: it may be what the process died of.
Rule 2: whoever is served can be cut and told why, by a peer as by a process of ours.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias

from swapd.config.peers import PeerModel
from swapd.config.selectors import Target
from swapd.cuttable import Cuttable
from swapd.errors import UpstreamFailed, UpstreamTooSlow, UpstreamUnreachable
from swapd.ids import Generation, ModelId
from swapd.leases import Lease, error_of
from swapd.policy import refusals
from swapd.supervisor import Supervisor
from swapd.upstream.exchange import Downstream, ProxiedRequest, relay
from swapd.upstream.handshake import Handshake
from swapd.upstream.http1 import Pool
from swapd.upstream.peers import Peers
from swapd.upstream.pools import Pools
from swapd.upstream.websocket import Downstream as Websocket
from swapd.upstream.websocket import tunnel

#: Seconds to wait for the word that a model's process has died, once its connection broke.  It
#: takes some ms, but more on a machine that is busy with a core dump of many GB.  Waiting costs
#: only a request that has failed anyway; not waiting costs its client the reason.
OBITUARY = 1.0

#: The same where nothing is known to have failed: an answer has ended that only the end of its
#: connection ends, which a dying process closes as well.  Servers of today say where answers end.
LAST_LOOK = 0.1

_log = logging.getLogger("swapd.requests")

_Exchange: TypeAlias = Callable[[Pool, Lease], Awaitable[None]]


class Dispatch:
    """The way from a request to its answer."""

    def __init__(self, supervisor: Supervisor, pools: Pools, peers: Peers) -> None:
        self._supervisor = supervisor
        self._pools = pools
        self._peers = peers
        self._at_peers: set[Cuttable] = set()

    async def send(
        self,
        request: ProxiedRequest,
        target: Target,
        downstream: Downstream,
        around: Cuttable,
        *,
        admitted: Callable[[], None],
        waits_again: Callable[[], None] = lambda: None,
    ) -> None:
        """Send ``request`` to ``target`` as soon as that is ready, and pass the answer on.

        Args:
          request: What is sent.
          target: The model that serves it.
          downstream: Where the answer goes.
          around: The block that ends with this; it is cut when the model is unloaded meanwhile.
          admitted: Called when the wait for the model is over; again if there is another wait.
          waits_again: Called when another wait begins (rule 1).

        Raises:
          ModelUnavailable: The model could not be started, or was unloaded.
          TooManyRequests: The model is at its limit.
          UpstreamTooSlow: The server did not begin to answer in time.
          UpstreamFailed: The server broke the exchange; says what its process died of.
        """
        if isinstance(target, PeerModel):
            admitted()
            sending = partial(self._peers.relay, target.peer, request, downstream)
            await self._ask_peer(target, sending, around)
        else:
            await self._ask(
                target,
                lambda pool, lease: relay(request, pool, downstream, partial(_check, lease)),
                around,
                admitted,
                waits_again,
            )

    async def connect(
        self,
        handshake: Handshake,
        target: Target,
        websocket: Websocket,
        around: Cuttable,
        *,
        admitted: Callable[[], None],
        waits_again: Callable[[], None] = lambda: None,
    ) -> None:
        """Open a websocket to ``target`` as soon as that is ready, and serve it to its end.

        Args and what is raised are those of ``send``.
        """
        if isinstance(target, PeerModel):
            admitted()
            opening = partial(self._peers.tunnel, target.peer, handshake, websocket)
            await self._ask_peer(target, opening, around)
        else:
            await self._ask(
                target,
                lambda pool, _: tunnel(handshake, pool.origin, websocket),
                around,
                admitted,
                waits_again,
            )

    async def connect_beside(
        self, handshake: Handshake, model: ModelId, generation: Generation, websocket: Websocket
    ) -> None:
        """Open a websocket to a model that runs, and serve it to its end, without holding it.

        Raises:
          UpstreamFailed: The server broke off, maybe because it was stopped.
        """
        try:
            await tunnel(handshake, self._pools.of(model, generation).origin, websocket)
        except UpstreamFailed as error:
            raise UpstreamFailed(f"{model}: {error}") from error

    async def _ask(
        self,
        model: ModelId,
        exchange: _Exchange,
        around: Cuttable,
        admitted: Callable[[], None],
        waits_again: Callable[[], None],
    ) -> None:
        try:
            await self._ask_process(model, exchange, around, admitted)
        except UpstreamUnreachable as error:
            reason = str(error).partition("\n")[0]
            _log.warning("%s; the request is given to the next process", reason)
            waits_again()
            await self._ask_process(model, exchange, around, admitted)

    async def _ask_process(
        self, model: ModelId, exchange: _Exchange, around: Cuttable, admitted: Callable[[], None]
    ) -> None:
        async with self._supervisor.lease(model, around) as lease:
            admitted()
            try:
                await exchange(self._pools.of(lease.model, lease.generation), lease)
            except UpstreamFailed as error:
                raise await _explained(error, lease) from error

    async def _ask_peer(
        self, model: PeerModel, exchange: Callable[[], Awaitable[None]], around: Cuttable
    ) -> None:
        self._at_peers.add(around)
        try:
            await exchange()
        except UpstreamFailed as error:
            raise type(error)(f"peer {model.peer}: {error}") from error
        finally:
            self._at_peers.discard(around)

    def end_requests(self) -> None:
        """Cut what peers serve, with the word that swapd is ending."""
        for around in self._at_peers:
            around.cut(error_of(refusals.shutting_down()))


async def _check(lease: Lease) -> None:
    """Raise ``UpstreamFailed`` if the process has died, so that its answer may not be whole."""
    if await lease.cause_of_death(LAST_LOOK):
        raise UpstreamFailed("the answer, which has no length, may not be whole")


async def _explained(error: UpstreamFailed, lease: Lease) -> UpstreamFailed:
    """Return ``error`` with what the process itself died of, if it did.

    Only if it did, and cannot have read all, is that an ``UpstreamUnreachable``.
    """
    cause = await lease.cause_of_death(OBITUARY)
    what = f"{lease.model}: {error}"
    if not cause:
        return UpstreamTooSlow(what) if isinstance(error, UpstreamTooSlow) else UpstreamFailed(what)
    kind = UpstreamUnreachable if isinstance(error, UpstreamUnreachable) else UpstreamFailed
    return kind(f"{what}; its process {cause}")
