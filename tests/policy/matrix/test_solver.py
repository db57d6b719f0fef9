"""The solver: the worked examples, and sizes that no product could have."""

from __future__ import annotations

import pytest

from swapd.config.matrix import And, Expression, Leaf, Matrix, Or, Ref
from swapd.ids import ModelId
from swapd.policy.matrix.program import compile_matrix
from swapd.policy.matrix.solver import Choice, solve
from tests.policy.matrix.sets import built, groups, ids, read, target_and

TARGET = ModelId("target")


def chosen(matrix: Matrix, running: str, target: str) -> Choice | None:
    return solve(compile_matrix(matrix), matrix.evict_costs, ModelId(target), ids(running))


@pytest.mark.parametrize(
    ("sets", "costs", "running", "target", "name", "members"),
    [
        ("s: a & b", "", "a b", "a", "s", "a b"),
        ("first: a & b, second: a & c", "", "", "a", "first", "a b"),
        ("first: a & b, second: a & c", "", "b c", "a", "first", "a b"),
        ("s: t & (a | b)", "", "a b", "t", "s", "a t"),
        ("s: t & (a | b)", "b: 2", "a b", "t", "s", "b t"),
        ("s: t & (a | b)", "", "", "t", "s", "a t"),
        ("s: t & a", "", "a z", "t", "s", "a t"),
        ("s: t", "", "c a b", "t", "s", "t"),
        ("mega: +base & e, base: a | b", "", "e", "a", "mega", "a e"),
        ("x: t | u, y: t & u", "", "u", "t", "y", "t u"),
        ("x: t | u, y: t & u", "", "", "t", "x", "t"),
        ("s1: t & a, s2: t & b & c", "a: 2", "a b c", "t", "s1", "a t"),
        ("s1: t & a, s2: t & b & c", "a: 3", "a b c", "t", "s1", "a t"),
        ("s1: t & a, s2: t & b & c", "", "a b c", "t", "s2", "b c t"),
        ("s: t & (a|b) & (c|d)", "", "a b c d", "t", "s", "a c t"),
        ("s: t & (a|b) & (c|d)", "", "d", "t", "s", "a d t"),
        ("p: t & a, q: t & b & +p", "", "a b", "t", "q", "a b t"),
        ("p: a & b, q: a & c", "", "c", "b", "p", "a b"),
    ],
)
def test_the_cheapest_alternative_is_taken_and_of_equal_ones_the_first(
    sets: str, costs: str, running: str, target: str, name: str, members: str
) -> None:
    assert chosen(read(sets, costs=costs), running, target) == Choice(name, ids(members))


def test_a_model_in_no_set_has_no_alternative() -> None:
    assert chosen(read("known: a & b"), "a b", "missing") is None


@pytest.mark.parametrize(
    ("sets", "running", "target", "name", "members"),
    [
        # base counts before mega, for mega is made of it
        ("mega: +base & e, base: a | b", "", "a", "base", "a"),
        ("mega: e & +base, other: a & c, base: a | b", "", "a", "base", "a"),
        ("one: a & b, two: +three & a, three: a & c", "", "a", "one", "a b"),
        ("two: +three & a, one: a & b, three: a & c", "", "a", "three", "a c"),
        ("two: a & (+late | +later), later: a & c, late: a & b", "", "a", "late", "a b"),
    ],
)
def test_a_set_counts_after_those_it_is_made_of(
    sets: str, running: str, target: str, name: str, members: str
) -> None:
    assert chosen(read(sets), running, target) == Choice(name, ids(members))


@pytest.mark.parametrize(
    ("text", "running", "members"),
    [
        # a goes in favour of a & c, which comes after b: at the end both cost 1, and b is first
        ("t & (a | b | (a & c)) & c", "a b c", "b c t"),
        # the same, but with nothing that overlaps
        ("t & (a | b | (a & c))", "a b c", "a c t"),
        ("target & (a | (a & b)) & t", "target a b", "a b t target"),
        # alternatives that hold the same running ones are one, the first
        ("t & (a & d | a & e) & (b | b & m)", "a b", "a b d t"),
        ("t & (a & m | b) & (b | a & u)", "a b", "a b m t"),
        # parts that overlap are taken from the left, whatever is between them
        ("t & (a & m | b) & (c | d) & (a & d | c & b)", "a b c d", "a b c d m t"),
        ("t & (b | a) & (u | z) & (a & c | b)", "a b c z", "a b c t z"),
        ("t & (a | b) & (c | d) & (a | b)", "a b c d", "a b c t"),
    ],
)
def test_what_holds_less_gives_way_before_the_first_is_taken(
    text: str, running: str, members: str
) -> None:
    assert chosen(read(f"s: {text}"), running, "t") == Choice("s", ids(members))


# -- sizes ------------------------------------------------------------------------------


def one_of_each(of: int, one: int) -> str:
    return " ".join(f"model-{group}-{one}" for group in range(of))


@pytest.mark.parametrize("of", [6, 12, 60])
def test_any_number_of_combinations_is_chosen_from(of: int) -> None:
    matrix = built({"large": target_and(*groups(of, 10))})
    running = one_of_each(of, 9)
    assert chosen(matrix, f"{running} outside", TARGET) == Choice(
        "large", ids(f"{running} {TARGET}")
    )


def test_even_if_all_of_their_models_run() -> None:
    matrix = built({"large": target_and(*groups(12, 10))})
    running = " ".join(one_of_each(12, one) for one in range(10))
    assert chosen(matrix, running, TARGET) == Choice("large", ids(f"{one_of_each(12, 0)} {TARGET}"))


def test_even_through_references_and_beside_each_other() -> None:
    half = And(groups(6, 10))
    sets = {
        "half": half,
        "both": target_and(Ref("half"), Or((Ref("half"), Leaf(ModelId("a"))))),
        "none": Or((target_and(Leaf(ModelId("a"))), Ref("both"))),
    }
    running = one_of_each(6, 9)
    assert chosen(built(sets), running, TARGET) == Choice("both", ids(f"{running} {TARGET}"))


def test_many_more_models_than_bits_in_a_word_are_no_trouble() -> None:
    names = " ".join(f"model-{n}" for n in range(70))
    matrix = built({"wide": target_and(*(Leaf(ModelId(name)) for name in names.split()))})
    assert chosen(matrix, f"{names} outside", TARGET) == Choice("wide", ids(f"{names} {TARGET}"))


@pytest.mark.parametrize("last", [Leaf(ModelId("z")), Ref("s1500")])
def test_a_long_chain_of_sets_is_no_trouble(last: Expression) -> None:
    sets: dict[str, Expression] = {"s0": Leaf(ModelId("b"))}
    for n in range(1500):
        sets[f"s{n + 1}"] = And((Ref(f"s{n}"), Leaf(ModelId("a")), Leaf(ModelId(f"m{n % 7}"))))
    sets["end"] = target_and(Ref("s1500"), last)
    found = chosen(built(sets), "a b m3", TARGET)
    assert found is not None
    assert found.set_name == "end"
    assert ids("a b m3") < found.members
