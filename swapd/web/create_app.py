"""Puts the web floor together: one Quart app over the floors below."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial

from hypercorn.typing import HTTPScope, WebsocketScope
from quart import Response, has_request_context, request, websocket
from quart.json.provider import DefaultJSONProvider
from quart.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge
from werkzeug.routing import WebsocketMismatch

from swapd.errors import BodyTooLarge, RequestError
from swapd.web import access_log, limits
from swapd.web.activity import activity_views
from swapd.web.admin import admin_views
from swapd.web.connection import Relay, RouteOf, Web
from swapd.web.entry import Entry
from swapd.web.errors import (
    BUG,
    MALFORMED,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    Kind,
    Problem,
    no_such_route,
    problem_of,
)
from swapd.web.events import Events
from swapd.web.explain import explain_views
from swapd.web.inference import Inference
from swapd.web.inflight import inflight_views
from swapd.web.lifecycle import lifecycle_views
from swapd.web.logs import LogStreams, logs_views
from swapd.web.manner import Manner
from swapd.web.metrics import metrics_views
from swapd.web.models import models_views
from swapd.web.pages import pages_views
from swapd.web.passthrough import Passthrough
from swapd.web.performance import performance_views
from swapd.web.profiles import profiles_views
from swapd.web.request_log import ID_HEADER, asked, request_id, settle
from swapd.web.routes import meant_by
from swapd.web.services import Services
from swapd.web.target import cleaned, has_false_slash
from swapd.web.websockets import Websockets

_log = logging.getLogger("swapd.http")


class _Json(DefaultJSONProvider):
    """JSON whose members stay in the order that the views give them."""

    sort_keys = False


def create_app(services: Services, say: access_log.Say = access_log.say) -> Web:
    """Return the app that answers every request to swapd, and calls ``say`` of each."""
    passthrough = Passthrough(services)
    routes = (
        passthrough.route_of,
        Inference(services).route_of,
        Events(services).route_of,
        LogStreams(services).route_of,
    )
    entry = Entry(services, partial(_first_of, routes))
    app = Web(
        "swapd",
        route_of=entry.route_of,
        mark=entry.mark,
        max_body_bytes=lambda: services.config.server.max_body,
        max_view_bytes=limits.VIEW_BODY_BYTES,
        websockets=Websockets(services, passthrough),
        say=say,
    )
    app.json = _Json(app)
    app.url_map.merge_slashes = False  # what is left of them belongs to a name (web/target.py)
    _guard_websockets(app, services)
    _show_errors(app)
    for views in (
        pages_views,
        models_views,
        admin_views,
        activity_views,
        profiles_views,
        lifecycle_views,
        inflight_views,
        logs_views,
        explain_views,
        performance_views,
        metrics_views,
    ):
        app.register_blueprint(views(services))
    return app


def _first_of(routes: Iterable[RouteOf], scope: HTTPScope) -> Relay | None:
    return next(filter(None, (route_of(scope) for route_of in routes)), None)


def _guard_websockets(app: Web, services: Services) -> None:
    @app.before_websocket
    async def check() -> ResponseReturnValue | None:
        scope = websocket.scope
        refusal = services.guard.refusal(scope, is_relayed=False)
        path = scope["raw_path"]
        if refusal is None and (cleaned(path) or has_false_slash(path)):
            refusal = no_such_route(asked(scope))  # Quart would find one that it looks like
        return None if refusal is None else _told(refusal)


def _show_errors(app: Web) -> None:
    @app.errorhandler(RequestError)
    async def show_request_error(error: RequestError) -> Response:
        return _told(problem_of(error))

    @app.errorhandler(RequestEntityTooLarge)
    async def show_size(_: RequestEntityTooLarge) -> Response:
        what = f"{asked(_scope())}: the body may have {limits.VIEW_BODY_BYTES} bytes at most"
        return _told(problem_of(BodyTooLarge(what)))

    @app.errorhandler(HTTPException)
    async def show_http_error(error: HTTPException) -> Response:
        what = asked(_scope())
        message = f"{what}: {_reason_of_http(error)}{_hint(error)}"
        methods = error.valid_methods if isinstance(error, MethodNotAllowed) else None
        headers = ((b"allow", ", ".join(sorted(methods)).encode()),) if methods else ()
        return _told(Problem(message, _kind_of_http(error), headers))

    @app.errorhandler(Exception)
    async def show_bug(error: Exception) -> Response:
        _log.error("request %s failed for a bug", request_id(_scope()), exc_info=error)
        return _told(BUG)


def _reason_of_http(error: HTTPException) -> str:
    if isinstance(error, WebsocketMismatch):
        return "this is a websocket" if has_request_context() else "this is no websocket"
    return (error.name or "error").lower()


def _hint(error: HTTPException) -> str:
    route = meant_by(_scope()["path"]) if error.code == 404 else None
    return f"; did you mean {route}? The client's base URL may be wrong" if route else ""


def _kind_of_http(error: HTTPException) -> Kind:
    status = error.code or 500
    match status:
        case 400:
            return MALFORMED
        case 404:
            return NOT_FOUND
        case 405:
            return METHOD_NOT_ALLOWED
        case _ if status < 500:
            return Kind(status, "invalid_request_error", "invalid_request")
        case _:
            return Kind(status, "server_error", "internal_error")


def _scope() -> HTTPScope | WebsocketScope:
    """Return the scope of the request or handshake that is being served."""
    return request.scope if has_request_context() else websocket.scope


def _told(problem: Problem) -> Response:
    """Return ``problem`` as the answer to the request or handshake that is being served."""
    scope = _scope()
    manner = Manner.of(scope)
    settle(scope, problem.kind.status, problem.message)
    body, form = manner.body(problem), manner.form.value
    response = Response(body, problem.kind.status, content_type=form)
    for name, value in (*problem.headers, (ID_HEADER, request_id(scope).encode())):
        response.headers.add(name.decode(), value.decode())
    return response
