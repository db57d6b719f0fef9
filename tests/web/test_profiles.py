"""Profiles by API, exactly as clients of llama-swap know them."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.web.floor import Floor, Reply, floor, get

PROFILES = {
    "writing": {"pins": {"gpt": "alias"}},
    "coding": {"description": "For work.", "pins": {"gpt": "m", "alias": None}},
}


@asynccontextmanager
async def with_profiles() -> AsyncIterator[Floor]:
    async with floor(profiles=PROFILES) as web:
        yield web


async def choose(web: Floor, body: bytes) -> Reply:
    head = b"content-length: %d\r\n" % len(body)
    return await web.ask(get("/api/profiles/active", head=head, method=b"PUT") + body)


async def active(web: Floor) -> object:
    return json.loads((await web.ask(get("/api/profiles"))).body)["active"]


async def test_at_first_none_is_active_and_all_are_told_sorted() -> None:
    async with with_profiles() as web:
        reply = await web.ask(get("/api/profiles"))
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    coding = {"id": "coding", "description": "For work.", "pins": {"alias": "", "gpt": "m"}}
    writing = {"id": "writing", "description": "", "pins": {"gpt": "alias"}}
    assert json.loads(reply.body) == {"active": None, "profiles": [coding, writing]}


async def test_a_choice_may_be_a_mebibyte_long_and_not_longer() -> None:
    async with with_profiles() as web:
        reply = await choose(web, b'{"name": "coding"}'.ljust(1024 * 1024))
        assert (reply.status, json.loads(reply.body)) == (200, {"active": "coding"})
        reply = await choose(web, b'{"name": "writing"}'.ljust(1024 * 1024 + 1))
        assert (reply.status, reply.error["code"]) == (413, "request_too_large")
        assert reply.error["message"] == (
            "PUT /api/profiles/active: the body may have 1048576 bytes at most"
        )
        assert await active(web) == "coding"


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'{"name": "coding"}', "coding"),
        (b'{"name": null}', None),
        (b'{"name": ""}', None),
        (b' {"name": "coding", "x": 1} and so on', "coding"),
    ],
)
async def test_a_profile_is_chosen_by_its_name_and_none_by_nothing(
    body: bytes, name: str | None
) -> None:
    async with with_profiles() as web:
        await choose(web, b'{"name": "writing"}')
        reply = await choose(web, body)
        assert (reply.status, json.loads(reply.body)) == (200, {"active": name})
        assert await active(web) == name


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"", 400, 'invalid profile request: send {"name": "ID"}, or null for none'),
        (b'{"name"', 400, 'invalid profile request: send {"name": "ID"}, or null for none'),
        (
            b'\xff{"name": ""}',
            400,
            'invalid profile request: send {"name": "ID"}, or null for none',
        ),
        (b"[" * 100_000, 400, 'invalid profile request: send {"name": "ID"}, or null for none'),
        (b'["coding"]', 400, 'invalid profile request: send {"name": "ID"}, or null for none'),
        (b'{"profile": "coding"}', 400, "profile name is required"),
        (b'{"name": 5}', 400, "profile name must be a string or null"),
        (b'{"name": "missing"}', 404, 'profile "missing" not found'),
    ],
)
async def test_a_mistake_is_told_and_changes_nothing(
    body: bytes, status: int, message: str
) -> None:
    async with with_profiles() as web:
        await choose(web, b'{"name": "writing"}')
        reply = await choose(web, body)
        assert (reply.status, reply.error["message"]) == (status, message)
        assert await active(web) == "writing"


async def test_a_change_is_logged_and_a_repetition_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "swapd")
    async with with_profiles() as web:
        for name in (b'"coding"', b'"coding"', b"null"):
            await choose(web, b'{"name": %s}' % name)
    told = [record.message for record in caplog.records if record.name == "swapd"]
    assert told == ['active profile changed to "coding"', 'active profile changed to ""']
