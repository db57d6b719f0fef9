"""Which names are answered to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapd.web.hosts import Hosts, name_of

LOCAL = Hosts([], on_loopback=True)


@pytest.mark.parametrize(
    "host",
    [
        b"localhost",
        b"LocalHost:8080",
        b"localhost.:8080",
        b"localhost:",
        b"swapd.localhost",
        b"127.0.0.1:8080",
        b"127.8.0.1",
        b"[::1]:8080",
        b"[0:0:0:0:0:0:0:1]",
        b"[::ffff:127.0.0.1]",
        b"",
    ],
)
def test_the_loopback_is_always_answered_to(host: bytes) -> None:
    assert LOCAL.answer_to(host)


@pytest.mark.parametrize(
    "host",
    [
        b"evil.example",
        b"evil.example:8080",
        b"localhost.evil.example",
        b"notlocalhost",
        b".localhost.",
        b"localhost..",
        b"127.0.0.1.evil.example",
        b"127.1",
        b"2130706433",
        b"0x7f.0.0.1",
        b"0.0.0.0",
        b"192.168.0.2",
        b"[fe80::1]",
        b"[::ffff:192.168.0.2]",
        b"[::1",
        b"::1",
        b"[127.0.0.1]",
        b"[evil.example]",
        b"localhost@evil.example",
        b"evil.example@localhost",
        b"evil.example:80@localhost",
        b"localhost:80:80",
        b"localhost:port",
        b"localhost/",
        b"localhost#.evil.example",
        b"localhost, evil.example",
        b"localhost evil.example",
        b"localhost\x00.evil.example",
        b"\xe2\x84\x93ocalhost",
    ],
)
def test_any_other_name_is_not(host: bytes) -> None:
    assert not LOCAL.answer_to(host)


@pytest.mark.parametrize(
    ("allowed", "host"),
    [
        ("swapd.example", b"swapd.example"),
        ("Swapd.Example.", b"SWAPD.example.:443"),
        ("swapd.example:8080", b"swapd.example:9090"),
        ("192.168.0.2", b"192.168.0.2:8080"),
        ("[fd00::0:1]", b"[FD00::1]:8080"),
        ("*", b"evil.example"),
        ("*", b"::strange::"),
    ],
)
def test_a_name_that_the_owner_allows_is_answered_to(allowed: str, host: bytes) -> None:
    assert Hosts(["other", allowed], on_loopback=True).answer_to(host)


def test_an_allowed_name_allows_nothing_below_it() -> None:
    hosts = Hosts(["swapd.example", "::"], on_loopback=True)
    assert not hosts.answer_to(b"a.swapd.example")
    assert not hosts.answer_to(b"::")


def test_beyond_the_loopback_every_name_is_answered_to() -> None:
    assert Hosts([], on_loopback=False).answer_to(b"evil.example")


@given(st.binary(max_size=40))
def test_no_bytes_break_the_parser(host: bytes) -> None:
    name = name_of(host)
    assert name is None or name == name.lower()
    LOCAL.answer_to(host)


@given(
    st.from_regex(r"[a-z0-9-]{1,20}(\.[a-z0-9-]{1,20}){0,3}", fullmatch=True),
    st.sampled_from(["", ":", ":80", ":65535"]),
    st.sampled_from(["", "."]),
)
def test_port_case_and_the_last_dot_do_not_matter(name: str, port: str, dot: str) -> None:
    assert name_of(f"{name.upper()}{dot}{port}".encode()) == name
