"""Model routes: from a client's request to its model and back.

They do not pass through Quart: its connection class hands them here (web/connection.py).  The
stages, in this order: the key, the name that the request asks for, what that means (profile,
selector, model), counting it, changing it (filters, names), sending it.
"""

from __future__ import annotations

import logging

from hypercorn.typing import HTTPScope

from swapd.config.peers import PeerModel
from swapd.config.schema import Config
from swapd.policy.naming import full_name
from swapd.policy.selectors import Destination
from swapd.upstream.bodies.changes import Changes
from swapd.upstream.bodies.request import ModelRequest, read_request
from swapd.upstream.exchange import ProxiedRequest
from swapd.web.answers import refuse_method, tell_of
from swapd.web.client import Client
from swapd.web.connection import Relay
from swapd.web.loading import Loading
from swapd.web.metering import Meter, metered
from swapd.web.request_log import concerns
from swapd.web.routes import methods_of, upstream_path
from swapd.web.services import Services
from swapd.web.talking import Waits

_log = logging.getLogger("swapd.requests")


class Inference:
    """Relays the requests of the model routes."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._loading = Loading(services)

    def route_of(self, scope: HTTPScope) -> Relay | None:
        """Return who relays this request, or None if it is no model route."""
        return self.relay if methods_of(scope["path"]) else None

    async def relay(self, scope: HTTPScope, client: Client) -> None:
        """Answer one request by its model, or by what prevented that."""
        if scope["method"] not in methods_of(scope["path"]):
            await refuse_method(client, methods_of(scope["path"]))
            return
        try:
            with metered(self._services, scope, route=scope["path"]) as meter:
                await self._ask_model(scope, client, meter)
        except Exception as error:  # noqa: BLE001  whatever it is, its client is told of it
            await tell_of(error, scope, client)

    async def _ask_model(self, scope: HTTPScope, client: Client, meter: Meter) -> None:
        services = self._services
        asked = await self._read(scope, client)
        found = services.find(asked.model)
        model = full_name(found.target)
        concerns(scope, model)
        with services.requests.track(
            model,
            method=scope["method"],
            path=scope["path"],
            client=_address(scope),
            headers=list(scope["headers"]),
        ) as tracked:
            meter.track(tracked, found.target, found.selector)
            _log_choice(found)
            request = _proxied(scope, await asked.changed(changes_for(found, services.config)))
            waits = Waits(meter.admitted, meter.waits_again)
            way = self._loading.way(scope, client, asked, found.target, waits)
            async with way as (downstream, (admitted, waits_again)):
                tapped = meter.tap(request, downstream)
                with tracked.cancellable(client.hang_up_soon, client.blocks) as around:
                    await services.dispatch.send(
                        request,
                        found.target,
                        tapped,
                        around,
                        admitted=admitted,
                        waits_again=waits_again,
                    )

    async def _read(self, scope: HTTPScope, client: Client) -> ModelRequest:
        return await read_request(
            scope["method"],
            scope["query_string"],
            self._services.keys.without_keys(list(scope["headers"])),
            await client.body(),
            max_bytes=self._services.config.server.max_body,
        )


def changes_for(found: Destination, config: Config) -> Changes:
    """Return what becomes of a request that is for ``found``."""
    match found.target:
        case PeerModel(peer, model):
            return Changes(model, "", config.peers[peer].filters, found.name)
        case model:
            settings = config.models[model]
            return Changes(found.name, settings.use_model_name, settings.filters, found.name)


def _proxied(scope: HTTPScope, request: ModelRequest) -> ProxiedRequest:
    path = upstream_path(scope["path"], scope["raw_path"])
    return ProxiedRequest(
        method=scope["method"].encode(),
        target=path + (b"?" + request.query if request.query else b""),
        headers=request.headers,
        body=request.body,
        client=_address(scope),
    )


def _address(scope: HTTPScope) -> str | None:
    return scope["client"][0] if scope["client"] else None


def _log_choice(found: Destination) -> None:
    if found.selector is not None:
        _log.debug("selector %s: %s", found.selector, found.name)
