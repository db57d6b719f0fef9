"""Evictions by a matrix: the worked examples, and what a matrix does not say."""

from __future__ import annotations

import pytest

from swapd.ids import ModelId
from swapd.policy.eviction import Decision
from swapd.policy.matrix.eviction import IN_NO_SET, RUNS_ALREADY, MatrixEviction
from tests.policy.matrix.sets import MODELS, built, groups, ids, read, target_and

NAMES = "g: gemma, q: qwen, m: mistral, v: voxtral, e: reranker, L: llama70B"
STANDARD = "standard: (g | q | m) & v, full: L"
LLMS = "llms: g | q | m, with_tts: +llms & v, mega: +with_tts & e"
DOCS = "standard: (g|q|m) & v, with_rerank: (g|q) & v & e, creative: (g|q) & sd, full: L"
DOCS_COSTS = "v: 50, L: 30"


def decided(
    sets: str, running: str, target: str, *, names: str = "", costs: str = ""
) -> tuple[frozenset[ModelId], str, int]:
    policy = MatrixEviction(read(sets, names=names, costs=costs), ids(" ".join(MODELS)))
    found = policy.victims(ModelId(target), ids(running))
    return found.evict, found.rule, found.cost


@pytest.mark.parametrize(
    ("sets", "names", "costs", "running", "target", "evicted", "rule", "cost"),
    [
        (STANDARD, NAMES, "L: 30, v: 50", "voxtral", "gemma", "", "set standard", 0),
        (STANDARD, NAMES, "L: 30, v: 50", "voxtral", "llama70B", "voxtral", "set full", 50),
        (STANDARD, NAMES, "L: 30, v: 50", "gemma voxtral", "gemma", "", "set standard", 0),
        (LLMS, NAMES, "", "gemma voxtral", "reranker", "", "set mega", 0),
        ("combo: gemma & voxtral", "", "", "voxtral", "gemma", "", "set combo", 0),
        ("base: g|qwen, combo: +base & voxtral", "g: gemma", "", "voxtral", "qwen",
         "", "set combo", 0),
        ("combo: g & gemma", "g: gemma", "", "", "gemma", "", "set combo", 0),
        ("combo: qwen", "qwen: gemma", "", "", "gemma", "", "set combo", 0),
        ("combo: qwen", "qwen: gemma", "", "gemma", "qwen", "gemma", IN_NO_SET, 1),
        ("base: a & b, extended: target & +base & b", "", "", "a b", "target",
         "", "set extended", 0),
        ("preferred: target & (a | (a & b))", "", "", "a b", "target", "", "set preferred", 0),
        ("known: a & b", "", "", "a b", "missing", "a b", IN_NO_SET, 2),
        ("known: a & b", "", "", "", "missing", "", IN_NO_SET, 0),
        ("a_with_c: a & c, a_with_b: a & b", "", "b: 10, c: 1", "b c", "a",
         "c", "set a_with_b", 1),
        ("s_a: a, s_b: b", "", "", "a", "b", "a", "set s_b", 1),
        ("s_ab: a & b", "", "", "a", "b", "", "set s_ab", 0),
        ("s: t", "", "", "c a b", "t", "a b c", "set s", 3),
        ("s: t & a", "", "", "a z", "t", "z", "set s", 1),
        ("s1: t & a, s2: t & b & c", "", "a: 2", "a b c", "t", "b c", "set s1", 2),
        ("s: t & (a|b) & (c|d)", "", "", "a b c d", "t", "b d", "set s", 2),
        ("s: t & (a | b | (a & c)) & c", "", "", "a b c", "t", "a", "set s", 1),
        (DOCS, "", DOCS_COSTS, "g v", "q", "g", "set standard", 1),
        (DOCS, "", DOCS_COSTS, "g v", "e", "", "set with_rerank", 0),
        (DOCS, "", DOCS_COSTS, "g v e", "m", "e g", "set standard", 2),
        (DOCS, "", DOCS_COSTS, "g v", "sd", "v", "set creative", 50),
        (DOCS, "", DOCS_COSTS, "g sd", "q", "g", "set creative", 1),
        (DOCS, "", DOCS_COSTS, "e g v", "L", "e g v", "set full", 52),
        (DOCS, "", DOCS_COSTS, "L", "g", "L", "set standard", 30),
    ],
)  # fmt: skip
def test_a_set_says_who_must_go(
    sets: str,
    names: str,
    costs: str,
    running: str,
    target: str,
    evicted: str,
    rule: str,
    cost: int,
) -> None:
    found = decided(sets, running, target, names=names, costs=costs)
    assert found == (ids(evicted), rule, cost)


def test_a_million_combinations_name_whoever_stands_outside() -> None:
    matrix = built({"large": target_and(*groups(6, 10))})
    inside = ids(" ".join(f"model-{n}-9" for n in range(6)))
    policy = MatrixEviction(matrix, {*inside, *ids("target outside")})
    found = policy.victims(ModelId("target"), inside | ids("outside"))
    assert found == Decision(ids("outside"), rule="set large", cost=1)


def test_a_model_that_runs_already_evicts_nobody_even_where_no_set_allows_it() -> None:
    assert decided("s: g | q", "g q", "g") == (frozenset(), RUNS_ALREADY, 0)
    assert decided("s: g | q", "z q", "z") == (frozenset(), RUNS_ALREADY, 0)


def test_where_a_set_allows_what_runs_it_is_named() -> None:
    assert decided("s: g | q, t: g & q, u: g & q", "g q", "g") == (frozenset(), "set t", 0)


@pytest.mark.parametrize(
    ("running", "target", "evicted", "rule"),
    [
        ("gone", "a", "gone", "set s"),
        ("a gone", "b", "gone", "set s"),
        ("a b gone", "a", "gone", "set s"),
        ("a c gone", "a", "gone", RUNS_ALREADY),
        ("a gone", "c", "a gone", IN_NO_SET),
        ("c gone", "c", "gone", RUNS_ALREADY),
    ],
)
def test_what_the_configuration_does_not_have_any_more_goes(
    running: str, target: str, evicted: str, rule: str
) -> None:
    policy = MatrixEviction(read("s: a & b"), ids("a b c"))
    found = policy.victims(ModelId(target), ids(running))
    assert found == Decision(ids(evicted), rule, cost=len(ids(evicted)))


def test_nobody_evicts_itself_not_even_when_it_is_not_configured_any_more() -> None:
    policy = MatrixEviction(read("s: a & b"), ids("a b"))
    assert policy.victims(ModelId("gone"), ids("a gone")).evict == ids("a")


def test_the_same_question_gets_the_same_answer_whatever_the_order() -> None:
    policy = MatrixEviction(read("s: t & (a | b)"), ids(" ".join(MODELS)))
    asked = [policy.victims(ModelId("t"), set(map(ModelId, names))) for names in ("ab", "ba")]
    assert asked[0] == asked[1] == Decision(ids("b"), rule="set s", cost=1)
