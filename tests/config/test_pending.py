"""What a configuration sets that has no effect yet is named."""

from __future__ import annotations

import pytest

from swapd.config.load import parse
from swapd.config.pending import pending

PLAIN = "models:\n  a:\n    cmd: server ${PORT}\n"


def test_a_plain_configuration_has_its_full_effect() -> None:
    assert list(pending(parse(PLAIN, "c.yaml"))) == []


@pytest.mark.parametrize(
    ("written", "named"),
    [
        ("server: {fastTransport: false}\n", "server.fastTransport"),
    ],
)
def test_a_key_without_effect_is_named(written: str, named: str) -> None:
    assert list(pending(parse(PLAIN + written, "c.yaml"))) == [named]
