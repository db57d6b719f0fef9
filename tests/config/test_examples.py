"""The configurations that swapd is delivered with: each loads, one has every key."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from swapd.config.document import read_document
from swapd.config.json_schema import json_schema
from swapd.config.load import assemble, load
from swapd.config.ports import Ports
from swapd.config.problems import Problems
from swapd.config.schema import Settings
from swapd.config.section import Section, sections_below
from swapd.config.tree import (
    Entry,
    KeyPath,
    List,
    Map,
    Node,
    Place,
    Plain,
    Scalar,
    place_of,
    plain,
    put,
)
from swapd.errors import InvalidConfig

CONFIGS = Path(__file__).parents[2] / "configs"
EXAMPLE = CONFIGS / "example.yaml"
ENVIRON = {"OPENROUTER_KEY": "sk-1"}

#: Told in the example, but not set: the same as others, or without effect.
NOT_SET = {"groups", "matrix", "logRequests", "routing.router.settings.matrix"}
NOT_SET |= {"models.*.healthCheckTimeout"}


def tree(path: Path) -> Map:
    return read_document(path.read_text(), str(path), Problems())


EXAMPLE_TREE = tree(EXAMPLE)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_each_configuration_loads_without_a_word(path: Path, tmp_path: Path) -> None:
    config = load([path], environ=ENVIRON)
    assert config.warnings == ()
    assert config.models


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_each_configuration_fits_the_schema(path: Path) -> None:
    jsonschema.validate(plain(tree(path)), json_schema(), jsonschema.Draft202012Validator)


def test_the_example_has_every_key() -> None:
    example = plain(tree(EXAMPLE))
    sections: list[tuple[str, type[Section]]] = [("", Settings), *sections_below(Settings)]
    for path, section in sections:
        for key in section.known_keys():
            name = f"{path}.{key}".removeprefix(".")
            under = any(name.startswith(rest) for rest in NOT_SET)
            assert under or has(example, name.split(".")), name


def has(value: Plain, keys: list[str]) -> bool:
    """Say whether ``keys`` lead somewhere in ``value``; ``*`` is any key."""
    if not keys:
        return True
    if not isinstance(value, dict):
        return False
    inner = (
        list(value.values()) if keys[0] == "*" else [value[key] for key in keys[:1] if key in value]
    )
    return any(has(found, keys[1:]) for found in inner)


def test_the_example_is_read_in_no_time() -> None:
    load([EXAMPLE])
    start = time.process_time()
    load([EXAMPLE])
    assert time.process_time() - start < 1  # some 0.03 on a common machine


def test_the_docs_of_the_matrix_choose_as_they_say() -> None:
    matrix = load([CONFIGS / "matrix.yaml"]).routing.matrix
    assert matrix
    assert matrix.order == ("chat", "standard", "with-rerank", "creative", "full")
    assert matrix.evict_costs == {"voxtral": 50, "llama-70b": 30}


def places(node: Node, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield the way to everything below ``node``."""
    if path:
        yield path
    match node:
        case Map(entries):
            for key, entry in entries.items():
                yield from places(entry.value, (*path, key))
        case List(items):
            for index, item in enumerate(items):
                yield from places(item, (*path, index))


#: Beside these, each value is replaced by one of another kind.
WRONG: list[Plain] = [None, "", "wrong", -7, 0.5, True, [None, "wrong"], {"wrong": 1}]


def node_of(value: Plain, place: Place) -> Node:
    match value:
        case list():
            return List(tuple(node_of(item, place) for item in value), place)
        case dict():
            entries = {key: Entry(Scalar(key, place), node_of(value[key], place)) for key in value}
            return Map(entries, place)
        case _:
            return Scalar(value, place)


@pytest.mark.parametrize(
    "path", list(places(EXAMPLE_TREE)), ids=lambda path: ".".join(map(str, path))
)
def test_no_wrong_value_in_the_example_is_a_crash(path: KeyPath) -> None:
    for wrong in WRONG:
        changed = put(EXAMPLE_TREE, path, node_of(wrong, place_of(EXAMPLE_TREE, path)))
        found: tuple[str, ...] | None = None
        try:
            assemble([changed], {}, Problems(), Ports({}))
        except InvalidConfig as invalid:
            found = invalid.problems
        assert found is None or found
        for problem in found or ():
            assert LOCATED.match(problem), problem


LOCATED = re.compile(rf"{re.escape(str(EXAMPLE))}:[1-9]\d*:[1-9]\d*: ")
