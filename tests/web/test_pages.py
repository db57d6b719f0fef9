"""The page, and what else browsers ask for by themselves."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from swapd.ids import Generation, ModelId
from swapd.policy.life import ModelState, Reason, Transition
from tests.web.floor import Reply, floor, get

KEY = b"x-api-key: sesame\r\n"


class Links(HTMLParser):
    """Collects what a page loads, and what in it a strict policy would not run."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.inline: list[str] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        fields = dict(attrs)
        if tag in {"script", "link", "img"}:
            self.loads.append(fields.get("src") or fields.get("href") or "inline")
        self.inline += [name for name in fields if name == "style" or name.startswith("on")]
        self.inline += [tag] * (tag == "style")


@pytest.mark.parametrize(
    ("path", "status", "to"),
    [
        ("/", 302, "/ui/"),
        ("/?x=1", 302, "/ui/"),
        ("/ui", 307, "/ui/"),
        ("/ui?x=%2F&y", 307, "/ui/?x=%2F&y"),
        ("/upstream", 302, "/ui/"),
    ],
)
async def test_who_comes_to_the_door_is_led_to_the_page(path: str, status: int, to: str) -> None:
    async with floor(apiKeys=["sesame"]) as web:
        reply = await web.ask(get(path))
    assert (reply.status, reply.headers["location"]) == (status, to)


async def test_a_request_that_names_no_model_is_told_so_where_models_are() -> None:
    async with floor() as web:
        reply = await web.ask(get("/upstream?x=1", method=b"POST"))
        assert (reply.status, reply.headers["location"]) == (307, "/upstream/?x=1")
        reply = await web.ask(get("/upstream/", method=b"POST"))
        assert (reply.status, reply.error["message"]) == (404, "the path names no model")


@pytest.mark.parametrize("path", ["/ui/", "/ui/index.html", "/ui/models", "/ui/models/a/b"])
async def test_the_page_says_what_runs(path: str) -> None:
    async with floor(model={"name": "<Mo> & co"}) as web:
        web.models.seen = replace(web.models.seen, in_flight=3, waiting=2, error="it <b>broke</b>")
        change = Transition(
            ModelId("m"), ModelState.STOPPED, ModelState.READY, Reason.REQUEST, Generation(1)
        )
        web.lifecycle.publish(change)
        reply = await web.ask(get(path))
    page = reply.body.decode()
    assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for text in (
        '<span class="state ready">ready</span>',
        '<time datetime="1970-01-01T00:16:40+00:00">',
        "&lt;Mo&gt; &amp; co",
        "it &lt;b&gt;broke&lt;/b&gt;",
        '<td class="number">3</td>',
        '<td class="number">2</td>',
        "http://localhost/v1",
    ):
        assert text in page


@pytest.mark.parametrize(
    ("host", "address"),
    [
        (b"host: my_box.localhost:81\r\n", "http://my_box.localhost:81/v1<"),
        (b"host: [::1]\r\n", "http://[::1]/v1<"),
        (b"host: \r\n", "http://127.0.0.1:8080/v1<"),
        (b"", "http://127.0.0.1:8080/v1<"),
    ],
)
async def test_the_page_names_the_address_by_which_it_was_asked(host: bytes, address: str) -> None:
    async with floor() as web:
        reply = await web.ask(b"GET /ui/ HTTP/1.0\r\n" + host + b"\r\n")
    assert address in reply.body.decode()


async def test_the_page_and_its_files_are_swapds_own_and_nobodys_frame() -> None:
    async with floor() as web:
        page = await web.ask(get("/ui/"))
        links = Links(page.body)
        assert links.inline == []
        assert len(links.loads) == 3
        replies = [page, *[await web.ask(get(path)) for path in links.loads]]
        replies.append(await web.ask(get("/favicon.ico")))
    assert {reply.status for reply in replies} == {200}
    assert {reply.headers["content-type"].partition(";")[0] for reply in replies} == {
        *("text/html", "text/css", "text/javascript", "image/svg+xml")
    }
    for reply in replies:
        assert "default-src 'none'" in reply.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]
        assert reply.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/ui/missing.js", "/ui/../auth.py", "/ui/index.html/x.css"])
async def test_no_other_file_is_there(path: str) -> None:
    async with floor() as web:
        reply = await web.ask(get(path))
    assert reply.status == 404 or reply.headers["location"] == "/auth.py"


async def test_without_models_the_page_says_so() -> None:
    async with floor() as web:
        web.services.config = replace(web.services.config, models={})
        web.services.reconfigure(web.services.config)
        assert b"no models" in (await web.ask(get("/ui/"))).body


async def test_robots_stay_out() -> None:
    async with floor(apiKeys=["sesame"]) as web:
        assert b"Disallow: /\n" in (await web.ask(get("/robots.txt"))).body


async def test_the_version_is_told_to_who_may_know_it() -> None:
    async with floor(apiKeys=["sesame"]) as web:
        assert (await web.ask(get("/api/version"))).status == 401
        told = json.loads((await web.ask(get("/api/version", head=KEY))).body)
    assert [*told] == ["build_date", "commit", "version"]
    assert told["version"]


async def test_the_page_needs_a_key_which_a_browser_asks_for() -> None:
    async with floor(apiKeys=["sesame"]) as web:
        reply: Reply = await web.ask(get("/ui/", head=b"accept: text/html\r\n"))
    assert (reply.status, reply.headers["www-authenticate"]) == (401, 'Basic realm="swapd"')
    assert reply.body.startswith(b"<!doctype html>")
