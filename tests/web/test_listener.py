"""The address that swapd listens on."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import pytest
import trustme

from swapd.errors import CannotStart
from swapd.web.bound import Bound
from swapd.web.certificate import Certificate
from swapd.web.listener import bind


def test_a_taken_port_is_said_by_name() -> None:
    with bind("127.0.0.1:0") as first:
        address = f"127.0.0.1:{first.port}"
        with pytest.raises(CannotStart) as refused:
            bind(address)
    assert (
        str(refused.value) == f"{address} is already in use; choose another with --listen HOST:PORT"
    )


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
        ("localhost:0", True, "http://127.0.0.1:"),
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


def test_a_unix_socket_is_reached_by_no_other_machine_and_no_browser(tmp_path: Path) -> None:
    with bind(f"unix:{tmp_path}/s") as listener:
        assert listener.bound == Bound(f"unix:{tmp_path}/s", is_loopback=False, is_exposed=False)
    assert not any(tmp_path.iterdir())


def test_with_a_certificate_the_url_says_so(tmp_path: Path) -> None:
    issued = trustme.CA().issue_cert("localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    certificate = Certificate(tmp_path / "both.pem", tmp_path / "both.pem")
    with bind("127.0.0.1:0", certificate) as listener:
        assert listener.bound.url == f"https://127.0.0.1:{listener.port}"


def test_a_connection_need_not_wait_to_be_accepted() -> None:
    with bind("127.0.0.1:0") as listener, contextlib.ExitStack() as clients:
        for _ in range(300):
            client = clients.enter_context(socket.socket())
            client.settimeout(10)
            client.connect(("127.0.0.1", listener.port))


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6")
@pytest.mark.parametrize("address", [":0", "[::]:0"])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_every_interface_is_that_of_both_protocols(address: str, host: str) -> None:
    with bind(address) as listener:
        socket.create_connection((host, listener.port), timeout=10).close()
