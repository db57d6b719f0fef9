"""Environment variables are data: whatever they hold, they never change what a file says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapd.config.document import read_document
from swapd.config.environment import with_environment
from swapd.config.problems import Problems
from swapd.config.tree import Plain, Scalar, find, plain
from tests.config.reading import complaint, complaints, model, read


def filled(text: str, **environ: str) -> Plain:
    problems = Problems()
    tree = with_environment(read_document(text, "c.yaml", problems), environ, problems)
    problems.raise_if_any()
    return plain(tree)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: ${env.V}", "C:\\a\\b"),
        ("a: '${env.V}'", "C:\\a\\b"),
        ('a: "${env.V}"', "C:\\a\\b"),
        ("a: |-\n  ${env.V}", "C:\\a\\b"),
        ("a: >-\n  x\n  ${env.V}", "x C:\\a\\b"),
        ("a: [${env.V}]", ["C:\\a\\b"]),
        ("a: {b: ${env.V}, c: ${env.V}}", {"b": "C:\\a\\b", "c": "C:\\a\\b"}),
        ("a: ${env.1A} ${env.} ${env}", "${env.1A} ${env.} ${env}"),
        ("a: 1 # ${env.GONE}", 1),
    ],
)
def test_a_value_arrives_as_it_is_wherever_it_is_put(text: str, value: Plain) -> None:
    assert filled(text, V="C:\\a\\b") == {"a": value}


@pytest.mark.parametrize(
    "value", ["it's", 'say "x"', "a: b", "a # b", "- a", "[", "{", "*x", "&x", "!x", "|", "%", "@"]
)
@pytest.mark.parametrize("context", ["a: ${env.V}", "a: '${env.V}'", 'a: "${env.V}"'])
def test_no_value_is_taken_for_structure(context: str, value: str) -> None:
    assert filled(context, V=value) == {"a": value}


@pytest.mark.parametrize(
    ("value", "as_whole", "as_text"),
    [("60", 60, "60"), ("0x10", 16, "0x10"), ("010", 8, "010"), ("1e2", 100, "1e2")],
)
def test_a_plain_value_takes_the_type_that_is_wanted(
    value: str, as_whole: int, as_text: str
) -> None:
    text = "models: {m: {cmd: '${PORT}', ttl: ${env.V}, name: ${env.V}, metadata: {v: ${env.V}}}}"
    found = model(text, {"V": value})
    assert found.ttl == as_whole
    assert found.name == as_text
    assert found.metadata == {"v": as_whole}


def test_a_quoted_value_stays_text() -> None:
    assert (
        complaint("globalTTL: '${env.V}'", {"V": "60"})
        == "1:12: globalTTL: must be a whole number, not text; remove the quotes"
    )
    text = "models: {m: {cmd: '${PORT}', metadata: {v: '${env.V}'}}}"
    assert model(text, {"V": "60"}).metadata == {"v": "60"}


@pytest.mark.parametrize(
    ("text", "value", "port"),
    [
        ("startPort: 58${env.V}", "06", "5806"),
        ("startPort: ${env.V}${env.V}", "66", "6666"),
        ("startPort: ${env.V}00", "6", "600"),
    ],
)
def test_a_part_of_a_number_makes_a_number(text: str, value: str, port: str) -> None:
    found = model(f"{text}\nmodels: {{m: {{cmd: 'x ${{PORT}}'}}}}", {"V": value})
    assert found.argv == ("x", port)


def test_text_around_a_value_is_kept_digit_by_digit() -> None:
    text = "models: {m: {cmd: '${PORT}', metadata: {v: 1.${env.V}, w: v${env.V}}}}"
    assert model(text, {"V": "10"}).metadata == {"v": "1.10", "w": "v10"}


def test_keys_are_filled_too() -> None:
    assert filled("${env.V}: 1\n'b-${env.V}': 2", V="a") == {"a": 1, "b-a": 2}
    assert list(read("models: {'${env.V}': {cmd: '${PORT}'}}", {"V": "123"}).models) == ["123"]


def test_two_keys_that_become_one_are_a_problem() -> None:
    assert complaint("models: {}\nmacros: {a: 1, '${env.V}': 2}", {"V": "a"}) == (
        "2:16: macros.a: this key is set twice, first in line 2"
    )


def test_keys_of_ones_own_need_no_variable() -> None:
    assert read("x-mine: ${env.GONE}\nhome: &home {a: '${env.GONE}'}").warnings == ()


def test_an_empty_plain_value_is_null_and_a_quoted_one_is_empty() -> None:
    assert filled("a: ${env.V}\nb: '${env.V}'", V="") == {"a": None, "b": ""}


@pytest.mark.parametrize("keys", ["[${env.K}]", "['${env.K}']", "[good, ${env.K}]"])
def test_an_empty_key_never_opens_the_door(keys: str) -> None:
    (problem,) = complaints(f"apiKeys: {keys}", {"K": ""})
    assert "apiKeys[" in problem


def test_keys_come_from_the_environment_digit_by_digit() -> None:
    config = read("apiKeys: [${env.A}, '${env.B}', c]", {"A": "0123456789e5", "B": "b"})
    assert config.api_keys == ("0123456789e5", "b", "c")


def test_a_variable_that_is_not_set_is_named_where_it_is_used() -> None:
    text = "macros: {a: '${env.ONE}'}\nmodels:\n  m:\n    cmd: x ${PORT} ${env.TWO}\n"
    assert complaints(text) == [
        "1:13: macros.a: the environment variable ONE is not set",
        "4:10: models.m.cmd: the environment variable TWO is not set",
    ]


def test_an_anchor_is_complained_of_once() -> None:
    text = "x-a: &a {env: ['A=${env.ONE}']}\nmodels:\n"
    text += "  m: {<<: *a, cmd: '${PORT}'}\n  n: {<<: *a, cmd: '${PORT}'}\n"
    assert len(complaints(text)) == 1


def test_a_comment_in_a_command_needs_no_variable() -> None:
    text = "models:\n  m:\n    cmd: |\n      # ${env.GONE} isn't\n      x ${PORT} ${env.V}\n"
    assert model(text, {"V": "here"}).argv == ("x", "5800", "here")


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b", "a\ud800"])
def test_a_value_that_is_no_line_of_text_is_refused(value: str) -> None:
    assert complaint("globalTTL: 1\nlogLevel: '${env.V}'", {"V": value}) == (
        "2:11: logLevel: the environment variable V holds newlines or is no text"
    )


def test_a_macro_in_a_value_is_put_in_and_a_variable_is_not() -> None:
    text = "macros: {a: b}\nmodels: {m: {cmd: '${PORT}', name: '${env.V}'}}"
    assert model(text, {"V": "${a} ${env.W}", "W": "w"}).name == "b ${env.W}"


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\x85\u2028\u2029$"))
)
def test_any_value_is_the_same_afterwards(value: str) -> None:
    environ = {"V": value}
    tree = read_document('a: "${env.V}"\nb: [${env.V}]', "c.yaml", Problems())
    tree = with_environment(tree, environ, Problems())
    quoted, bare = find(tree, ("a",)), find(tree, ("b", 0))
    assert isinstance(quoted, Scalar)
    assert isinstance(bare, Scalar)
    assert quoted.value == value
    assert bare.value is None or bare.value == value


def test_every_variable_of_a_value_that_is_not_set_is_told_in_its_line() -> None:
    text = "models:\n  m:\n    cmd: |\n      x ${PORT}\n      # ${env.A}\n      ${env.B}${env.A}\n"
    text += "      ${env.A}\n    env: ['A=${env.C}${env.D}']\n"
    assert complaints(text) == [
        "6:1: models.m.cmd: the environment variable B is not set",
        "6:1: models.m.cmd: the environment variable A is not set",
        "8:11: models.m.env[0]: the environment variable C is not set",
        "8:11: models.m.env[0]: the environment variable D is not set",
    ]
