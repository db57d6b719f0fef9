"""Websockets below a model: from a client through swapd to the model's server, and back.

Rule 1: a websocket is a request like any other: it loads its model and holds it while it lasts.
    Where ``compat.ignoreWebsockets`` says so it does neither, and needs a model that is ready.
Rule 2: what fails before it is open is an answer to its handshake, with a status.  After that it
    is a code to close with, and a reason.
Rule 3: none holds up swapd's end: they have no end of their own.
"""

from __future__ import annotations

import logging

import trio
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, WebsocketScope

from swapd.config.peers import PeerModel
from swapd.errors import ModelUnavailable, NotLoaded, RequestCancelled, RequestError, UpstreamFailed
from swapd.ids import ModelId
from swapd.policy.life import ModelState
from swapd.policy.naming import full_name
from swapd.upstream.handshake import Handshake
from swapd.upstream.websocket import Farewell
from swapd.web.client_websocket import ClientWebsocket
from swapd.web.errors import BUG, Problem, kind_of, problem_of
from swapd.web.manner import Manner
from swapd.web.passthrough import Passthrough, folder_of, path_of, pattern_of, target_of
from swapd.web.request_log import (
    CLIENT_LEFT,
    ID_HEADER,
    concerns,
    model_of,
    outcome,
    request_id,
    settle,
    settle_departure,
)
from swapd.web.services import Services

#: Codes of RFC 6455, section 7.4, and of IANA's registry.
GOING_AWAY, UNWANTED, INTERNAL_ERROR, SERVICE_RESTART = 1001, 1008, 1011, 1012

_log = logging.getLogger("swapd.http")


class Websockets:
    """Serves the websockets below models."""

    def __init__(self, services: Services, passthrough: Passthrough) -> None:
        self._services = services
        self._passthrough = passthrough

    def claims(self, scope: WebsocketScope) -> bool:
        """Tell whether a websocket is below a model."""
        return self._passthrough.route_of(scope) is not None

    async def serve(
        self, scope: WebsocketScope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """Serve one websocket to its end, or tell its client what prevented that."""
        client = ClientWebsocket(receive, send)
        refusal = self._services.guard.refusal(scope, is_relayed=True)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.watch, nursery.cancel_scope)
                problem = refusal or await self._problem_of(scope, client)
                if problem is not None:
                    await self._tell(problem, client, scope)
                nursery.cancel_scope.cancel(reason="over")
            if client.left_early:
                settle_departure(scope)
        finally:
            if refusal is None:
                self._count(scope, client)

    def _count(self, scope: WebsocketScope, client: ClientWebsocket) -> None:
        """Count one that was let in, unless it was only led to another path."""
        model, ended = model_of(scope), outcome(scope)
        if model is not None or ended is not None:
            status = ended.status if ended is not None else client.status or CLIENT_LEFT
            self._services.accounts.count(model or "", pattern_of(scope), status)

    async def _problem_of(self, scope: WebsocketScope, client: ClientWebsocket) -> Problem | None:
        """Serve ``client``; return what has gone wrong, if anything has."""
        try:
            await self._until_the_end(scope, client)
        except RequestError as error:
            return problem_of(error)
        except Exception as error:  # noqa: BLE001  whatever it is, its client is told of it
            _log.error("websocket %s failed for a bug", request_id(scope), exc_info=error)
            return BUG
        return None

    async def _until_the_end(self, scope: WebsocketScope, client: ClientWebsocket) -> None:
        """Serve ``client`` until it or its model leaves, or swapd ends (rule 3)."""
        async with trio.open_nursery() as nursery:
            session = trio.CancelScope()
            nursery.start_soon(self._end_with_swapd, session)
            error: RequestError | None = None
            with session:
                try:
                    await self._connect(scope, client)
                except RequestError as raised:
                    error = raised
            nursery.cancel_scope.cancel(reason="over")
        if session.cancelled_caught:
            raise ModelUnavailable("swapd is shutting down", retry_after=1)
        if error is not None:
            raise error

    async def _end_with_swapd(self, session: trio.CancelScope) -> None:
        await self._services.closing.wait()
        session.cancel(reason="shutting down")

    async def _connect(self, scope: WebsocketScope, client: ClientWebsocket) -> None:
        services = self._services
        place = self._passthrough.place(scope)
        if not place.rest:
            status, location = folder_of(place, scope)
            await client.refuse(status, [(b"location", location)], b"")
            return
        model = full_name(place.target)
        concerns(scope, model)
        address = scope["client"][0] if scope["client"] else None
        handshake = Handshake(
            target=target_of(place, scope),
            headers=services.keys.without_keys(list(scope["headers"])),
            subprotocols=list(scope["subprotocols"]),
            client=address,
        )
        if not isinstance(place.target, PeerModel) and self._is_ignored(place.target):
            await self._connect_beside(place.target, handshake, client)
            return
        self._passthrough.check_loaded(place, scope)
        tracking = services.requests.track(
            model,
            method="GET",
            path=path_of(place),
            client=address,
            headers=list(scope["headers"]),
            is_websocket=True,
        )
        with tracking as tracked, tracked.cancellable() as around:
            await services.dispatch.connect(
                handshake,
                place.target,
                client,
                around,
                admitted=tracked.admitted,
                waits_again=tracked.waits_again,
            )

    def _is_ignored(self, model: ModelId) -> bool:
        return self._services.config.models[model].ignore_websockets

    async def _connect_beside(
        self, model: ModelId, handshake: Handshake, client: ClientWebsocket
    ) -> None:
        """Serve a websocket that does not count (rule 1)."""
        services = self._services
        latest = services.lifecycle.latest(model)
        if latest is None or latest.transition.new is not ModelState.READY:
            raise NotLoaded(
                f"{model} is not loaded, and websockets do not load it: compat.ignoreWebsockets"
            )
        try:
            generation = latest.transition.generation
            await services.dispatch.connect_beside(handshake, model, generation, client)
        except UpstreamFailed as error:
            if services.state(model) is ModelState.READY:
                raise
            raise ModelUnavailable(f"{model} was stopped", retry_after=1) from error

    async def _tell(self, problem: Problem, client: ClientWebsocket, scope: WebsocketScope) -> None:
        """Tell ``client`` of ``problem``, in whatever form it can still be told (rule 2)."""
        settle(scope, problem.kind.status, problem.message)
        if client.opened:
            await client.close(Farewell(self._code_of(problem), problem.message))
        elif not client.answered:
            manner, named = Manner.of(scope), (ID_HEADER, request_id(scope).encode())
            headers = [(b"content-type", manner.form.value.encode()), *problem.headers, named]
            await client.refuse(problem.kind.status, headers, manner.body(problem))

    def _code_of(self, problem: Problem) -> int:
        if self._services.closing.is_set():
            return GOING_AWAY
        if problem.kind is kind_of(RequestCancelled()):
            return UNWANTED
        is_restart = problem.kind is kind_of(ModelUnavailable("", retry_after=0))
        return SERVICE_RESTART if is_restart else INTERNAL_ERROR
