"""Who is turned away, asked of every kind of request."""

from __future__ import annotations

import base64
from typing import cast

import pytest
from hypercorn.typing import HTTPScope, WebsocketScope

from swapd.web.auth import Keys
from swapd.web.cors import Origins
from swapd.web.errors import UNAUTHORIZED, Problem
from swapd.web.guard import Guard
from swapd.web.hosts import Hosts

Scope = HTTPScope | WebsocketScope

EVIL = ("origin", "https://evil.example")
CROSS = ("sec-fetch-site", "cross-site")
SAME = ("sec-fetch-site", "same-site")
IMAGE, FRAME = ("sec-fetch-dest", "image"), ("sec-fetch-dest", "iframe")
KEY = ("authorization", "Bearer sesame")
PASSWORD = ("authorization", "Basic " + base64.b64encode(b"me:sesame").decode())


def guard(*origins: str, keys: tuple[str, ...] = (), hosts: tuple[str, ...] = ()) -> Guard:
    return Guard(keys=Keys(keys), hosts=Hosts(hosts, on_loopback=True), origins=Origins([*origins]))


def asked(
    *headers: tuple[str, str],
    path: str = "/v1/chat/completions",
    method: str = "POST",
    host: str = "localhost:8080",
    scheme: str = "http",
) -> HTTPScope:
    fields = [("host", host), *headers]
    raw = [(name.encode(), value.encode()) for name, value in fields]
    scope = {"type": "http", "scheme": scheme, "path": path, "method": method, "headers": raw}
    return cast(HTTPScope, scope)


def websocket(*headers: tuple[str, str]) -> WebsocketScope:
    scope = {**asked(*headers, path="/api/lifecycle"), "type": "websocket", "scheme": "ws"}
    return cast(WebsocketScope, scope)


def refusal(scope: Scope, by: Guard | None = None, *, is_relayed: bool = True) -> Problem | None:
    return (by or guard()).refusal(scope, is_relayed=is_relayed)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("origin", "")],
        [("origin", "http://localhost:8080")],
        [("sec-fetch-site", "none")],
        [("sec-fetch-site", "same-origin")],
        [("sec-fetch-site", "same-origin"), ("origin", "https://behind.a.proxy")],
        [("sec-fetch-site", "same-origin"), ("origin", "null")],
        [("sec-fetch-site", "same-origin"), IMAGE],
        [SAME],
        [SAME, ("sec-fetch-dest", "document")],
        [("referer", "https://evil.example/")],
    ],
)
def test_what_no_other_sites_page_has_made_is_served(headers: list[tuple[str, str]]) -> None:
    for method in ("GET", "POST"):
        assert refusal(asked(*headers, method=method)) is None
        assert refusal(asked(*headers, method=method, path="/unload"), is_relayed=False) is None
    assert refusal(websocket(*headers)) is None


@pytest.mark.parametrize(
    "headers",
    [
        [EVIL],
        [("origin", "null")],
        [("origin", "http://localhost:3000")],
        [("origin", "http://localhost")],
        [("origin", "http://127.0.0.1:8080")],
        [("origin", "http://localhost:8080"), EVIL],
        [EVIL, ("origin", "http://localhost:8080")],
        [("origin", "http://localhost:8080"), CROSS],
        [("sec-fetch-site", "none"), EVIL],
        [("sec-fetch-site", "same-origin"), CROSS],
        [CROSS],
        [("sec-fetch-site", "Cross-Site")],
        [CROSS, ("sec-fetch-mode", "navigate"), ("sec-fetch-user", "?1")],
        [CROSS, ("origin", "")],
        [SAME, IMAGE],
        [SAME, FRAME],
        [SAME, ("sec-fetch-dest", "empty")],
        [SAME, ("origin", "http://localhost:3000")],
    ],
)
def test_what_another_sites_page_has_made_is_refused_where_it_acts(
    headers: list[tuple[str, str]],
) -> None:
    acting = [
        refusal(asked(*headers)),
        refusal(asked(*headers, method="GET", path="/props")),
        refusal(asked(*headers, method="HEAD", path="/upstream/m/")),
        refusal(asked(*headers, method="OPTIONS", path="/upstream/m/")),
        refusal(asked(*headers, method="GET", path="/upstream/m/"), is_relayed=False),
        refusal(asked(*headers, method="GET", path="/comfyui"), is_relayed=False),
        refusal(asked(*headers, method="GET", path="/comfyui/x"), is_relayed=False),
        refusal(asked(*headers, method="GET", path="/unload"), is_relayed=False),
        refusal(asked(*headers, method="HEAD", path="/unload"), is_relayed=False),
        refusal(asked(*headers, path="/api/models/unload"), is_relayed=False),
        refusal(asked(*headers, method="DELETE", path="/nowhere"), is_relayed=False),
        refusal(websocket(*headers), is_relayed=False),
    ]
    for problem in acting:
        assert problem is not None
        assert problem.kind.status == 403
        assert "cors.origins" in problem.message


LINK = (CROSS, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"))


@pytest.mark.parametrize("path", ["/logs/stream", "/logs/stream/m", "/api/events"])
def test_who_may_not_follow_a_stream_is_told_of_that_and_of_no_change(path: str) -> None:
    for headers in (LINK, (("sec-purpose", "prefetch"),)):
        problem = refusal(asked(*headers, method="GET", path=path))
        assert problem is not None
        assert "may not follow swapd's logs and events" in problem.message
        assert "change" not in problem.message
        assert ("enter the address yourself" in problem.message) is (headers is LINK)


def test_a_refusal_says_what_was_refused() -> None:
    for scope, what in (
        (asked(CROSS), "pages of other sites may not start a model or change anything: add its"),
        (asked(CROSS, method="GET", path="/unload"), "may not start a model or change anything"),
        (websocket(CROSS), "pages of other sites may not open a websocket: add its origin"),
    ):
        problem = refusal(scope)
        assert problem is not None
        assert what in problem.message


@pytest.mark.parametrize("path", ["/v1/models", "/running", "/health", "/ui/", "/nowhere"])
def test_other_sites_may_ask_for_what_changes_nothing(path: str) -> None:
    for method in ("GET", "HEAD"):
        assert refusal(asked(EVIL, CROSS, path=path, method=method), is_relayed=False) is None


@pytest.mark.parametrize(
    "headers",
    [
        [("origin", "https://app.example")],
        [("origin", "https://app.example"), CROSS],
        [CROSS, ("referer", "https://app.example/chat?x=y")],
        [SAME, IMAGE, ("referer", "https://app.example/")],
    ],
)
def test_a_page_that_the_owner_trusts_may_act(headers: list[tuple[str, str]]) -> None:
    assert refusal(asked(*headers), guard("https://app.example")) is None
    assert refusal(websocket(*headers), guard("https://app.example")) is None
    assert refusal(asked(*headers), guard("https://other.example")) is not None


@pytest.mark.parametrize(
    "headers",
    [
        [EVIL, ("referer", "https://app.example/")],
        [CROSS, ("referer", "https://app.example.evil.example/")],
        [CROSS, ("referer", "https://evil.example/https://app.example/")],
        [CROSS, ("referer", "")],
    ],
)
def test_no_page_passes_for_another(headers: list[tuple[str, str]]) -> None:
    assert refusal(asked(*headers), guard("https://app.example")) is not None


def test_every_page_may_act_where_the_owner_says_so() -> None:
    for headers in ([EVIL], [("origin", "null")], [CROSS], [SAME, IMAGE]):
        assert refusal(asked(*headers), guard("*")) is None


def test_a_page_that_knows_a_key_may_act() -> None:
    locked = guard(keys=("sesame",))
    assert refusal(asked(EVIL, CROSS, KEY), locked) is None
    assert refusal(asked(EVIL, ("x-api-key", "sesame")), locked) is None
    assert refusal(websocket(EVIL, KEY), locked) is None


def test_a_page_whose_browser_sends_a_password_by_itself_may_not() -> None:
    locked = guard(keys=("sesame",))
    assert refusal(asked(PASSWORD), locked) is None
    for scope in (asked(EVIL, PASSWORD), asked(CROSS, PASSWORD), websocket(EVIL, PASSWORD)):
        problem = refusal(scope, locked)
        assert problem is not None
        assert problem.kind.status == 403


def test_without_a_key_there_is_one_answer_whatever_is_asked() -> None:
    locked = guard("*", keys=("sesame",))
    for scope in (asked(), asked(EVIL), asked(path="/nowhere"), websocket()):
        assert refusal(scope, locked) is UNAUTHORIZED
    assert refusal(asked(path="/health", method="GET"), locked, is_relayed=False) is None


@pytest.mark.parametrize(
    ("path", "more", "status"),
    [
        ("/v1/chat/completions", [], None),
        ("/nowhere", [], None),
        ("/upstream", [], None),
        ("/upstream/m/x", [("access-control-request-method", "POST")], None),
        ("/upstream/m/x", [], 401),
    ],
)
def test_what_only_asks_what_it_may_ask_needs_no_key(
    path: str, more: list[tuple[str, str]], status: int | None
) -> None:
    scope = asked(EVIL, CROSS, *more, method="OPTIONS", path=path)
    problem = refusal(scope, guard(keys=("sesame",)))
    assert (problem.kind.status if problem else None) == status


@pytest.mark.parametrize("header", [("sec-purpose", "prefetch;prerender"), ("purpose", "Prefetch")])
def test_what_a_browser_asks_ahead_of_its_user_is_not_done(header: tuple[str, str]) -> None:
    assert refusal(asked(header, method="GET", path="/unload"), is_relayed=False) is not None
    assert refusal(asked(header, method="GET", path="/upstream/m/")) is not None
    assert refusal(asked(header, method="GET", path="/ui/"), is_relayed=False) is None


def test_a_name_that_is_not_ours_is_refused_whatever_it_is_asked_for() -> None:
    for scope in (
        asked(host="evil.example", path="/health", method="GET"),
        asked(host="evil.example", method="OPTIONS"),
        asked(KEY, host="evil.example"),
        asked(("host", "evil.example")),  # beside a good one
    ):
        problem = refusal(scope, guard("*", keys=("sesame",)), is_relayed=False)
        assert problem is not None
        assert problem.kind.status == 403
        assert "'evil.example'" in problem.message
        assert "server.allowedHosts" in problem.message


def test_a_page_that_had_its_name_point_here_is_refused_for_its_name() -> None:
    scope = asked(("origin", "http://evil.example"), host="evil.example")
    assert refusal(scope) is not None
    assert refusal(scope, guard(hosts=("evil.example",))) is None


def test_a_refusal_shows_no_more_of_a_name_than_a_person_reads() -> None:
    for scope in (asked(host="x" * 5000), asked(("origin", "x" * 5000))):
        problem = refusal(scope)
        assert problem is not None
        assert len(problem.message) < 600


@pytest.mark.parametrize(
    ("scope", "origin"),
    [
        (asked(EVIL, path="/v1/models", method="GET"), b"https://evil.example"),
        (asked(EVIL, path="/models", method="GET"), b"https://evil.example"),
        (asked(EVIL, path="/running", method="GET"), None),
        (asked(EVIL), None),
        (asked(("origin", "https://app.example")), b"https://app.example"),
        (asked(EVIL, KEY), b"https://evil.example"),
        (asked(EVIL, PASSWORD), None),
        (asked(KEY), None),
    ],
)
def test_an_answer_is_read_by_trusted_pages_and_lists_of_models_by_all(
    scope: HTTPScope, origin: bytes | None
) -> None:
    assert guard("https://app.example", keys=("sesame",)).readers(scope) == origin
