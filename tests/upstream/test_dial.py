"""Connecting: several addresses, what is remembered, and what a failure is called."""

from __future__ import annotations

import gc
import socket
from contextlib import suppress
from typing import Any

import pytest
import trio

from swapd.upstream.dial import TcpDialer, reason_of
from tests.upstream.scripted import serving, staying


class Resolver(trio.abc.HostnameResolver):
    """Knows one name with two addresses, as many a machine knows localhost."""

    def __init__(self) -> None:
        self.asked = 0

    async def getaddrinfo(  # type: ignore[override] # the base leaves every parameter open
        self, host: bytes, port: int, *_: int, **__: int
    ) -> list[tuple[Any, ...]]:
        self.asked += 1
        if host != b"localhost":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]

    async def getnameinfo(self, sockaddr: object, flags: int) -> tuple[str, str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.fixture
async def resolver() -> Resolver:
    resolver = Resolver()
    trio.socket.set_custom_hostname_resolver(resolver)
    return resolver


async def test_the_address_that_answered_is_remembered_until_it_does_not(
    resolver: Resolver,
) -> None:
    async with serving(staying(), staying()) as server:
        port = int(server.url.rpartition(":")[2])
        dialer = TcpDialer("localhost", port)
        for _ in range(2):
            (await dialer.dial()).close()
    assert resolver.asked == 1

    with pytest.raises(OSError, match="all attempts"):
        await dialer.dial()
    assert resolver.asked == 2


async def test_every_reason_why_no_address_answered_is_named_once(resolver: Resolver) -> None:
    async with serving() as server:
        port = int(server.url.rpartition(":")[2])
    with pytest.raises(OSError, match="all attempts") as failure:
        await TcpDialer("localhost", port).dial()

    reasons = reason_of(failure.value).split(", ")
    assert "connection refused" in reasons
    assert len(reasons) == len(set(reasons))


async def test_a_name_that_nobody_knows_is_said_in_the_resolvers_words(resolver: Resolver) -> None:
    with pytest.raises(OSError, match="known") as failure:
        await TcpDialer("nowhere", 80).dial()

    assert reason_of(failure.value) == "name or service not known"


async def test_attempts_that_failed_leave_nothing_that_only_the_collector_finds(
    resolver: Resolver,
) -> None:
    async with serving() as server:
        port = int(server.url.rpartition(":")[2])
    gc.collect()
    gc.disable()
    try:
        for host in ("localhost", "127.0.0.1"):
            with suppress(OSError):
                await TcpDialer(host, port).dial()
        refused = [each for each in gc.get_objects() if isinstance(each, ConnectionRefusedError)]
    finally:
        gc.enable()
    assert not refused
