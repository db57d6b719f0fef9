"""What browsers ask for: a page that says what runs, and what belongs to it.

Nothing is loaded from anywhere else, and nobody may frame it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from quart import Blueprint, Response, redirect, render_template, request
from quart.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from swapd.ids import ModelId
from swapd.web.services import Services
from swapd.web.target import with_query
from swapd.web.version import VERSION

_FOLDER = Path(__file__).parent / "page"

#: Files of the page, and what they are.
_FILES = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_ICON = "icon.svg"

_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",
}


def pages_views(services: Services) -> Blueprint:
    """Return the views of the page."""
    views = Blueprint("pages", __name__, template_folder=str(_FOLDER))
    files = {name: (_FOLDER / name).read_bytes() for name in _FILES}

    @views.get("/")
    async def home() -> ResponseReturnValue:
        return redirect("/ui/")

    @views.get("/upstream")
    async def without_model() -> ResponseReturnValue:
        return redirect("/ui/")

    @views.route("/upstream", methods=["POST", "PUT", "PATCH", "DELETE"])
    async def to_no_model() -> ResponseReturnValue:
        return redirect(_with_query("/upstream/"), 307)

    @views.get("/ui")
    async def without_slash() -> ResponseReturnValue:
        return redirect(_with_query("/ui/"), 307)

    @views.get("/ui/", defaults={"name": ""})
    @views.get("/ui/<path:name>")
    async def page(name: str) -> ResponseReturnValue:
        """Show the page at every path that could be one of its places."""
        if name in files:
            return Response(files[name], content_type=_FILES[name], headers=_HEADERS)
        if "." in name and name != "index.html":
            raise NotFound
        return _page(
            await render_template(
                "index.html",
                version=VERSION,
                address=_address(services),
                models=[_row(model, services) for model in sorted(services.known())],
            )
        )

    @views.get("/favicon.ico")
    async def icon() -> ResponseReturnValue:
        return Response(files[_ICON], content_type=_FILES[_ICON], headers=_HEADERS)

    @views.get("/robots.txt")
    async def robots() -> ResponseReturnValue:
        return Response("User-agent: *\nDisallow: /\n", content_type="text/plain; charset=utf-8")

    @views.get("/api/version")
    async def show_version() -> ResponseReturnValue:
        return {"build_date": "unknown", "commit": "unknown", "version": VERSION}

    return views


def _address(services: Services) -> str:
    """Return where the client finds swapd, by the name that it used.

    Werkzeug's ``host_url`` knows no name with an underscore, as containers have them.
    """
    host = request.headers.get("host", "")
    return f"{request.scheme}://{host}" if host else services.bound.url


def _row(model: ModelId, services: Services) -> dict[str, object]:
    latest, seen = services.lifecycle.latest(model), services.supervisor.view(model)
    settings = services.config.models.get(model)
    return {
        "id": model,
        "name": settings.name if settings else "",
        "state": services.state(model),
        "since": datetime.fromtimestamp(latest.time, UTC).isoformat("T", "seconds")
        if latest
        else "",
        "in_flight": seen.in_flight,
        "waiting": seen.waiting,
        "trouble": seen.error,
    }


def _with_query(path: str) -> str:
    """Return ``path`` with the query of the request, to the byte."""
    return with_query(path.encode(), request.scope).decode("ascii")


def _page(text: str) -> Response:
    return Response(text, content_type="text/html; charset=utf-8", headers=_HEADERS)
