"""No route is without a guard: all there are, whoever serves them, are asked from outside."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

import pytest

from swapd.web.create_app import create_app
from swapd.web.routes import NAMED_IN_BODY, NAMED_IN_QUERY
from tests.web.floor import Floor, floor, get
from tests.web.raw import OPEN_WEBSOCKET

#: What docs/api.md says to be open to those who have no key.
OPEN = {"/health", "/wol-health", "/ready", "/favicon.ico", "/robots.txt", "/", "/ui", "/upstream"}

#: What is served past Quart, whose routes it does not know, by any method that there is.
BELOW_MODELS = ("/upstream/m/x", "/upstream/m", "/comfyui", "/comfyui/", "/comfyui/x")
STREAMS = ("/api/events", "/logs/stream", "/logs/stream/proxy", "/logs/stream/m")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

#: What reading changes something, or starts a model, or does not end.
ACTING = {"/unload", *NAMED_IN_QUERY, *BELOW_MODELS, *STREAMS}

EVIL = b"origin: https://evil.example\r\n"
KEY = b"x-api-key: sesame\r\n"
PASSWORD = b"authorization: basic " + base64.b64encode(b"me:sesame") + b"\r\n"


def routes(web: Floor) -> Iterator[tuple[str, str]]:
    """Yield the method and the path of every route; ``WEBSOCKET`` is the method of such."""
    for rule in create_app(web.services).url_map.iter_rules():
        path = re.sub(r"<[^>]*>", "m", rule.rule)
        methods = ["WEBSOCKET"] if rule.websocket else sorted(rule.methods or ())
        yield from ((method, path) for method in methods if method != "OPTIONS")
    yield from (("POST", path) for path in sorted(NAMED_IN_BODY))
    yield from ((method, path) for path in sorted(NAMED_IN_QUERY) for method in ("GET", "HEAD"))
    yield from ((method, path) for path in BELOW_MODELS for method in METHODS)
    yield from ((method, path) for path in STREAMS for method in ("GET", "HEAD"))
    yield from (("WEBSOCKET", path) for path in ("/upstream/m/x", "/comfyui/x"))


async def statuses(
    web: Floor, *, head: bytes = b"", host: bytes = b"localhost"
) -> dict[tuple[str, str], int]:
    """Ask every route; return with what status each answers."""
    found = {}
    for method, path in routes(web):
        if method == "WEBSOCKET":
            asked = OPEN_WEBSOCKET.replace(b"/ws", path.encode())
            asked = asked.replace(b"\r\nconnection", b"\r\n" + head + b"connection")
        else:
            asked = get(path, method=method.encode(), head=head)
        asked = re.sub(rb"(?i)(\r\nhost: )[^\r]*", rb"\1" + host, asked)
        async with await web.served.connect() as client:
            await client.send_all(asked)
            answer = bytes(await client.receive_some())
        found[method, path] = int(answer.split()[1])
    return found


async def test_without_a_key_nothing_is_answered_but_what_is_said_to_be_open() -> None:
    async with floor(apiKeys=["sesame"]) as web:
        answered = {path for (_, path), status in (await statuses(web)).items() if status != 401}
        assert (web.models.leases, web.models.loaded) == (0, [])
    assert answered == OPEN


async def test_by_a_name_that_is_not_swapds_nothing_is_answered_at_all() -> None:
    async with floor(apiKeys=["sesame"]) as web:
        found = await statuses(web, head=KEY, host=b"evil.example")
    assert {route for route, status in found.items() if status != 403} == set()


async def test_for_a_page_of_another_site_nothing_is_done_that_changes_anything() -> None:
    """Though its browser sends the password by itself."""
    async with floor(apiKeys=["sesame"]) as web:
        found = await statuses(web, head=EVIL + PASSWORD)
        assert (web.models.leases, web.models.loaded) == (0, [])
    done = {(method, path) for (method, path), status in found.items() if status != 403}
    read = {(method, path) for method, path in found if method in {"GET", "HEAD"}}
    assert done == {(method, path) for method, path in read if path not in ACTING}


def spelled(path: str) -> Iterator[str]:
    """Yield ``path`` with each of its letters encoded, and with odd things before each."""
    for at, letter in enumerate(path):
        yield f"{path[:at]}%{ord(letter):02x}{path[at + 1 :]}"
        for odd in ("/", "%2F", "%2f%2F", "/./", "/%2e%2e/", "x/../", "%00", "%5C", ";"):
            yield path[:at] + odd + path[at:]


@pytest.mark.parametrize("path", ["/unload", "/props", "/upstream/m/x", "/comfyui/"])
async def test_however_a_path_is_spelled_it_does_nothing_for_a_page_of_another_site(
    path: str,
) -> None:
    done = []
    async with floor(name="comfyui_auto", model={"aliases": ["m"]}) as web:
        for way in spelled(path):
            reply = await web.ask(get(f"{way}?model=m", head=EVIL))
            if reply.status not in {307, 403, 404}:
                done.append((way, reply.status))
        assert (web.models.leases, web.upstream.connections) == (0, 0)
    assert done == []
