"""How YAML text becomes a tree whose values know their places."""

from __future__ import annotations

import pytest

from swapd.config.document import read_document
from swapd.config.problems import Problems
from swapd.config.tree import Map, Place, Plain, find, key_place, place_of, plain
from swapd.errors import InvalidConfig


def read(text: str) -> Map:
    problems = Problems()
    tree = read_document(text, "c.yaml", problems)
    problems.raise_if_any()
    return tree


def complaints(text: str) -> list[str]:
    with pytest.raises(InvalidConfig) as caught:
        read(text)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", {}),
        ("# only a comment", {}),
        ("~", {}),
        ("\ufeffa: 1", {"a": 1}),
        ('{"a": "\\ud83d\\ude00"}', {"a": "\U0001f600"}),
        ('{"a": [1, "2", null]}', {"a": [1, "2", None]}),
        ("a: yes\nb: on\nc: 'true'\nd: true", {"a": "yes", "b": "on", "c": "true", "d": True}),
        ("a: 010\nb: 0o17\nc: 1e3\nd: 1:30", {"a": 8, "b": 15, "c": 1000.0, "d": "1:30"}),
        ("a: !!str 1\nb: !!int 2\nc: !!float 3", {"a": "1", "b": 2, "c": 3}),
        ("a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}),
        ("a: &x {b: 1, c: 1}\nd: {<<: *x, c: 2}", {"a": {"b": 1, "c": 1}, "d": {"b": 1, "c": 2}}),
        ("d:\n  c: 2\n  <<: [{a: 1, b: 1}, {b: 2, c: 3}]", {"d": {"a": 1, "b": 1, "c": 2}}),
        ("'<<': 1", {"<<": 1}),
        ("1: a\ntrue: b", {"1": "a", "true": "b"}),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
        ("{}", {}),
        ("--- {}", {}),
        ("a: &k 1\nb: *k\nc: &k 2\nd: *k", {"a": 1, "b": 1, "c": 2, "d": 2}),
        ("a: &k [&k 1, *k]", {"a": [1, 1]}),
    ],
)
def test_documents_are_read(text: str, value: Plain) -> None:
    assert plain(read(text)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a:\tx", {"a": "x"}),
        ("a: x\t# c", {"a": "x"}),
        ("a:\t\n  b: 'x'\t\n  c: y \t", {"a": {"b": "x", "c": "y"}}),
        ("a: foo\tbar \t baz\n  end", {"a": "foo\tbar \t baz end"}),
        ("a: [a,\tb\t,\tc]\t", {"a": ["a", "b", "c"]}),
        ('{\n\t"a": {\n\t\t"b":\t[\n\t\t\t1\n\t\t]\n\t}\n}\n', {"a": {"b": [1]}}),
        ("a: |\n  x\n  \ty", {"a": "x\n\ty"}),
    ],
)
def test_a_tab_may_stand_wherever_it_does_not_indent(text: str, value: Plain) -> None:
    assert plain(read(text)) == value


@pytest.mark.parametrize(
    ("text", "place"), [("a:\n\tb: 1", "2:1"), ("a:\n  b: 1\n \tc: 1", "3:2"), ("\ta: 1", "1:1")]
)
def test_a_tab_that_indents_is_told_where_it_stands(text: str, place: str) -> None:
    assert complaints(text) == [f"c.yaml:{place}: a tab must not indent, use spaces"]


@pytest.mark.parametrize("rest", ["---\na: 2\n", "---\n@b", "...\n%F\n{{", "...\nb: [\n"])
def test_only_the_first_document_counts_and_the_others_are_mentioned(rest: str) -> None:
    problems = Problems()
    tree = read_document(f"a: 1\n{rest}", "c.yaml", problems)
    assert plain(tree) == {"a": 1}
    assert problems.warnings == ("c.yaml: only the first of several YAML documents is read",)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: [1", "c.yaml:1:6: while parsing a flow sequence: "),
        ("a: b: c", "c.yaml:1:5: mapping values are not allowed here"),
        ("- a", "c.yaml:1:1: the configuration must be a mapping"),
        ("a", "c.yaml:1:1: the configuration must be a mapping"),
        ("a: 1\nb: \x07", "c.yaml:2:4: the character U+0007 is not allowed in YAML"),
        ('a: "\\U99999999"', "c.yaml: no YAML: "),
        ('a: "\\ud800"', "c.yaml:1:4: a: half of a surrogate pair"),
        ("a: *nobody", "c.yaml:1:4: found undefined alias"),
        ("a: !!python/none x", "c.yaml:1:4: a: the tag tag:yaml.org,2002:python/none is not"),
        ("a: !mine [x]", "c.yaml:1:4: a: the tag !mine is not supported"),
        ("a: !!int x", "c.yaml:1:4: a: this is no int"),
        ("a: &x [*x]", "c.yaml:1:4: a[0]: an alias may not stand inside its own anchor"),
        ("? [a]\n: b", "c.yaml:1:3: a key must be a single value"),
        ("a:\n  b: 1\n  b: 2", "c.yaml:3:3: a.b: this key is set twice, first in line 2"),
        ("a: 1\n'a': 2", "c.yaml:2:1: a: this key is set twice, first in line 1"),
        ("a:\n  <<: 3", "c.yaml:2:7: a.<<: << needs a mapping, or a list of mappings"),
        ("a: " + "[" * 500, "c.yaml:1:"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(text: str, complaint: str) -> None:
    assert complaints(text)[0].startswith(complaint)


def test_aliases_that_multiply_without_end_are_refused() -> None:
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    assert complaints("\n".join(lines))[0].endswith("the document contains excessive aliasing")


def test_every_value_and_key_knows_its_place() -> None:
    tree = read("a:\n  - x\n  - {b: 1}\nc: |\n  one\n  two\n")
    assert place_of(tree, ("a", 1, "b")) == Place("c.yaml", 3, 9)
    assert key_place(tree, ("a", 1, "b")) == Place("c.yaml", 3, 6)
    scalar = find(tree, ("c",))
    assert scalar is not None
    assert scalar.place == Place("c.yaml", 4, 4)


def test_what_is_absent_has_the_place_of_the_key_above_it() -> None:
    tree = read("a:\n  b:\n    c: 1")
    assert place_of(tree, ("a", "b", "missing")) == Place("c.yaml", 2, 3)
    assert place_of(tree, ("missing",)) == Place("c.yaml", 1, 1)


def test_the_homes_of_anchors_are_known() -> None:
    tree = read("a: &x 1\nb: *x\nc: {d: [&y 2]}\ne: 3")
    assert tree.anchor_homes == {"a", "c"}
