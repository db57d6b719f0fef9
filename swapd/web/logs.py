"""The logs: what is kept of all of them, and each as it grows.

The streams go past Quart, as the requests of models do, so that they end when their client leaves,
at whatever moment, and wait where it does not read.

Rule 1: the head is sent at once, whether or not there is anything to tell.
Rule 2: a log is called as its model is, whatever the active profile makes of the name for requests.
Rule 3: a client that does not read holds up nobody, and not the end of swapd either.
"""

from __future__ import annotations

from urllib.parse import parse_qs, unquote

import trio
from hypercorn.typing import HTTPScope
from quart import Blueprint, redirect, request
from quart.typing import ResponseReturnValue

from swapd.config.peers import PeerModel
from swapd.errors import MalformedRequest, UnknownModel
from swapd.telemetry.log_stream import LogStream
from swapd.web.answers import refuse_method, telling
from swapd.web.client import Client
from swapd.web.connection import Relay
from swapd.web.services import Services

_STREAM = b"/logs/stream"

_PLAIN = "text/plain; charset=utf-8"

_HEAD = (
    (b"content-type", _PLAIN.encode()),
    (b"cache-control", b"no-cache"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-accel-buffering", b"no"),
)


def logs_views(services: Services) -> Blueprint:
    """Return the view of what is kept of all logs."""
    views = Blueprint("logs", __name__)

    @views.get("/logs")
    async def history() -> ResponseReturnValue:
        if "text/html" in request.headers.get("accept", "").lower():
            return redirect("/ui/")
        headers = {"content-type": _PLAIN, "x-content-type-options": "nosniff"}
        return services.logs.everything.history(), 200, headers

    return views


class LogStreams:
    """Serves logs as they grow: all in one, swapd's own, those of the models, or one model's."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def route_of(self, scope: HTTPScope) -> Relay | None:
        """Return who serves this request, or None if it is for something else."""
        path = scope["raw_path"]
        return self.serve if path == _STREAM or path.startswith(_STREAM + b"/") else None

    async def serve(self, scope: HTTPScope, client: Client) -> None:
        """Tell what was logged, then what is, until the client leaves or swapd ends."""
        if scope["method"] not in {"GET", "HEAD"}:
            await refuse_method(client, ("GET", "HEAD"))
            return
        async with telling(scope, client):
            log = self._log(scope["raw_path"][len(_STREAM) + 1 :])
            wishes = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
            history = "no-history" not in wishes
            if scope["method"] == "HEAD":
                await client.begin(200, _HEAD)
            elif "no-follow" in wishes:
                await client.begin(200, _HEAD)
                await client.write(log.history() if history else b"")
            else:
                await self._follow(log, client, history=history)
            await client.finish()

    async def _follow(self, log: LogStream, client: Client, *, history: bool) -> None:
        client.is_endless = True
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._hang_up_in_the_end, client)
            with log.subscribe(history=history) as pieces:
                await client.begin(200, _HEAD)  # rule 1; what is logged from here on is not missed
                async for piece in pieces:
                    await client.write(piece)
            nursery.cancel_scope.cancel(reason="the log was closed")

    async def _hang_up_in_the_end(self, client: Client) -> None:
        await self._services.closing.wait()
        client.hang_up_soon()  # rule 3

    def _log(self, path: bytes) -> LogStream:
        """Return the log that is called ``path``, or with what it begins if that is a model.

        Raises:
          MalformedRequest: There is none.
        """
        logs = self._services.logs
        own = {"": logs.everything, "proxy": logs.proxy, "upstream": logs.upstream}
        name = unquote(path.decode("latin-1")).strip("/")
        if log := own.get(name):
            return log
        try:
            place = self._services.place(path, pinned=False)
        except UnknownModel as error:
            why = f"{error}{self._services.profiles.aside(name)}"
            message = f"invalid logger: {why}; besides models, proxy and upstream have a log"
            raise MalformedRequest(message) from None
        if isinstance(place.target, PeerModel):
            raise MalformedRequest(f"{place.name} is a peer's: its log is not here")
        return logs.of(place.target)
