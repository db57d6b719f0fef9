"""Which requests bring a key, and which headers hold one."""

from __future__ import annotations

import base64

import pytest

from swapd.web.auth import Keys

KEYS = Keys(["sesame", "second"])


def basic(credentials: bytes) -> bytes:
    return b"Basic " + base64.b64encode(credentials)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"x-api-key", b"sesame"),
        (b"X-Api-Key", b" second "),
        (b"authorization", b"Bearer sesame"),
        (b"Authorization", b"bEaReR  sesame"),
        (b"authorization", basic(b"anyone:sesame")),
        (b"authorization", basic(b":sesame").replace(b"Basic", b"basic")),
    ],
)
def test_a_key_is_found_wherever_clients_put_it(name: bytes, value: bytes) -> None:
    assert KEYS.admit("/v1/models", [(b"host", b"x"), (name, value)])
    assert KEYS.without_keys([(b"host", b"x"), (name, value)]) == [(b"host", b"x")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"x-api-key", b"Sesame"),
        (b"x-api-key", b""),
        (b"x-key", b"sesame"),
        (b"authorization", b"Bearer open sesame"),
        (b"authorization", b"sesame"),
        (b"authorization", basic(b"sesame:other")),
        (b"authorization", b"Basic not-base64"),
        (b"authorization", b""),
    ],
)
def test_anything_else_opens_nothing(name: bytes, value: bytes) -> None:
    assert not KEYS.admit("/v1/models", [(name, value)])


@pytest.mark.parametrize("path", ["/health", "/wol-health", "/ready", "/", "/favicon.ico"])
def test_what_says_nothing_needs_no_key(path: str) -> None:
    assert KEYS.admit(path, [])
    assert not KEYS.admit(path + "/", [])


def test_without_keys_everybody_may_come_in() -> None:
    assert Keys([]).admit("/v1/models", [])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"Authorization", b"sesame"),
        (b"Authorization", b"Token sesame"),
        (b"Authorization", b"Bearer  sesame extra"),
        (b"Authorization", b"Bearer other sesame"),
        (b"authorization", basic(b"sesame:other")),
        (b"api-key", b" sesame "),
        (b"cookie", b'a=b; key="sesame"'),
        (b"sec-websocket-protocol", b"realtime,sesame"),
    ],
)
def test_a_header_that_holds_a_key_anywhere_is_not_passed_on(name: bytes, value: bytes) -> None:
    assert KEYS.without_keys([(name, value)]) == []


@pytest.mark.parametrize(
    "value",
    [
        b"http://localhost/?api_key=open-sesame&x=1",
        b"openai-insecure-api-key.open-sesame",
        b"open-sesame:x",
        b"{'key':'open-sesame'}",
        b"x=1&key=aa+b/c==&y=2",
    ],
)
def test_a_key_that_is_long_enough_is_found_within_any_text(value: bytes) -> None:
    keys = Keys(["open-sesame", "aa+b/c==", "sesame"])
    assert keys.without_keys([(b"referer", value)]) == []


def test_a_key_that_is_part_of_another_word_is_none() -> None:
    keys = Keys(["open-sesame", "json"])
    others = [
        (b"x-api-key", b"open-sesames"),
        (b"x-api-key", b"re-open-sesame"),
        (b"x-api-key", b"open-sesame-2"),
        (b"accept", b"application/json;q=1"),  # short words are no secrets within others
    ]
    assert keys.without_keys(others) == others


def test_a_key_may_hold_what_stands_between_words() -> None:
    keys = Keys(["a=b;c,d==", "e=="])
    for header in (
        (b"authorization", b"Bearer a=b;c,d=="),
        (b"x-api-key", b"a=b;c,d=="),
        (b"authorization", basic(b"x:a=b;c,d==")),
        (b"cookie", b"x=y; key=e==; z=w"),
    ):
        assert keys.without_keys([header]) == []


def test_every_key_that_came_is_tried() -> None:
    wrong, right = (b"authorization", b"Bearer wrong"), (b"x-api-key", b"sesame")
    assert KEYS.admit("/v1/models", [wrong, right])
    assert KEYS.admit("/v1/models", [right, wrong])
    assert KEYS.admit("/v1/models", [(b"x-api-key", b"wrong"), (b"x-api-key", b"second")])
    assert KEYS.admit("/v1/models", [wrong, (b"authorization", basic(b":sesame"))])


def test_a_password_that_a_browser_sends_by_itself_does_not_vouch_for_a_page() -> None:
    assert KEYS.vouch([(b"authorization", b"Bearer sesame")])
    assert KEYS.vouch([(b"x-api-key", b"sesame")])
    assert not KEYS.vouch([(b"authorization", basic(b":sesame"))])
    assert not Keys([]).vouch([(b"x-api-key", b"")])


def test_the_keys_of_others_pass() -> None:
    foreign = [
        (b"authorization", b"Bearer sesames"),
        (b"x-api-key", b"upstream"),
        (b"x-note", b"sesames"),
        (b"x-empty", b""),
    ]
    assert KEYS.without_keys(foreign) == foreign


@pytest.mark.parametrize(
    "header",
    [
        (b"x-api-key", b"second"),
        (b"authorization", b"Bearer second"),
        (b"authorization", basic(b"anyone:second")),
    ],
)
def test_a_key_has_one_name_wherever_it_stands_and_however_it_is_brought(
    header: tuple[bytes, bytes],
) -> None:
    name = KEYS.name_of([(b"host", b"x"), header])
    assert name is not None
    assert name == Keys(["second"]).name_of([header])
    assert name == Keys(["other", "second"]).name_of([header])
    assert name != KEYS.name_of([(b"x-api-key", b"sesame")])


def test_a_name_tells_little_of_its_key() -> None:
    name = KEYS.name_of([(b"x-api-key", b"sesame")])
    assert name is not None
    assert name.startswith("key-")
    assert len(name) == len("key-") + 6


def test_whoever_brings_no_key_has_no_name() -> None:
    assert KEYS.name_of([(b"x-api-key", b"wrong"), (b"authorization", b"Bearer no")]) is None
    assert Keys([]).name_of([(b"x-api-key", b"sesame")]) is None
