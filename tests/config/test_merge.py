"""Several files make one configuration, and their conflicts name both sides."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapd.config.load import load
from swapd.config.merge import merged
from swapd.config.problems import Problems
from swapd.config.schema import Config
from swapd.config.tree import Entry, List, Map, Node, Place, Plain, Scalar, plain
from swapd.errors import InvalidConfig
from swapd.ids import ModelId

MODEL = "{cmd: 'x ${PORT}'}"


def written(folder: Path, files: dict[str, str]) -> list[Path]:
    for name, text in files.items():
        (folder / name).write_text(text)
    return [folder / name for name in files]


def together(folder: Path, *texts: str) -> Config:
    """Load ``texts`` as the files 0.yaml, 1.yaml, and so on."""
    paths = written(folder, {f"{index}.yaml": text for index, text in enumerate(texts)})
    return load(paths, environ={})


def complaints(folder: Path, *texts: str) -> list[str]:
    with pytest.raises(InvalidConfig) as caught:
        together(folder, *texts)
    return [problem.replace(f"{folder}/", "") for problem in caught.value.problems]


def test_models_of_all_files_are_there_in_their_order(tmp_path: Path) -> None:
    config = together(tmp_path, f"models: {{z: {MODEL}}}", "", f"models: {{a: {MODEL}}}", "# none")
    assert list(config.models) == ["z", "a"]


def test_lists_follow_each_other(tmp_path: Path) -> None:
    config = together(
        tmp_path,
        f"apiKeys: [a]\nhooks: {{on_startup: {{preload: [m]}}}}\nmodels: {{m: {MODEL}}}",
        f"apiKeys: [b]\nhooks: {{on_startup: {{preload: [n]}}}}\nmodels: {{n: {MODEL}}}",
    )
    assert config.api_keys == ("a", "b")
    assert config.preload == ("m", "n")


def test_macros_of_one_file_are_known_in_the_other(tmp_path: Path) -> None:
    config = together(
        tmp_path,
        "macros: {LOW: '1', BOTH: 'low ${LOW}'}",
        "macros: {HIGH: '2'}\nmodels: {m: {cmd: 'x ${PORT} ${BOTH} ${HIGH}'}}",
    )
    assert config.models[ModelId("m")].argv == ("x", "5800", "low", "1", "2")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("globalTTL: 100", "globalTTL: 100"),
        ("globalTTL: 100", "globalTTL: 0x64"),
        ("logLevel: info", "logLevel: 'info'"),
        ("globalTTL:", "globalTTL: 100"),
        ("globalTTL: 100", "globalTTL: ~"),
        ("models:", f"models: {{m: {MODEL}}}"),
        ("x-mine: 1", "x-mine: [2]"),
        ("defs: {a: &m {ttl: 1}}", f"defs: {{a: &m {MODEL}}}\nmodels: {{m: *m}}"),
        (
            "matrix: {vars: {a: m}}\nmodels: {m: {cmd: '${PORT}'}}",
            "matrix: {sets: {s: a}}",
        ),
        (
            f"routing: {{router: {{settings: {{groups: {{g: {{members: [m]}}}}}}}}}}\n"
            f"models: {{m: {MODEL}}}",
            "routing: {router: {settings: {groups: {h: {}}}}}",
        ),
    ],
)
def test_files_that_agree_are_one(tmp_path: Path, first: str, second: str) -> None:
    assert together(tmp_path, first, second).warnings == ()


@pytest.mark.parametrize(
    ("first", "second", "complaint"),
    [
        (
            f"models:\n  dup: {MODEL}",
            f"models: {{dup: {MODEL}}}",
            "1.yaml:1:10: models.dup: is defined twice, first in 0.yaml:2:3",
        ),
        (
            "groups: {g: {}}",
            "groups: {g: {}}",
            "1.yaml:1:10: groups.g: is defined twice, first in 0.yaml:1:10",
        ),
        (
            "peers: {p: {proxy: 'http://h', models: [a]}}",
            "peers: {p: {models: [b]}}",
            "1.yaml:1:9: peers.p: is defined twice, first in 0.yaml:1:9",
        ),
        (
            f"selectors: {{s: {{strategy: pin, targets: [m]}}}}\nmodels: {{m: {MODEL}}}",
            "selectors: {s: {}}",
            "1.yaml:1:13: selectors.s: is defined twice, first in 0.yaml:1:13",
        ),
        (
            f"models: {{m: {MODEL}}}\nmatrix: {{sets: {{a: m}}}}",
            "matrix: {sets: {b: m}}",
            "1.yaml:1:10: matrix.sets: is defined twice, first in 0.yaml:2:10",
        ),
        (
            "globalTTL: 100",
            "\nglobalTTL: 200",
            "1.yaml:2:12: globalTTL: has another value in 0.yaml:1:12",
        ),
        (
            "globalTTL: 100",
            "globalTTL: '100'",
            "1.yaml:1:12: globalTTL: has another value in 0.yaml:1:12",
        ),
        (
            "macros: {a: 1}",
            "macros: {a: true}",
            "1.yaml:1:13: macros.a: has another value in 0.yaml:1:13",
        ),
        (
            "startPort: 1",
            "startPort: [1]",
            "1.yaml:1:12: startPort: is a list here and a single value in 0.yaml:1:12",
        ),
        (
            "apiKeys: [a]",
            "apiKeys: ['']",
            "1.yaml:1:11: apiKeys[1]: an API key must not be empty",
        ),
        (
            "macros: {a: '${b}'}",
            f"models: {{m: {{cmd: '${{PORT}} ${{a}}'}}, n: {MODEL}}}",
            "0.yaml:1:13: models.m.cmd: unknown macro ${b}",
        ),
    ],
)
def test_files_that_disagree_are_told_with_both_places(
    tmp_path: Path, first: str, second: str, complaint: str
) -> None:
    assert complaints(tmp_path, first, second) == [complaint]


def test_problems_of_all_files_come_at_once(tmp_path: Path) -> None:
    found = complaints(tmp_path, "globalTTL: -1\na: [", "startPort: 0", "bogus: 1")
    assert [problem.partition(":")[0] for problem in found] == ["0.yaml", "1.yaml", "2.yaml"]


def test_a_directory_is_read_in_the_byte_order_of_its_names(tmp_path: Path) -> None:
    folder = tmp_path / "conf.d"
    folder.mkdir()
    (folder / "sub.yaml").mkdir()
    names = ["9.yaml", "10.yaml", ".hidden.yml", "B.yml", "a.yaml"]
    written(folder, {name: f"models: {{'{name}': {MODEL}}}" for name in names})
    written(folder, {"c.YAML": "[", "d.json": "[", "e.yaml~": "["})
    (main,) = written(tmp_path, {"main.yaml": f"models: {{main: {MODEL}}}"})
    config = load([main], folder)
    assert list(config.models) == ["main", ".hidden.yml", "10.yaml", "9.yaml", "B.yml", "a.yaml"]


def test_a_directory_may_be_empty_only_beside_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    (main,) = written(tmp_path, {"main.yaml": f"models: {{main: {MODEL}}}"})
    assert list(load([main], folder).models) == ["main"]
    with pytest.raises(InvalidConfig, match="the directory holds no"):
        load([], folder)


def test_a_file_is_read_once(tmp_path: Path) -> None:
    (main,) = written(tmp_path, {"main.yaml": f"models: {{main: {MODEL}}}"})
    with pytest.raises(InvalidConfig, match=r"is in the directory .* too, give one of the two"):
        load([main], tmp_path)
    with pytest.raises(InvalidConfig, match="this file is given twice"):
        load([main, tmp_path / "x" / ".." / "main.yaml"])


def test_a_directory_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="gone: No such file or directory"):
        load([], tmp_path / "gone")


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["models", "groups", "matrix", "routing", "router", "a"]), inner
        )
    ),
    max_leaves=12,
)


def tree(value: Plain) -> Node:
    place = Place("c.yaml", 1, 1)
    match value:
        case dict():
            entries = {key: Entry(Scalar(key, place), tree(inner)) for key, inner in value.items()}
            return Map(entries, place)
        case list():
            return List(tuple(map(tree, value)), place)
        case _:
            return Scalar(value, place)


@given(st.lists(st.dictionaries(st.sampled_from(["models", "routing", "a"]), PLAIN), min_size=1))
def test_whatever_is_merged_it_is_no_crash(values: list[dict[str, Plain]]) -> None:
    trees = [found for value in values if isinstance(found := tree(value), Map)]
    whole = merged(trees, Problems())
    assert set(whole.entries) == {key for value in values for key in value}
    assert plain(merged([whole, Map({}, whole.place)], Problems())) is not None
