"""Which URLs are understood, how they are called, and how they are reached."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
import trio

from swapd.config.timeouts import Timeouts
from swapd.errors import CannotStart, UpstreamUnreachable
from swapd.upstream.http1 import Pool
from swapd.upstream.origin import Origin
from swapd.upstream.probe import Prober
from tests.upstream.asking import OK, ask, waiting
from tests.upstream.scripted import answering, serving, staying


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("ws://h", "ws://h: must be a URL that begins with http://, https:// or unix:/"),
        ("localhost:1", "localhost:1: must be a URL that begins with http://, https:// or unix:/"),
        ("http://:80", "http://:80: must be a URL with a host"),
        ("http://h:99999", "http://h:99999: must be a URL: port out of range 0-65535"),
        ("http://h/\u00e9", "must contain no spaces and only ASCII; write others as %XX"),
        ("unix:tmp/x", "unix:tmp/x: must be unix:/PATH, with the whole path of a socket"),
        ("unix://tmp/x", "must be unix:/PATH, with the whole path of a socket"),
        ("unix:/tmp/x?y", "must be unix:/PATH, with the whole path of a socket"),
        ("unix:/", "must be unix:/PATH, with the whole path of a socket"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_at_once(url: str, text: str) -> None:
    with pytest.raises(CannotStart) as refusal:
        Origin(url, Timeouts())

    assert text in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "name", "host"),
    [
        ("http://h:1/base?k=v", "http://h:1", b"h:1"),
        ("http://user:secret@h:1", "http://h:1", b"h:1"),
        ("https://h/base", "https://h", b"h"),
        ("http://[::1]:1", "http://[::1]:1", b"[::1]:1"),
        ("unix:/run/x", "unix:/run/x", b"localhost"),
        ("unix:///run/x", "unix:/run/x", b"localhost"),
    ],
)
def test_a_server_has_a_name_for_people_and_one_for_itself(
    url: str, name: str, host: bytes
) -> None:
    origin = Origin(url, Timeouts())
    assert (origin.name, origin.host_header) == (name, host)


class Ports(trio.abc.HostnameResolver):
    """Knows no name, and remembers by which ports it was asked for one."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    async def getaddrinfo(self, host: object, port: object, *_: object, **__: object) -> Any:
        self.asked.append(port)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def getnameinfo(self, sockaddr: object, flags: int) -> tuple[str, str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.parametrize(("url", "port"), [("http://h", 80), ("https://h", 443), ("http://h:1", 1)])
async def test_a_url_without_a_port_is_that_of_its_scheme(url: str, port: int) -> None:
    ports = Ports()
    trio.socket.set_custom_hostname_resolver(ports)
    with pytest.raises(UpstreamUnreachable):
        await Origin(url, Timeouts()).reach()
    assert ports.asked == [port]


@pytest.mark.parametrize("form", ["unix:{}", "unix://{}"])
async def test_a_server_is_reached_on_a_unix_socket(tmp_path: Path, form: str) -> None:
    path = tmp_path / "a b.sock"
    url = form.format(str(path).replace(" ", "%20"))
    async with answering(OK, OK, unix=path) as server:
        pool = Pool(url)
        assert await ask(pool) == b"ok"
        assert await ask(pool, b"POST", b"x") == b"ok"
        pool.close()
    assert server.connections == 1
    assert server.requests[0] == b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"


async def test_a_unix_socket_is_probed(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    prober = Prober(f"unix:{path}", "/health")
    assert await prober.probe() == "no such file or directory"
    async with answering(OK, unix=path) as server:
        assert await prober.probe() is None
    assert server.requests == [b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"]


async def test_a_unix_socket_on_which_nobody_listens_is_named_with_the_reason(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.sock"
    async with serving(unix=path):
        pass
    with pytest.raises(UpstreamUnreachable) as failure:
        await ask(Pool(f"unix:{path}"))
    assert str(failure.value) == f"could not connect to unix:{path}: connection refused"


@pytest.mark.parametrize(("seconds", "probed"), [(45, True), (0, False), (-1, False)])
async def test_silent_servers_are_probed_as_often_as_the_configuration_says(
    seconds: int, probed: bool
) -> None:
    async with serving(staying()) as server:
        connected = await Origin(server.url, waiting(keepalive=seconds)).dial()
        assert isinstance(connected, socket.socket)
        with connected:
            assert bool(connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)) is probed
            if probed:
                interval = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL)
                assert interval == seconds


async def test_an_interval_that_the_kernel_refuses_keeps_no_server_away() -> None:
    async with serving(staying()) as server:
        (await Origin(server.url, waiting(keepalive=10**9)).dial()).close()
