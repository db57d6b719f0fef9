"""Headers as people may see them."""

from __future__ import annotations

import base64

import pytest

from swapd.web.auth import Keys
from swapd.web.redaction import REDACTED, shown_headers

KEYS = Keys(["sesame-open"])


def test_headers_have_their_usual_names_and_their_first_values() -> None:
    headers = [(b"content-type", b"a"), (b"X-REQUEST-id", b"b"), (b"Content-Type", b"c")]
    assert shown_headers(headers, KEYS) == {"Content-Type": "a", "X-Request-Id": "b"}


@pytest.mark.parametrize(
    "name",
    [
        *("authorization", "Proxy-Authorization", "COOKIE", "set-cookie", "x-api-key"),
        *("Api-Key", "x-goog-api-key"),
    ],
)
def test_what_is_a_secret_by_its_name_is_not_told(name: str) -> None:
    assert [*shown_headers([(name.encode(), b"x")], Keys([])).values()] == [REDACTED]


@pytest.mark.parametrize(
    "value",
    [b"sesame-open", b"Bearer sesame-open", b"a=1; key=sesame-open", b'"sesame-open", other'],
)
def test_a_key_of_ours_is_not_told_wherever_it_stands(value: bytes) -> None:
    assert shown_headers([(b"x-anything", value)], KEYS) == {"X-Anything": REDACTED}


def test_what_is_no_key_is_told() -> None:
    password = base64.b64encode(b"me:other-word").decode()
    headers = [(b"x-anything", b"sesame"), (b"user-agent", password.encode()), (b"x-odd", b"\xe9")]
    told = shown_headers(headers, KEYS)
    assert told == {"X-Anything": "sesame", "User-Agent": password, "X-Odd": "é"}
