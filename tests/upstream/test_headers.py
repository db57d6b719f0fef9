"""What goes on and what ends here, as pure functions."""

from __future__ import annotations

import pytest

from swapd.upstream.headers import for_client, for_upstream


@pytest.mark.parametrize(
    "name",
    [
        "Connection",
        "keep-alive",
        "proxy-connection",
        "Proxy-Authenticate",
        "proxy-authorization",
        "TE",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
        "expect",
    ],
)
def test_what_concerns_one_hop_is_not_sent_upstream(name: str) -> None:
    headers = [(name.encode(), b"x"), (b"accept", b"*/*")]

    assert for_upstream(headers, client=None) == [(b"accept", b"*/*")]


def test_what_a_connection_header_names_is_not_sent_upstream() -> None:
    headers = [
        (b"connection", b"keep-alive, X-One"),
        (b"Connection", b" x-TWO "),
        (b"X-One", b"1"),
        (b"x-two", b"2"),
        (b"x-three", b"3"),
    ]

    assert for_upstream(headers, client=None) == [(b"x-three", b"3")]


def test_everything_else_goes_upstream_untouched_and_in_order() -> None:
    headers = [
        (b"host", b"swapd.example:8080"),
        (b"x", b"2"),
        (b"Authorization", b"Bearer s"),
        (b"x", b"1"),
        (b"user-agent", b"caf\xe9"),
    ]

    assert for_upstream(headers, client=None) == headers


def test_the_client_is_appended_to_those_that_a_request_was_forwarded_for() -> None:
    headers = [(b"x-forwarded-for", b"1.2.3.4"), (b"a", b"b"), (b"X-Forwarded-For", b"5.6.7.8")]

    assert for_upstream(headers, client="127.0.0.1") == [
        (b"a", b"b"),
        (b"x-forwarded-for", b"1.2.3.4, 5.6.7.8, 127.0.0.1"),
    ]
    assert for_upstream([], client="::1") == [(b"x-forwarded-for", b"::1")]
    assert for_upstream(headers, client=None) == headers


def test_a_response_passes_but_for_what_concerns_one_hop() -> None:
    kept = [
        (b"date", b"Thu, 01 Jan 1970 00:00:00 GMT"),
        (b"server", b"llama.cpp"),
        (b"set-cookie", b"a=1"),
        (b"content-length", b"5"),
        (b"set-cookie", b"b=2"),
    ]

    assert for_client([(b"connection", b"x-own"), *kept, (b"x-own", b"1")]) == kept


def test_what_has_no_body_is_not_said_to_have_a_length() -> None:
    headers = [(b"etag", b"x"), (b"Content-Length", b"5")]
    assert for_client(headers, status=204) == [(b"etag", b"x")]
    assert for_client(headers, status=304) == headers  # it tells of the body that there would be


def test_an_event_stream_tells_proxies_not_to_hold_it_back() -> None:
    events = (b"content-type", b"Text/Event-Stream; charset=utf-8")

    assert for_client([events]) == [events, (b"x-accel-buffering", b"no")]
    assert for_client([events, (b"X-Accel-Buffering", b"yes")]) == [
        events,
        (b"X-Accel-Buffering", b"yes"),
    ]
    assert for_client([(b"content-type", b"text/html")]) == [(b"content-type", b"text/html")]


def test_forwarded_addresses_that_connection_names_end_here() -> None:
    headers = [(b"Connection", b"x-forwarded-for"), (b"X-Forwarded-For", b"10.0.0.9")]
    assert for_upstream(headers, client="10.0.0.1") == [(b"x-forwarded-for", b"10.0.0.1")]
