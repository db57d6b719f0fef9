"""That the parts of a configuration must fit together: names, groups, ports, keys."""

from __future__ import annotations

import pytest

from swapd.config.load import parse
from swapd.config.schema import Config, Group
from swapd.errors import InvalidConfig
from swapd.ids import ModelId

MODELS = """
models:
  c: {cmd: "x ${PORT}"}
  a: {cmd: "x ${PORT}", aliases: [first]}
  b: {cmd: "x ${PORT}"}
"""


def read(rest: str) -> Config:
    return parse(MODELS + rest, "c.yaml")


def complaints(rest: str) -> list[str]:
    with pytest.raises(InvalidConfig) as caught:
        read(rest)
    return list(caught.value.problems)


def test_models_in_no_group_share_the_default_one() -> None:
    assert read("").groups == {
        "(default)": Group(
            swap=True,
            exclusive=True,
            persistent=False,
            members=(ModelId("a"), ModelId("b"), ModelId("c")),
        )
    }


def test_groups_keep_the_order_of_the_file_and_the_default_one_comes_last() -> None:
    config = read("groups: {z: {members: [b], swap: no}, y: {persistent: true, exclusive: false}}")
    assert list(config.groups) == ["z", "y", "(default)"]
    assert config.groups["z"] == Group(
        swap=False, exclusive=True, persistent=False, members=(ModelId("b"),)
    )
    assert config.groups["y"] == Group(swap=True, exclusive=False, persistent=True, members=())
    assert config.groups["(default)"].members == (ModelId("a"), ModelId("c"))


def test_the_default_group_is_there_even_when_empty() -> None:
    assert read("groups: {g: {members: [a, b, c]}}").groups["(default)"].members == ()


def test_preload_knows_aliases_and_keeps_its_order() -> None:
    config = read("hooks: {on_startup: {preload: [c, ' first ', ~, '', c]}}")
    assert config.preload == ("c", "a", "c")
    assert config.aliases == {"first": "a"}


@pytest.mark.parametrize(
    ("rest", "complaint"),
    [
        (
            "groups: {g: {members: [a, d]}}",
            '6:27: groups.g.members[1]: unknown model "d"',
        ),
        (
            "groups: {g: {members: [first]}}",
            '6:24: groups.g.members[0]: "first" is an alias, write "a"',
        ),
        (
            "groups: {g: {members: [a]}, h: {members: [b, a]}}",
            '6:46: groups.h.members[1]: "a" is in the group "g" already',
        ),
        (
            "groups: {g: {members: [a, a]}}",
            '6:27: groups.g.members[1]: "a" is in the group "g" already',
        ),
        (
            "groups: {(default): {members: [a]}}",
            "6:21: groups.(default): this name belongs to the group of all other models",
        ),
        ("groups: {g: {swapp: no}}", "6:14: groups.g.swapp: unknown key, did you mean swap?"),
        ("groups: [a]", "6:9: groups: must be a mapping, not a list"),
        (
            "hooks: {on_startup: {preload: [a, frist]}}",
            '6:35: hooks.on_startup.preload[1]: unknown model "frist", did you mean first?',
        ),
        ("hooks: {on_startup: {preload: a}}", "6:31: hooks.on_startup.preload: must be a list, "),
        ("hooks: {onStartup: {}}", "6:9: hooks.onStartup: unknown key, did you mean on_startup?"),
        ("startPort: 0", "6:12: startPort: must be at least 1"),
        ("startPort: abcd", "6:12: startPort: must be a whole number, not text"),
        ("startPort: 70000", "6:12: startPort: must be at most 65535"),
        ("globalTTL: -1", "6:12: globalTTL: must be at least 0"),
        ("globalTtl: 1", "6:1: globalTtl: unknown key, did you mean globalTTL?"),
        ("unloadTimeout: -1", "6:16: unloadTimeout: must be at least 0"),
        ("server: {shutdownGrace: -1}", "6:25: server.shutdownGrace: must be at least 0"),
        ("server: {shutdownGrace: .nan}", "6:25: server.shutdownGrace: must be a finite number"),
        ("server: {shutdownGrace: '3'}", "6:25: server.shutdownGrace: must be a number, not text"),
        ("apiKeys: ['']", "6:11: apiKeys[0]: an API key must not be empty"),
        ("apiKeys: [a, ' b']", "6:14: apiKeys[1]: an API key must not contain spaces"),
        (
            'apiKeys: [a, "b\\n"]',
            "6:14: apiKeys[1]: an API key must not contain control characters, nor ends of lines",
        ),
        ("apiKeys: [a, ~]", "6:14: apiKeys[1]: must be text, not empty"),
        ("apiKeys: secret", "6:10: apiKeys: must be a list, not text"),
        ("other: {a: b}", "6:1: other: unknown key"),
        ("other: *x", "6:8: found undefined alias 'x'"),
    ],
)
def test_what_does_not_fit_together_is_told_with_its_place(rest: str, complaint: str) -> None:
    (problem,) = complaints(rest)
    assert problem.startswith(f"c.yaml:{complaint}")


def test_private_keys_and_homes_of_anchors_are_nobodys_business() -> None:
    config = read("x-mine: {a: '${b}'}\nhomes:\n  here: &here {swap: no, x-why: '${b}'}\n")
    assert config.warnings == ()
    config = read("homes: &here {swap: no}\ngroups: {g: *here}")
    assert config.groups["g"].swap is False


def test_an_alias_belongs_to_one_model() -> None:
    with pytest.raises(InvalidConfig) as caught:
        parse(
            "models: {a: {cmd: '${PORT}', aliases: [z, b]}, b: {cmd: '${PORT}', aliases: [z]}}", "c"
        )
    assert caught.value.problems == (
        'c:1:43: models.a.aliases[1]: "b" is the ID of a model',
        'c:1:78: models.b.aliases[0]: "z" is an alias of "a" already',
    )


@pytest.mark.parametrize(
    ("groups", "together"),
    [
        ("{}", False),
        ("{g: {members: [a, b]}}", False),
        ("{g: {members: [a, b], swap: no}}", True),
        ("{g: {members: [a]}, h: {members: [b]}}", False),
        ("{g: {members: [a], exclusive: no}, h: {members: [b]}}", True),
        ("{g: {members: [a], persistent: yes}}", True),
    ],
)
@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("http://localhost:80/a", "http://127.0.0.1", True),
        ("http://h:80", "http://h:81", False),
        ("http://h:80", "http://i:80", False),
        ("https://h", "https://H:443", True),
    ],
)
def test_models_that_may_run_together_do_not_share_a_port(
    groups: str, together: bool, first: str, second: str, same: bool
) -> None:
    text = f"groups: {groups}\nmodels:\n  a: {{cmd: x, proxy: '{first}'}}\n"
    text += f"  b: {{cmd: x, proxy: '{second}'}}\n"
    if not (together and same):
        parse(text, "c.yaml")
        return
    with pytest.raises(InvalidConfig) as caught:
        parse(text, "c.yaml")
    (problem,) = caught.value.problems
    assert problem.startswith('c.yaml:4:22: models.b.proxy: "a" uses port ')


@pytest.mark.parametrize("name", ["123", "1.5", "true", "~"])
def test_a_model_id_must_be_text(name: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        parse(f"models:\n  {name}: {{cmd: '${{PORT}}'}}", "c.yaml")
    (problem,) = caught.value.problems
    assert problem.startswith("c.yaml:2:3: models.")
    assert "a model ID must be text" in problem


def test_all_problems_come_at_once_sorted_by_place() -> None:
    rest = """
globalTTL: -1
groups: {g: {members: [b, nobody], swapp: no}}
helthCheckTimeout: 3
apiKeys: [~, '', 'a b']
"""
    found = complaints(rest)
    assert [problem.split(": ")[1] for problem in found] == [
        "globalTTL",
        "groups.g.members[1]",
        "groups.g.swapp",
        "helthCheckTimeout",
        "apiKeys[0]",
        "apiKeys[1]",
        "apiKeys[2]",
    ]


def test_secrets_are_not_in_problems_nor_in_the_representation() -> None:
    assert "hunter2" not in repr(read("apiKeys: [hunter2]"))
    for wrong in ("apiKeys: hunter2", "apiKeys: ['hunter2 ']", "apiKeys: {hunter: 2}"):
        assert "hunter2" not in complaints(wrong)[0]
