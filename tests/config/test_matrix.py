"""The language of sets: what it means, and how its mistakes are pointed out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapd.config.matrix import And, Expression, Leaf, Matrix, ModelSet, Or, Ref
from swapd.config.set_language import BadSet, parse_set
from swapd.ids import ModelId
from tests.config.reading import complaint, complaints, read


def parsed(text: str) -> Expression:
    return parse_set(text, name=lambda name, _: Leaf(ModelId(name)), ref=lambda name, _: Ref(name))


A, B, C, D = (Leaf(ModelId(name)) for name in "abcd")


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("a", A),
        ("a & b", And((A, B))),
        ("a|b|c", Or((A, B, C))),
        ("(a | b) & (c | d)", And((Or((A, B)), Or((C, D))))),
        ("a | b & c", Or((A, And((B, C))))),
        ("a & a", And((A, A))),
        ("((a))", A),
        ("(a | +base) & b", And((Or((A, Ref("base"))), B))),
        (" a\n  &\tb ", And((A, B))),
        ("model-name.v2_x", Leaf(ModelId("model-name.v2_x"))),
        ("modèle", Leaf(ModelId("modèle"))),
    ],
)
def test_expressions_are_read(text: str, expression: Expression) -> None:
    assert parsed(text) == expression


@pytest.mark.parametrize(
    ("text", "message", "offset"),
    [
        ("", "the set is empty", 0),
        ("  \n", "the set is empty", 0),
        ("(a", "this parenthesis is never closed", 0),
        ("a)", 'unexpected ")", & or | is missing', 1),
        ("()", 'unexpected ")", a model is missing', 1),
        ("a b", 'unexpected "b", & or | is missing', 2),
        ("(a b)", 'unexpected "b", & or | is missing', 3),
        ("a &", "unexpected end, a model is missing", 3),
        ("| a", 'unexpected "|", a model is missing', 0),
        ("a && b", 'unexpected "&", a model is missing', 3),
        ("+", "+ must be followed by the name of a set", 0),
        ("+ t", "+ must be followed by the name of a set", 0),
        ("a @ b", "unexpected character '@'", 2),
        ("org/model", "unexpected character '/'", 3),
        ("(" * 60 + "a" + ")" * 60, "too many parentheses within each other", 50),
    ],
)
def test_a_mistake_is_named_with_its_offset(text: str, message: str, offset: int) -> None:
    with pytest.raises(BadSet) as caught:
        parsed(text)
    assert (str(caught.value), caught.value.offset) == (message, offset)


@given(st.text("ab&|()+ @\n", max_size=30))
def test_no_text_is_a_crash(text: str) -> None:
    offset = 0
    try:
        parsed(text)
    except BadSet as bad:
        offset = bad.offset
    assert 0 <= offset <= len(text)


MODELS = "\nmodels:\n" + "".join(
    f"  {name}: {{cmd: '${{PORT}}', aliases: [{name}-alias]}}\n"
    for name in ("gemma", "qwen", "mistral", "voxtral", "llama70B", "reranker", "a", "b", "c")
)


def matrix(sets: str, rest: str = "") -> Matrix:
    found = read(f"matrix: {{sets: {sets}{rest}}}{MODELS}").routing.matrix
    assert found is not None
    return found


def allows(found: Matrix, *models: str) -> bool:
    return found.allows([ModelId(model) for model in models])


def test_sets_keep_the_order_of_the_file_and_count_after_those_they_use() -> None:
    found = matrix("{zzz: +mmm & a, mmm: b | c, aaa: a, s10: a, s9: +zzz, '10': a, '9': a}")
    assert list(found.sets) == ["zzz", "mmm", "aaa", "s10", "s9", "10", "9"]
    assert found.order == ("mmm", "zzz", "aaa", "s10", "s9", "10", "9")
    assert found.sets["zzz"] == ModelSet("zzz", "+mmm & a", And((Ref("mmm"), A)))


def test_names_are_variables_before_they_are_models() -> None:
    found = matrix("{s: g & gemma, t: qwen}", ", vars: {g: gemma, qwen: gemma}")
    gemma = Leaf(ModelId("gemma"))
    assert found.sets["s"].expression == And((gemma, gemma))
    assert found.sets["t"].expression == gemma


def test_costs_are_known_by_model() -> None:
    found = matrix(
        "{s: g}",
        ", vars: {g: gemma, L: llama70B}, evict_costs: {L: 30, g: 5, mistral: 10, gemma: 5}",
    )
    assert found.evict_costs == {"llama70B": 30, "gemma": 5, "mistral": 10}


def test_an_evict_cost_is_a_whole_number_where_it_is_read() -> None:
    assert matrix("{s: a}", ", evict_costs: {a: 1.5}").evict_costs == {"a": 1}


@pytest.mark.parametrize(
    ("sets", "models", "allowed"),
    [
        ("{s: a}", "", True),
        ("{s: a}", "a", True),
        ("{s: a | b}", "a b", False),
        ("{s: a & b}", "a b", True),
        ("{s: a, t: b}", "a b", False),
        ("{s: (a | b) & c}", "a c", True),
        ("{s: (a | b) & c}", "b c", True),
        ("{s: (a | b) & c}", "a b c", False),
        ("{s: (a | (a & b)) & c}", "a b c", True),
        ("{s: +t & c, t: a | b}", "b c", True),
        ("{s: +t & c, t: +u | b, u: a & qwen}", "a c qwen", True),
        ("{s: a & b}", "a c", False),
    ],
)
def test_the_matrix_says_what_may_run_together(sets: str, models: str, allowed: bool) -> None:
    assert allows(matrix(sets), *models.split()) is allowed


def test_a_long_chain_of_sets_and_a_million_combinations_are_no_trouble() -> None:
    chain = ", ".join(f"s{n}: +s{n + 1} & a" for n in range(1500))
    assert allows(matrix(f"{{{chain}, s1500: b}}"), "a", "b")
    groups = [[Leaf(ModelId(f"m{i}-{j}")) for j in range(11)] for i in range(6)]
    whole = ModelSet("s", "", And((A, *(Or(tuple(group)) for group in groups))))
    found = Matrix({"s": whole}, ("s",), {})
    assert allows(found, "a", *(f"m{i}-9" for i in range(6)))
    assert not allows(found, "m0-1", "m0-2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "1:1: matrix: at least one set is needed"),
        ("{sets: {}}", "1:16: matrix.sets: at least one set is needed"),
        ("{sets: [a]}", "1:16: matrix.sets: must be a mapping, not a list"),
        ("{sets: {s: [a]}}", "1:20: matrix.sets.s: must be text, not a list"),
        ("{sets: {s: ''}}", "1:20: matrix.sets.s: the set is empty"),
        ("{sets: {s: ~}}", "1:20: matrix.sets.s: must be text, not empty"),
        (
            "{sets: {s: a & (b | gema)}}",
            '1:20: matrix.sets.s: unknown variable or model "gema", did you mean gemma?\n'
            "    a & (b | gema)\n"
            "             ^",
        ),
        (
            "{sets: {s: gemma-alias}}",
            '1:20: matrix.sets.s: "gemma-alias" is an alias, write "gemma"\n    gemma-alias\n    ^',
        ),
        ("{sets: {s: t, t: a}}", '1:20: matrix.sets.s: "t" is a set, write +t\n    t\n    ^'),
        (
            "{sets: {s: a & +tt, t1: a}}",
            '1:20: matrix.sets.s: there is no set "tt"\n    a & +tt\n        ^',
        ),
        (
            "{sets: {a1: +b1, b1: +a1}}",
            "1:21: matrix.sets.a1: sets must not refer to each other in a circle: "
            '"a1" -> "b1" -> "a1"',
        ),
        (
            "{sets: {p: +q, q: +r | a, r: +q}}",
            '1:27: matrix.sets.q: sets must not refer to each other in a circle: "q" -> "r" -> "q"',
        ),
        ("{vars: {a_b: a}, sets: {s: a}}", "1:17: matrix.vars.a_b: the name of a variable is 1 to"),
        (f"{{vars: {{{'a' * 33}: a}}, sets: {{s: a}}}}", f"1:17: matrix.vars.{'a' * 33}: the name"),
        ("{vars: {'': a}, sets: {s: a}}", "1:17: matrix.vars.: the name of a variable is 1 to 32"),
        ("{vars: {x: nobody}, sets: {s: x}}", '1:20: matrix.vars.x: unknown model "nobody"'),
        ("{vars: {x: a-alias}, sets: {s: x}}", '1:20: matrix.vars.x: "a-alias" is an alias, write'),
        ("{evict_costs: {a: 0}, sets: {s: a}}", "1:27: matrix.evict_costs.a: must be at least 1"),
        ("{evict_costs: {x: 1}, sets: {s: a}}", "1:24: matrix.evict_costs.x: unknown variable or"),
        (
            "{vars: {x: a}, evict_costs: {x: 1, a: 2}, sets: {s: a}}",
            '1:47: matrix.evict_costs.a: "a" has another cost already, 1',
        ),
    ],
)
def test_what_makes_no_matrix_is_told(text: str, message: str) -> None:
    assert complaint(f"matrix: {text}{MODELS}").startswith(message)


def test_a_mistake_in_a_long_set_is_found_in_its_line() -> None:
    text = "matrix:\n  sets:\n    s: |\n      a &\n      (b |\n       zz) & c\n"
    assert complaint(text + MODELS) == (
        '6:1: matrix.sets.s: unknown variable or model "zz"\n     zz) & c\n     ^'
    )


def test_a_mistake_far_to_the_right_is_shown_with_what_is_around_it() -> None:
    text = " & ".join(["gemma"] * 40)
    found = complaint(f"matrix: {{sets: {{s: {text} @ {text}}}}}{MODELS}")
    _, line, caret = found.split("\n")
    assert line[caret.index("^")] == "@"
    assert len(line) < 80


def test_macros_work_in_sets() -> None:
    text = f"macros: {{chat: gemma | qwen}}\nmatrix: {{sets: {{s: '(${{chat}}) & a'}}}}{MODELS}"
    found = read(text).routing.matrix
    assert found
    assert allows(found, "qwen", "a")


def test_every_broken_set_is_told() -> None:
    assert len(complaints(f"matrix: {{sets: {{s: (, t: +x, u: a}}}}{MODELS}")) == 2


def test_every_mistake_of_a_set_is_told_once() -> None:
    found = complaints(f"matrix: {{sets: {{s: x & y | x & +z}}}}{MODELS}")
    assert [line.partition(": matrix.sets.s: ")[2].partition("\n")[0] for line in found] == [
        'unknown variable or model "x"',
        'unknown variable or model "y"',
        'there is no set "z"',
    ]


def test_circles_are_told_beside_other_mistakes() -> None:
    sets = "s: nobody, a1: +a2, a2: +a1 | x1, b1: +b1, c1: +gone"
    found = complaints(f"matrix: {{sets: {{{sets}}}}}{MODELS}")
    assert len(found) == 5
    assert sum("in a circle" in problem for problem in found) == 2
