"""The door of HTTP: every request passes here before any route, a model's or a view's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from hypercorn.typing import HTTPScope

from swapd.ids import Header
from swapd.web import cors
from swapd.web.answers import redirect, tell
from swapd.web.client import Client
from swapd.web.connection import Relay, RouteOf
from swapd.web.errors import Problem, no_such_route
from swapd.web.manner import Manner
from swapd.web.request_log import asked
from swapd.web.services import Services
from swapd.web.target import cleaned, has_false_slash, with_query


class Entry:
    """Lets requests in, or answers them itself."""

    def __init__(self, services: Services, route_of: RouteOf) -> None:
        """Lead on those whom ``route_of`` claims, and leave all others to the views."""
        self._services = services
        self._route_of = route_of

    def route_of(self, scope: HTTPScope) -> Relay | None:
        """Return who answers, or None if that is a view."""
        relay = self._route_of(scope)
        refusal = self._services.guard.refusal(scope, is_relayed=relay is not None)
        if refusal is not None:
            return partial(_refuse, refusal)
        if cors.is_answered_here(scope):
            return _say_what_is_allowed
        if path := cleaned(scope["raw_path"]):
            return partial(_lead_to, path)
        if has_false_slash(scope["raw_path"]):
            return partial(_refuse, no_such_route(asked(scope)))
        return relay

    def mark(self, scope: HTTPScope, headers: Sequence[Header]) -> Sequence[Header]:
        """Return the ``headers`` of an answer so that whoever may read it can."""
        origin = self._services.guard.readers(scope)
        return headers if origin is None else cors.readable(origin, headers)


async def _lead_to(path: bytes, scope: HTTPScope, client: Client) -> None:
    await redirect(client, 307, with_query(path, scope))


async def _refuse(problem: Problem, scope: HTTPScope, client: Client) -> None:
    await tell(problem, client, Manner.of(scope))


async def _say_what_is_allowed(scope: HTTPScope, client: Client) -> None:
    await client.begin(204, cors.preflight(scope["headers"]))
    await client.finish()
