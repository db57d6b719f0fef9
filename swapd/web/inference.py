"""Model routes: from a client's request to its model and back.

They do not pass through Quart: its connection class hands them here (web/connection.py).
"""

from __future__ import annotations

import logging

from hypercorn.typing import HTTPScope

from swapd.errors import RequestError, UpstreamFailed
from swapd.leases import Lease
from swapd.upstream.bodies.request import Changes, ModelRequest, read_request
from swapd.upstream.exchange import ProxiedRequest, relay
from swapd.web.answers import show, show_bug, tell
from swapd.web.connection import Client, Relay
from swapd.web.errors import METHOD_NOT_ALLOWED, UNAUTHORIZED, Problem
from swapd.web.manner import Manner
from swapd.web.services import Services

#: Routes whose JSON body names the model.
POST_ROUTES = frozenset(
    {
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/responses",
        "/v1/messages",
        "/v1/messages/count_tokens",
        "/v1/embeddings",
        "/v1/rerank",
        "/v1/reranking",
        "/rerank",
        "/reranking",
        "/completion",
        "/infill",
        "/v1/audio/speech",
        "/v1/audio/voices",
        "/v1/images/generations",
        "/sdapi/v1/txt2img",
        "/sdapi/v1/img2img",
    }
)

#: Routes whose query names the model.
GET_ROUTES = frozenset({"/v1/audio/voices", "/sdapi/v1/loras", "/props"})


def methods_of(path: str) -> list[str]:
    """Return the methods by which ``path`` reaches a model; none if it is no model route."""
    by_query = ["GET", "HEAD"] if path in GET_ROUTES else []
    return [*by_query, "POST"] if path in POST_ROUTES else by_query


#: Seconds to wait for the word that a model's process has died, once its connection broke.  It
#: takes some ms, but more on a machine that is busy with a core dump of many GB.  Waiting costs
#: only a request that has failed anyway; not waiting costs its client the reason.
OBITUARY = 1.0

_log = logging.getLogger("swapd.http")


class Inference:
    """Relays the requests of the model routes."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def route_of(self, scope: HTTPScope) -> Relay | None:
        """Return who relays this request, or None if it is no model route."""
        return self.relay if methods_of(scope["path"]) else None

    async def relay(self, scope: HTTPScope, client: Client) -> None:
        """Answer one request by its model, or by what prevented that."""
        if not self._services.keys.admit(scope["path"], list(scope["headers"])):
            await tell(UNAUTHORIZED, client, Manner.of(scope))
        elif scope["method"] not in methods_of(scope["path"]):
            await refuse_method(scope, client)
        else:
            await self._serve(scope, client)

    async def _serve(self, scope: HTTPScope, client: Client) -> None:
        try:
            await self._ask_model(scope, client)
        except RequestError as error:
            await show(error, client, Manner.of(scope))
        except Exception as error:  # noqa: BLE001  whatever it is, its client is told of it
            _log.error("a request failed for a bug", exc_info=error)
            await show_bug(client, Manner.of(scope))

    async def _ask_model(self, scope: HTTPScope, client: Client) -> None:
        asked = await read_request(
            scope["method"],
            scope["query_string"],
            self._services.keys.without_keys(list(scope["headers"])),
            await client.body(),
            max_bytes=self._services.config.server.max_body,
        )
        model = self._services.names.resolve(asked.model)
        upstream_name = self._services.config.models[model].use_model_name
        asked = await asked.changed(Changes(model_in_body=upstream_name))
        async with self._services.supervisor.lease(model) as lease:
            await self._exchange(_proxied(scope, asked), lease, client)

    async def _exchange(self, request: ProxiedRequest, lease: Lease, client: Client) -> None:
        pool = self._services.pools.of(lease.model, lease.generation)
        try:
            await relay(request, pool, client)
        except UpstreamFailed as error:
            raise await _explained(error, lease) from error


async def _explained(error: UpstreamFailed, lease: Lease) -> UpstreamFailed:
    """Return ``error`` with what the process itself died of, if it did."""
    cause = await lease.cause_of_death(OBITUARY)
    what = f"{lease.model}: {error}"
    return UpstreamFailed(f"{what}; its process {cause}" if cause else what)


def _proxied(scope: HTTPScope, asked: ModelRequest) -> ProxiedRequest:
    came_from = scope["client"]
    return ProxiedRequest(
        method=scope["method"].encode(),
        target=scope["raw_path"] + (b"?" + asked.query if asked.query else b""),
        headers=asked.headers,
        body=asked.body,
        client=came_from[0] if came_from else None,
    )


async def refuse_method(scope: HTTPScope, client: Client) -> None:
    """Tell ``client`` by which methods this route can be asked."""
    message = f"{scope['method']} {scope['path']}: method not allowed"
    allow = (b"allow", ", ".join(methods_of(scope["path"])).encode())
    await tell(Problem(message, METHOD_NOT_ALLOWED, (allow,)), client, Manner.of(scope))
