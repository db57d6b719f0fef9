"""The address that swapd listens on."""

from __future__ import annotations

import socket

import pytest

from swapd.errors import CannotStart
from swapd.web.listener import bind


def test_a_taken_port_is_said_by_name() -> None:
    with bind("127.0.0.1:0") as first:
        address = f"127.0.0.1:{first.port}"
        with pytest.raises(CannotStart) as refused:
            bind(address)
    assert (
        str(refused.value) == f"{address} is already in use; choose another with --listen HOST:PORT"
    )


@pytest.mark.parametrize(
    "address", ["", "8080", "127.0.0.1", "127.0.0.1:", "h:70000", "h:-1", "h:x", "::1:80", "[h]:80"]
)
def test_a_bad_address_is_answered_with_good_ones(address: str) -> None:
    with pytest.raises(CannotStart, match=r"looks like 127\.0\.0\.1:8080, \[::1\]:8080"):
        bind(address)


def test_an_address_of_another_machine_is_said_to_be_one() -> None:
    with pytest.raises(CannotStart, match="no such address"):
        bind("192.0.2.1:0")


def test_a_name_that_does_not_resolve_is_said() -> None:
    with pytest.raises(CannotStart, match=r"cannot listen on no\.such\.host\.invalid:80: "):
        bind("no.such.host.invalid:80")


@pytest.mark.parametrize(
    ("address", "loopback", "url"),
    [
        ("127.0.0.1:0", True, "http://127.0.0.1:"),
        ("localhost:0", True, "http://"),
        ("0.0.0.0:0", False, "http://localhost:"),
        (":0", False, "http://localhost:"),
    ],
)
def test_a_listener_knows_its_url_and_who_can_reach_it(
    address: str, loopback: bool, url: str
) -> None:
    with bind(address) as listener:
        assert listener.bound.is_loopback is loopback
        assert listener.bound.url.startswith(url)
        assert listener.bound.url.endswith(f":{listener.port}")


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6")
def test_an_ipv6_address_is_written_in_brackets() -> None:
    with bind("[::1]:0") as listener:
        assert listener.bound.is_loopback
        assert listener.bound.url == f"http://[::1]:{listener.port}"
