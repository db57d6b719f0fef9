"""What ``--listen`` may say."""

from __future__ import annotations

import pytest

from swapd.errors import CannotStart
from swapd.web.address import Address, TcpAddress, UnixAddress, parse


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("127.0.0.1:8080", TcpAddress("127.0.0.1", 8080)),
        ("0.0.0.0:8080", TcpAddress("0.0.0.0", 8080)),
        ("box.example:0", TcpAddress("box.example", 0)),
        ("[::1]:8080", TcpAddress("::1", 8080)),
        ("[::]:8080", TcpAddress("::", 8080)),
        (":8080", TcpAddress("", 8080)),
        ("unix:/run/swapd.sock", UnixAddress("/run/swapd.sock")),
        ("unix:swapd.sock", UnixAddress("swapd.sock")),
        ("unix:/a:b,c d", UnixAddress("/a:b,c d")),
    ],
)
def test_an_address_is_read(written: str, read: Address) -> None:
    assert parse(written) == read


@pytest.mark.parametrize(
    "address",
    ["", "8080", "127.0.0.1", "127.0.0.1:", "h:70000", "h:-1", "h:x", "h:٣", "::1:80", "[h]:80"],
)
def test_a_bad_address_is_answered_with_good_ones(address: str) -> None:
    with pytest.raises(CannotStart, match=r"looks like 127\.0\.0\.1:8080, \[::1\]:8080"):
        parse(address)


@pytest.mark.parametrize("address", ["unix:", "unix:/run/", "unix:/a\0b"])
def test_a_bad_place_for_a_unix_socket_is_answered_with_a_good_one(address: str) -> None:
    with pytest.raises(CannotStart, match=r"looks like unix:/run/swapd\.sock"):
        parse(address)
