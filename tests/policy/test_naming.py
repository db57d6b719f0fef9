"""Which model a name means."""

from __future__ import annotations

import pytest

from swapd.errors import UnknownModel
from swapd.ids import ModelId
from swapd.policy.naming import Names

NAMES = Names({ModelId("alpha"): ["gpt-4o", "beta"], ModelId("beta"): []})


@pytest.mark.parametrize(
    ("name", "model"), [("alpha", "alpha"), ("gpt-4o", "alpha"), ("beta", "beta")]
)
def test_an_id_beats_an_alias(name: str, model: str) -> None:
    assert NAMES.resolve(name) == model


@pytest.mark.parametrize("name", ["Alpha", " alpha", "alphabet soup", ""])
def test_only_the_exact_name_counts(name: str) -> None:
    with pytest.raises(UnknownModel):
        NAMES.resolve(name)


def test_a_near_miss_is_told_what_comes_near() -> None:
    with pytest.raises(UnknownModel, match=r"there is no model 'alhpa'; did you mean 'alpha'\?"):
        NAMES.resolve("alhpa")


def test_an_endless_name_is_cut() -> None:
    with pytest.raises(UnknownModel) as unknown:
        NAMES.resolve("x" * 100_000)
    assert len(str(unknown.value)) < 300
