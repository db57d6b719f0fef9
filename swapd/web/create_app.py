"""Puts the web floor together: one Quart app over the floors below."""

from __future__ import annotations

import logging

from quart import Response, has_request_context, request, websocket
from quart.json.provider import DefaultJSONProvider
from quart.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from swapd.errors import RequestError
from swapd.web.admin import admin_views
from swapd.web.connection import Web
from swapd.web.errors import (
    BUG,
    INTERNAL,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    UNAUTHORIZED,
    Kind,
    envelope,
    headers_of,
    kind_of,
)
from swapd.web.inference import Inference
from swapd.web.lifecycle import lifecycle_views
from swapd.web.models import models_views
from swapd.web.services import Services

_log = logging.getLogger("swapd.http")


class _Json(DefaultJSONProvider):
    """JSON whose members stay in the order that the views give them."""

    sort_keys = False


def create_app(services: Services) -> Web:
    """Return the app that answers every request to swapd."""
    app = Web("swapd", route_of=Inference(services).route_of)
    app.json = _Json(app)
    _check_keys(app, services)
    _show_errors(app)
    for views in (models_views, admin_views, lifecycle_views):
        app.register_blueprint(views(services))
    return app


def _check_keys(app: Web, services: Services) -> None:
    @app.before_request
    async def check_request() -> ResponseReturnValue | None:
        scope = request.scope
        if services.keys.admit(scope["path"], list(scope["headers"])):
            return None
        return _unauthorized()

    @app.before_websocket
    async def check_websocket() -> ResponseReturnValue | None:
        scope = websocket.scope
        if services.keys.admit(scope["path"], list(scope["headers"])):
            return None
        return _unauthorized()


def _unauthorized() -> Response:
    response = _problem("invalid or missing API key", UNAUTHORIZED)
    response.headers["www-authenticate"] = 'Basic realm="swapd"'
    return response


def _show_errors(app: Web) -> None:
    @app.errorhandler(RequestError)
    async def show_request_error(error: RequestError) -> Response:
        response = _problem(str(error), kind_of(error))
        for name, value in headers_of(error):
            response.headers[name.decode()] = value.decode()
        return response

    @app.errorhandler(HTTPException)
    async def show_http_error(error: HTTPException) -> Response:
        asked = f"{request.method} {request.path}" if has_request_context() else websocket.path
        message = f"{asked}: {(error.name or 'error').lower()}"
        response = _problem(message, _kind_of_http(error))
        for name, value in error.get_headers():
            if name.lower() == "allow":
                response.headers[name] = value
        return response

    @app.errorhandler(Exception)
    async def show_bug(error: Exception) -> Response:
        _log.error("a request failed for a bug", exc_info=error)
        return _problem(BUG, INTERNAL)


def _kind_of_http(error: HTTPException) -> Kind:
    status = error.code or 500
    match status:
        case 404:
            return NOT_FOUND
        case 405:
            return METHOD_NOT_ALLOWED
        case _ if status < 500:
            return Kind(status, "invalid_request_error", "invalid_request")
        case _:
            return Kind(status, "server_error", "internal_error")


def _problem(message: str, kind: Kind) -> Response:
    return Response(envelope(message, kind), kind.status, content_type="application/json")
