"""Loading from files, and that no input at all makes the loader crash."""

from __future__ import annotations

import codecs
import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from swapd.config.document import read_document
from swapd.config.expansion import resolve_macros
from swapd.config.load import load, parse
from swapd.config.ports import Ports
from swapd.config.problems import Problems
from swapd.config.schema import Config, Settings
from swapd.config.validation import read_settings
from swapd.errors import InvalidConfig

WHOLE = """\
healthCheckTimeout: 60
startPort: 9000
globalTTL: 300
unloadTimeout: 5
apiKeys: [one, two]
server: {shutdownGrace: 12.5}
shapes:
  small: &small
    ttl: 60
models:
  chat:
    <<: *small
    cmd: |
      # the server
      serve --port ${PORT} \\
        --name "${MODEL_ID}"
    cmdStop: stop ${PID}
    aliases: [gpt, "port-${PORT}"]
    env: ["A=b"]
    checkEndpoint: /ready
    concurrencyLimit: 4
    name: Chat
    description: talks
    unlisted: no
    useModelName: other
  embed:
    cmd: embed
    proxy: http://localhost:7000/v1
    checkEndpoint: none
groups:
  all:
    swap: false
    exclusive: true
    persistent: false
    members: [chat, embed]
hooks: {on_startup: {preload: [gpt]}}
"""


def test_one_file_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(WHOLE)
    config = load([path])
    assert list(config.models) == ["chat", "embed"]
    assert config.preload == ("chat",)
    assert config.server.shutdown_grace == 12.5


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_usual_encodings_are_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes("models: {é: {cmd: '${PORT}'}}".encode(encoding))
    assert list(load([path]).models) == ["é"]


def complaints(*paths: Path) -> tuple[str, ...]:
    with pytest.raises(InvalidConfig) as caught:
        load(paths)
    return caught.value.problems


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    broken, odd, missing = tmp_path / "b.yaml", tmp_path / "odd.yaml", tmp_path / "missing.yaml"
    broken.write_bytes(b"a: \xff")
    odd.write_bytes(codecs.BOM_UTF16_LE + b"a")
    assert complaints(missing) == (f"{missing}: No such file or directory",)
    assert complaints(tmp_path) == (f"{tmp_path}: Is a directory",)
    assert complaints(broken) == (f"{broken}: byte 3 is not UTF-8 text",)
    assert complaints(odd)[0].startswith(f"{odd}: byte ")
    assert complaints(missing, broken) == (*complaints(broken), *complaints(missing))
    assert complaints() == ("configuration: no file and no directory is given",)


def test_unknown_keys_may_be_warnings(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("models: {m: {cmd: 'x ${PORT}', tll: 3, 'x-mine': 1}}\nmodles: {}\n")
    assert [problem.partition(": ")[2] for problem in complaints(path)] == [
        "models.m.tll: unknown key, did you mean ttl?",
        "modles: unknown key, did you mean models?",
    ]
    config = load([path], lenient=True)
    assert list(config.models) == ["m"]
    assert [warning.partition(": ")[2] for warning in config.warnings] == [
        "models.m.tll: unknown key, did you mean ttl?",
        "modles: unknown key, did you mean models?",
    ]


def test_the_environment_of_the_process_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWAPD_TEST_TTL", "61")
    path = tmp_path / "c.yaml"
    path.write_text("globalTTL: ${env.SWAPD_TEST_TTL}\nmodels: {m: {cmd: 'x ${PORT}'}}")
    assert [model.ttl for model in load([path]).models.values()] == [61]


def test_an_empty_text_is_a_configuration_without_models() -> None:
    assert parse("", "c.yaml").models == {}


def only_problems(text: str) -> None:
    """Parse ``text``; whatever it is, problems with a place are all that may come of it."""
    found: tuple[str, ...] | None = None
    try:
        parse(text, "c.yaml", environ={})
    except InvalidConfig as invalid:
        found = invalid.problems
    assert found is None or found
    for problem in found or ():
        assert problem.startswith("c.yaml:"), problem
        assert problem.count("\n") in (0, 2), problem  # a set is shown with a caret below it


@given(st.text())
@example('a: "\\U99999999"')
@example("%YAML 1." + "1" * 5000 + "\n---\n")
@example("models: {a: {<<: {<<: [*x]}}}")
@example("apiKeys: [~]")
@example("? ")
def test_no_text_is_a_crash(text: str) -> None:
    only_problems(text)


EXAMPLE = Path(__file__).parents[2] / "configs" / "example.yaml"
WHOLE_AND_EXAMPLE = st.sampled_from([WHOLE, EXAMPLE.read_text()])

SNIPPETS = st.sampled_from(
    [
        *("*small", "&x ", "<<: ", "~", "[", "{", "'", '"', "${PORT}", "${x}", "- ", ": ", "\n"),
        *("  ", "1e9", ".inf", "-1", "true", "!!str ", "|\n", "#", "\\", "%zz", "\0", "\t"),
        *("groups", "{}"),
    ]
)


@st.composite
def mangled(draw: st.DrawFn) -> str:
    text = draw(WHOLE_AND_EXAMPLE)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        length = draw(st.integers(0, 12))
        text = text[:start] + draw(SNIPPETS | st.just("")) + text[start + length :]
    return text


@given(mangled())
def test_no_mangled_configuration_is_a_crash(text: str) -> None:
    only_problems(text)


ODD_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | SNIPPETS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)


@st.composite
def with_an_odd_value(draw: st.DrawFn) -> str:
    """A whole configuration in which one value, at any depth, is replaced by an odd one."""
    root = yaml.safe_load(draw(WHOLE_AND_EXAMPLE))
    node = root
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = draw(st.sampled_from(keys))
        if isinstance(node[key], dict | list) and node[key] and draw(st.booleans()):
            node = node[key]
        else:
            node[key] = draw(ODD_VALUES)
            return str(yaml.safe_dump(root, allow_unicode=True, sort_keys=False))


@given(with_an_odd_value())
def test_no_odd_value_is_a_crash(text: str) -> None:
    only_problems(text)


def settings_of(text: str) -> tuple[Config, Settings]:
    """Return what ``text`` comes to, and what it says."""
    problems = Problems()
    config = parse(text, "c.yaml", environ={})
    tree = resolve_macros(read_document(text, "c.yaml", problems), Ports({}), problems)
    for key in set(tree.entries) - {*Settings.known_keys()}:
        tree = tree.without(key)
    return config, read_settings(tree, problems)[0]


def dumped(settings_: Settings) -> str:
    return json.dumps(settings_.model_dump(mode="json", by_alias=True, exclude_unset=True))


@given(with_an_odd_value())
@example(WHOLE)
@example(EXAMPLE.read_text())
def test_what_was_read_can_be_written_and_read_again(text: str) -> None:
    try:
        config, said = settings_of(text)
    except InvalidConfig:
        return
    again, said_again = settings_of(dumped(said))
    assert replace(again, warnings=(), ports={}) == replace(config, warnings=(), ports={})
    assert dumped(said_again) == dumped(said)


NAMES = st.sampled_from(["a", "b", "PORT", "MODEL_ID", "PID", "long-name_1", "bad.name"])
USES = st.lists(NAMES.map("${{{}}}".format) | st.sampled_from(["x", "1", " ", "${"])).map("".join)
VALUES = USES | st.integers() | st.floats() | st.booleans() | st.none() | st.lists(USES)
MACROS = st.dictionaries(NAMES, VALUES)


@given(MACROS, MACROS, st.dictionaries(st.sampled_from(["cmd", "ttl", "name", "metadata"]), VALUES))
def test_no_macros_are_a_crash(
    everywhere: dict[str, object], own: dict[str, object], model: dict[str, object]
) -> None:
    root = {"macros": everywhere, "models": {"m": {**model, "macros": own}}}
    only_problems(str(yaml.safe_dump(root, sort_keys=False)))


def test_a_misspelt_key_with_an_anchor_below_it_is_mentioned() -> None:
    text = "modles:\n  m: &m {cmd: x}\ndefaults: &d {ttl: 1}\nx-model: &x {}\n"
    assert parse(text, "c.yaml").warnings == (
        "c.yaml:1:1: modles: is read for its anchors only, did you mean models?",
    )
