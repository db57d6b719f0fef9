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


def test_the_watched_paths_need_no_key() -> None:
    assert KEYS.admit("/health", [])
    assert KEYS.admit("/ready", [])
    assert not KEYS.admit("/health/", [])


def test_without_keys_everybody_may_come_in() -> None:
    assert Keys([]).admit("/v1/models", [])


@pytest.mark.parametrize(
    "value", [b"sesame", b"Token sesame", b"Bearer  sesame extra", b"Bearer other sesame"]
)
def test_an_authorization_that_holds_a_key_anywhere_is_not_passed_on(value: bytes) -> None:
    assert KEYS.without_keys([(b"Authorization", value)]) == []


def test_the_keys_of_others_pass() -> None:
    foreign = [
        (b"authorization", b"Bearer sesames"),
        (b"x-api-key", b"upstream"),
        (b"x-note", b"sesame"),
    ]
    assert KEYS.without_keys(foreign) == foreign
