"""Which pool a request gets: that of its own generation, and no other for longer than it lives."""

from __future__ import annotations

import json
from collections.abc import Mapping

import trio

from swapd.config.load import parse
from swapd.config.models import Model
from swapd.ids import Generation, ModelId
from swapd.upstream.pools import Pools
from tests.upstream.asking import OK, ask
from tests.upstream.scripted import Connection, Script, Server, serving, staying

A, B = ModelId("a"), ModelId("b")
FIRST, SECOND = Generation(1), Generation(2)


def models(url: str, **settings: object) -> Mapping[ModelId, Model]:
    model = {"cmd": "serve", "proxy": url, **settings}
    return parse(json.dumps({"models": {A: model, B: model}}), "c.yaml", environ={}).models


def leading_to(server: Server) -> Pools:
    return Pools(models(server.url))


def noticing(response: bytes) -> tuple[trio.Event, Script]:
    """Return a script that answers once, and what is set when its client has left."""
    left, answer = trio.Event(), staying(response)

    async def script(connection: Connection) -> None:
        await answer(connection)
        left.set()

    return left, script


async def test_the_requests_of_one_generation_share_its_connections() -> None:
    async with serving(staying(OK, OK)) as server:
        pools = leading_to(server)
        assert await ask(pools.of(A, FIRST)) == b"ok"
        assert await ask(pools.of(A, FIRST)) == b"ok"
        assert server.connections == 1
        pools.forget(A)


async def test_each_model_has_a_pool_of_its_own() -> None:
    async with serving() as server:
        pools = leading_to(server)
        assert pools.of(A, FIRST) is not pools.of(B, FIRST)


async def test_a_new_generation_closes_the_connections_of_the_one_before() -> None:
    left, leaving = noticing(OK)
    async with serving(leaving, staying(OK)) as server:
        pools = leading_to(server)
        old = pools.of(A, FIRST)
        await ask(old)
        new = pools.of(A, SECOND)
        assert new is not old
        await left.wait()
        assert await ask(new) == b"ok"
        assert server.connections == 2
        pools.forget(A)


async def test_a_late_request_of_an_older_generation_leaves_the_newer_pool_alone() -> None:
    left, leaving = noticing(OK)
    async with serving(leaving, staying(OK, OK)) as server:
        pools = leading_to(server)
        new = pools.of(A, SECOND)
        late = pools.of(A, FIRST)
        assert late is not new
        assert await ask(late) == b"ok"
        await left.wait()  # else it would keep connections to a server that is gone
        assert pools.of(A, SECOND) is new
        assert await ask(new) == b"ok"
        assert await ask(new) == b"ok"
        assert server.connections == 2
        pools.forget(A)


async def test_what_is_forgotten_is_closed_and_never_kept_again() -> None:
    (left, leaving), (left_again, leaving_again) = noticing(OK), noticing(OK)
    async with serving(leaving, leaving_again, staying(OK, OK)) as server:
        pools = leading_to(server)
        first = pools.of(A, FIRST)
        await ask(first)
        pools.forget(A)
        pools.forget(A)
        pools.forget(B)
        await left.wait()
        late = pools.of(A, FIRST)
        assert late is not first
        assert await ask(late) == b"ok"
        await left_again.wait()
        assert await ask(pools.of(A, SECOND)) == b"ok"
        assert await ask(pools.of(A, SECOND)) == b"ok"
        assert server.connections == 3
        pools.forget(A)


async def test_the_next_generation_is_asked_where_the_configuration_says_now() -> None:
    async with serving(staying(OK)) as before, serving(staying(OK)) as now:
        pools = leading_to(before)
        await ask(pools.of(A, FIRST))
        pools.reconfigure(models(now.url))
        assert await ask(pools.of(A, SECOND)) == b"ok"
        assert (before.connections, now.connections) == (1, 1)
        pools.forget(A)
