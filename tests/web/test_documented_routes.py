"""docs/api.md lists every route that there is, and none that there is not."""

from __future__ import annotations

import re
from pathlib import Path

from swapd.web.create_app import create_app
from swapd.web.routes import NAMED_IN_BODY, NAMED_IN_QUERY
from tests.web.floor import floor, get

API = Path(__file__).parents[2] / "docs" / "api.md"

#: Paths that the page speaks of, which are no routes of swapd's, or none for this model.
NO_ROUTES = {
    "//",
    "/upstream/MODEL/",
    "/tmp",
    "/var/tmp",
    "/v",
    "/v1",
    "/v1/tasks/run",
    "/upstream/",
    "/comfyui/",
}

#: What stands in the page for a name or a number.
_NAMED = re.compile(r"\b(MODEL|NAME|ID)\b|\{id\}")


def documented() -> set[tuple[str, str]]:
    """Return method and path of what the page names; the method is empty where none is said."""
    named = re.findall(r"`(?:([A-Z]+) )?(/[^` ?]*)[^`\n]*`", API.read_text())
    return {(method, path) for method, path in named if path not in NO_ROUTES and "…" not in path}


async def test_every_route_is_documented() -> None:
    async with floor() as web:
        views = {rule.rule for rule in create_app(web.services).url_map.iter_rules()}
    paths = {_NAMED.sub("*", path) for _, path in documented()} | {"/ui", "/ui/*"}  # of the page
    routes = {re.sub(r"<[^>]*>", "*", view) for view in views}
    assert sorted((routes | NAMED_IN_BODY | NAMED_IN_QUERY) - paths) == []


async def test_every_documented_route_is_there_by_its_method() -> None:
    wrong = []
    async with floor() as web:
        for method, path in sorted(documented()):
            asked = _NAMED.sub("m", path)
            reply = await web.ask(get(asked, method=b"PATCH"))  # no route has it of its own
            allowed = reply.headers.get("allow", method).split(", ")
            if reply.status == 404 or (method and method not in allowed):
                wrong.append((method, path, reply.status, allowed))
    assert wrong == []
