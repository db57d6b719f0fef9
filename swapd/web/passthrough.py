"""What lies below ``/upstream/MODEL`` and ``/comfyui``: a model's own server, as it is.

Rule 1: what follows the model is sent on byte for byte, by whatever method but CONNECT, with its
    query and its body.
Rule 2: some requests do not load a model: what a page loads by itself, a stale page too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote, unquote

from hypercorn.typing import HTTPScope, WebsocketScope

from swapd.config.models import COMFYUI
from swapd.config.peers import PeerModel
from swapd.errors import NotLoaded, UnknownModel
from swapd.ids import ModelId
from swapd.policy.life import ModelState
from swapd.policy.naming import full_name
from swapd.policy.paths import Place
from swapd.upstream.exchange import ProxiedRequest
from swapd.web.answers import redirect, refuse_method, telling
from swapd.web.client import Client
from swapd.web.connection import Relay
from swapd.web.metering import Meter, metered
from swapd.web.request_log import concerns
from swapd.web.services import Services
from swapd.web.target import BELOW_COMFYUI, BELOW_UPSTREAM, with_query

_COMFYUI = BELOW_COMFYUI.removesuffix(b"/")

#: What is said to be allowed where CONNECT is not: it asks for a tunnel, to no path.
_ALLOWED = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


class Passthrough:
    """Relays the requests below a model."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def route_of(self, scope: HTTPScope | WebsocketScope) -> Relay | None:
        """Return who relays this request, or None if it is not below a model."""
        path = scope["raw_path"]
        is_ours = path.startswith((BELOW_UPSTREAM, BELOW_COMFYUI)) or path == _COMFYUI
        return self.relay if is_ours else None

    async def relay(self, scope: HTTPScope, client: Client) -> None:
        """Answer one request by its model, or by what prevented that."""
        if scope["method"] == "CONNECT":
            await refuse_method(client, _ALLOWED)
            return
        async with telling(scope, client):
            with metered(self._services, scope, route=pattern_of(scope)) as meter:
                place = self.place(scope)
                if place.rest:
                    meter.asks_below(path_of(place))
                    await self._ask(place, scope, client, meter)
                else:
                    await redirect(client, *folder_of(place, scope))

    def place(self, scope: HTTPScope | WebsocketScope) -> Place:
        """Return for which model a request below one is, and what it wants of it.

        Raises:
          NoModelNamed: The path ends before it names a model.
          UnknownModel: There is no such model.
        """
        path = scope["raw_path"]
        if path.startswith(BELOW_UPSTREAM):
            return self._services.place(path.removeprefix(BELOW_UPSTREAM))
        if COMFYUI not in self._services.config.models:
            raise UnknownModel(
                f"{_COMFYUI.decode()} is the model {COMFYUI}, which is not configured"
            )
        return Place(COMFYUI, ModelId(COMFYUI), path.removeprefix(_COMFYUI))

    async def _ask(self, place: Place, scope: HTTPScope, client: Client, meter: Meter) -> None:
        services = self._services
        model = full_name(place.target)
        concerns(scope, model)
        body = await client.body()
        self.check_loaded(place, scope)
        address = scope["client"][0] if scope["client"] else None
        with services.requests.track(
            model,
            method=scope["method"],
            path=path_of(place),
            client=address,
            headers=list(scope["headers"]),
        ) as tracked:
            request = ProxiedRequest(
                method=scope["method"].encode(),
                target=target_of(place, scope),
                headers=services.keys.without_keys(list(scope["headers"])),
                body=body,
                client=address,
            )
            meter.track(tracked, place.target)
            tapped = meter.tap(request, client)
            with tracked.cancellable(client.hang_up_soon, client.blocks) as around:
                await services.dispatch.send(
                    request,
                    place.target,
                    tapped,
                    around,
                    admitted=meter.admitted,
                    waits_again=meter.waits_again,
                )

    def check_loaded(self, place: Place, scope: HTTPScope | WebsocketScope) -> None:
        """Refuse what would load a model and should not (rule 2).

        Raises:
          NotLoaded: It is such a request.
        """
        model = place.target
        if isinstance(model, PeerModel) or self._services.state(model) is ModelState.READY:
            return
        if scope["raw_path"].startswith(BELOW_COMFYUI):
            if place.rest != b"/":
                raise NotLoaded(
                    f"{model} is not loaded; only {BELOW_COMFYUI.decode()} can start it"
                )
        elif _is_ignored(place, self._services.config.ignore_paths):
            raise NotLoaded(
                f"{model} is not loaded, and {path_of(place)} does not load"
                " it: it matches upstream.ignorePaths"
            )


def pattern_of(scope: HTTPScope | WebsocketScope) -> str:
    """Return what the path of a request below a model matches, as ``Finished.route``."""
    is_upstream = scope["raw_path"].startswith(BELOW_UPSTREAM)
    return "/upstream/{model}" if is_upstream else _COMFYUI.decode()


def path_of(place: Place) -> str:
    """Return what a request asks of the model's server, for people."""
    return unquote(place.rest.decode("latin-1"))


def target_of(place: Place, scope: HTTPScope | WebsocketScope) -> bytes:
    """Return what is asked of the model's server."""
    return with_query(place.rest, scope)


def folder_of(place: Place, scope: HTTPScope | WebsocketScope) -> tuple[int, bytes]:
    """Return the status and the location that lead from a model to what lies below it."""
    permanently = 301 if _is_read(scope) else 308
    is_comfyui = scope["raw_path"] == _COMFYUI
    named = BELOW_UPSTREAM + quote(place.name, safe="/!$&'()*+,;=:@").encode()
    return permanently, with_query((_COMFYUI if is_comfyui else named) + b"/", scope)


def _is_ignored(place: Place, patterns: Iterable[re.Pattern[str]]) -> bool:
    return any(pattern.search(path_of(place)) for pattern in patterns)


def _is_read(scope: HTTPScope | WebsocketScope) -> bool:
    return scope["type"] == "websocket" or scope["method"] in {"GET", "HEAD"}
