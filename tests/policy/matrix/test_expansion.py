"""Sets written out: what people read, and what the solver is held against."""

from __future__ import annotations

import re

import pytest

from swapd.config.matrix import And, Expression, Leaf, Or, Ref
from swapd.ids import ModelId
from swapd.policy.matrix.expansion import MOST, TooManyCombinations, expand
from tests.policy.matrix.sets import built, groups, read

NAMES = "g: gemma, q: qwen, m: mistral, v: voxtral, L: llama70B"


@pytest.mark.parametrize(
    ("sets", "names", "alternatives"),
    [
        ("s: a", "", "a"),
        ("s: a & b", "", "a b"),
        ("s: b & a", "", "a b"),
        ("s: a | b | c", "", "a, b, c"),
        ("s: c | a | c", "", "c, a"),
        ("s: (a | b) & (c | d)", "", "a c, a d, b c, b d"),
        ("s: a | b & c", "", "a, b c"),
        ("s: a & a", "", "a"),
        ("s: +tts & e, llms: g | q | m, tts: +llms & v", "", "e g v, e q v, e m v"),
        ("s: target & +base & b, base: a & b", "", "a b target"),
        ("s: gemma & voxtral", "", "gemma voxtral"),
        ("s: +base & voxtral, base: g | qwen", "g: gemma", "gemma voxtral, qwen voxtral"),
        ("s: g & gemma", "g: gemma", "gemma"),
        ("s: qwen", "qwen: gemma", "gemma"),
        ("s: (g | q | m) & v", NAMES, "gemma voxtral, qwen voxtral, mistral voxtral"),
        ("s: L", NAMES, "llama70B"),
        ("s: target & (a | (a & b))", "", "a target, a b target"),
        ("s: (a | b) & (b | a)", "", "a b, a, b"),
    ],
)
def test_a_set_is_written_out_alternative_by_alternative(
    sets: str, names: str, alternatives: str
) -> None:
    found = [" ".join(models) for models in expand(read(sets, names=names), "s")]
    assert found == alternatives.split(", ")


def test_a_thousand_combinations_are_written_out_and_no_more() -> None:
    assert len(expand(built({"s": And(groups(3, 10))}), "s")) == MOST
    too_many = built({"many": And(groups(6, 10)), "s": And((Ref("many"), Leaf(ModelId("a"))))})
    with pytest.raises(TooManyCombinations, match=re.escape('set "s" has more than 1000 comb')):
        expand(too_many, "s")


def test_what_a_set_is_not_made_of_may_be_as_large_as_it_likes() -> None:
    sets: dict[str, Expression] = {
        "many": And(groups(6, 10)),
        "s": Or((Leaf(ModelId("b")), Leaf(ModelId("a")))),
    }
    assert expand(built(sets), "s") == [("b",), ("a",)]
