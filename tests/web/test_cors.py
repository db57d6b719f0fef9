"""Which origins are whose, and what browsers are told of them."""

from __future__ import annotations

import pytest

from swapd.web.cors import Origins, is_own, normal, preflight, readable


@pytest.mark.parametrize(
    ("origin", "host", "is_tls"),
    [
        (b"http://localhost:8080", b"localhost:8080", False),
        (b"HTTP://LocalHost:8080", b"localhost:8080", False),
        (b"http://swapd.example", b"swapd.example", False),
        (b"http://swapd.example:80", b"swapd.example", False),
        (b"https://swapd.example", b"swapd.example", False),
        (b"https://swapd.example", b"swapd.example:443", False),
        (b"https://swapd.example:8443", b"swapd.example:8443", True),
        (b"http://[::1]:8080", b"[::1]:8080", False),
    ],
)
def test_a_page_of_swapd_itself_is_no_foreign_one(origin: bytes, host: bytes, is_tls: bool) -> None:
    assert is_own(origin, host, is_tls=is_tls)


@pytest.mark.parametrize(
    ("origin", "host", "is_tls"),
    [
        (b"null", b"localhost:8080", False),
        (b"null", b"null", False),
        (b"", b"", False),
        (b"http://", b"", False),
        (b"http://localhost:3000", b"localhost:8080", False),
        (b"http://localhost", b"localhost:8080", False),
        (b"http://127.0.0.1:8080", b"localhost:8080", False),
        (b"http://localhost.evil.example:8080", b"localhost:8080", False),
        (b"http://localhost:8080.evil.example", b"localhost:8080", False),
        (b"http://localhost:8080@evil.example", b"localhost:8080", False),
        (b"http://evil.example/localhost:8080", b"localhost:8080", False),
        (b"http://localhost:8080 http://evil.example", b"localhost:8080", False),
        (b"ftp://localhost:8080", b"localhost:8080", False),
        (b"chrome-extension://localhost:8080", b"localhost:8080", False),
        (b"https://swapd.example:80", b"swapd.example", False),
        (b"http://swapd.example:8443", b"swapd.example:8443", True),
        (b"localhost:8080", b"localhost:8080", False),
    ],
)
def test_any_other_page_is(origin: bytes, host: bytes, is_tls: bool) -> None:
    assert not is_own(origin, host, is_tls=is_tls)


@pytest.mark.parametrize(
    ("allowed", "origin"),
    [
        ("https://app.example", b"https://app.example"),
        ("https://App.example/", b"https://app.example:443"),
        ("http://localhost:3000", b"http://LOCALHOST:3000"),
        ("app://obsidian.md", b"app://obsidian.md"),
        ("chrome-extension://abcdef", b"chrome-extension://abcdef"),
        ("null", b"null"),
        ("*", b"https://anything.example"),
        ("*", b"null"),
    ],
)
def test_an_origin_that_the_owner_allows_is_trusted(allowed: str, origin: bytes) -> None:
    assert Origins(["https://other.example", allowed]).allow(origin)


@pytest.mark.parametrize(
    "origin",
    [
        b"http://app.example",
        b"https://app.example:8443",
        b"https://app.example.evil.example",
        b"https://a.app.example",
        b"https://app.example@evil.example",
        b"null",
        b"",
        b"*",
    ],
)
def test_no_other_origin_is(origin: bytes) -> None:
    assert not Origins(["https://app.example"]).allow(origin)


def test_what_is_no_origin_stays_as_it_is() -> None:
    assert normal("Null") == "null"
    assert normal("https://a b") == "https://a b"


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        ([], b"Content-Type, Authorization, Accept, X-Requested-With"),
        ([b"Content-Type, Authorization"], b"Content-Type, Authorization"),
        ([b"  X-Custom ,  Accept "], b"X-Custom, Accept"),
        ([b"Valid, Bad Header"], b"Valid"),
        ([b"Bad@Header"], b""),
        ([b""], b""),
        ([b"a,,b", b"c"], b"a, b, c"),
        ([b"x\x80, !#$%&'*+-.^_`|~"], b"!#$%&'*+-.^_`|~"),
        ([b'a b, a@, (a, a), a/b, a\tb, "a", abcXYZ0129'], b"abcXYZ0129"),
    ],
)
def test_a_preflight_may_send_whatever_it_asks_for(asked: list[bytes], allowed: bytes) -> None:
    headers = preflight([(b"access-control-request-headers", value) for value in asked])
    assert headers == [
        (b"access-control-allow-origin", b"*"),
        (b"access-control-allow-methods", b"GET, POST, PUT, PATCH, DELETE, OPTIONS"),
        (b"access-control-allow-headers", allowed),
        (b"access-control-max-age", b"86400"),
    ]


def test_a_models_server_has_the_last_word_on_who_may_read() -> None:
    own = [(b"Access-Control-Allow-Origin", b"*")]
    assert readable(b"https://app.example", own) == own
    assert readable(b"https://app.example", [(b"x", b"y")]) == [
        (b"x", b"y"),
        (b"access-control-allow-origin", b"https://app.example"),
        (b"vary", b"Origin"),
    ]
