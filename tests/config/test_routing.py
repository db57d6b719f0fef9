"""Who may run together and who comes first: both spellings, and what must not be mixed."""

from __future__ import annotations

import pytest

from swapd.config.load import parse
from swapd.config.routing import Router
from swapd.config.schema import Config
from tests.config.reading import complaint, read

MODELS = "\nmodels: {a: {cmd: '${PORT}', aliases: [first]}, b: {cmd: '${PORT}'}}"


def routed(text: str) -> Config:
    return read(text + MODELS)


def test_without_a_word_all_models_share_one_group() -> None:
    config = routed("")
    assert config.routing.router is Router.GROUP
    assert config.routing.matrix is None
    assert list(config.groups) == ["(default)"]
    assert (config.routing.max_wait, config.routing.max_queue) == (30, 512)
    assert config.routing.restore_on_failure
    assert config.routing.priority == {}


@pytest.mark.parametrize(
    "text",
    [
        "groups: {g: {members: [a]}}",
        "groups: {g: {members: [a]}}\nrouting: {scheduler: {use: fifo}}",
        "routing: {router: {settings: {groups: {g: {members: [a]}}}}}",
        "routing: {router: {use: group, settings: {groups: {g: {members: [a]}}}}}",
        "groups: {g: {members: [a]}}\nmatrix: ~",
    ],
)
def test_both_spellings_of_groups_mean_the_same(text: str) -> None:
    config = routed(text)
    assert config.routing.router is Router.GROUP
    assert config.groups["g"].members == ("a",)
    assert config.groups["(default)"].members == ("b",)


@pytest.mark.parametrize(
    "text",
    [
        "matrix: {sets: {s: a & b}}",
        "matrix: {sets: {s: a & b}}\ngroups: {}",
        "routing: {router: {use: matrix, settings: {matrix: {sets: {s: a & b}}}}}",
    ],
)
def test_both_spellings_of_the_matrix_mean_the_same(text: str) -> None:
    config = routed(text)
    assert config.routing.router is Router.MATRIX
    assert config.routing.matrix
    assert list(config.routing.matrix.sets) == ["s"]
    assert config.groups == {}
    assert config.warnings == ()


@pytest.mark.parametrize(
    ("settings", "warning"),
    [
        (
            "{settings: {matrix: {sets: {s: nobody}}}}",
            "c:1:39: routing.router.settings.matrix: has no effect, routing.router.use is group",
        ),
        (
            "{use: matrix, settings: {groups: {g: {}}, matrix: {sets: {s: a}}}}",
            "c:1:52: routing.router.settings.groups: has no effect, routing.router.use is matrix",
        ),
    ],
)
def test_settings_that_rest_are_mentioned(settings: str, warning: str) -> None:
    assert parse(f"routing: {{router: {settings}}}{MODELS}", "c").warnings == (warning,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "groups: {g: {}}\nmatrix: {sets: {s: a}}",
            "2:1: matrix: groups is set too: use one of the two",
        ),
        (
            "groups: {g: {}}\nrouting: {router: {use: group}}",
            "1:1: groups: routing.router is set too: move groups into routing.router.settings",
        ),
        (
            "matrix: {sets: {s: a}}\nrouting: {router: {settings: {groups: {g: {}}}}}",
            "1:1: matrix: routing.router is set too: move matrix into routing.router.settings",
        ),
        (
            "routing: {router: {use: matrix}}",
            "1:25: routing.router.use: routing.router.settings.matrix is not set",
        ),
        (
            "routing: {router: {use: matrx}}",
            "1:25: routing.router.use: must be group or matrix, did you mean matrix?",
        ),
        ("routing: {router: {use: Group}}", "1:25: routing.router.use: must be group or matrix"),
        ("routing: {scheduler: {use: lifo}}", "1:28: routing.scheduler.use: must be fifo"),
        (
            "routing: {router: {settings: {groups: {g: {members: [first]}}}}}",
            '1:54: routing.router.settings.groups.g.members[0]: "first" is an alias, write "a"',
        ),
        (
            "routing: {scheduler: {settings: {fifo: {priority: {c: 1}}}}}",
            '1:52: routing.scheduler.settings.fifo.priority.c: unknown model "c"',
        ),
        (
            "routing: {scheduler: {settings: {fifo: {priority: {a: 1, first: 2}}}}}",
            '1:65: routing.scheduler.settings.fifo.priority.first: "a" has another priority',
        ),
        (
            "routing: {scheduler: {settings: {fifo: {maxWait: -1}}}}",
            "1:50: routing.scheduler.settings.fifo.maxWait: must be at least 0",
        ),
        ("matrix: {sets: {s: a}, bogus: 1}", "1:24: matrix.bogus: unknown key"),
    ],
)
def test_what_cannot_be_routed_is_told(text: str, message: str) -> None:
    assert complaint(text + MODELS).startswith(message)


def test_priorities_know_aliases() -> None:
    config = routed("routing: {scheduler: {settings: {fifo: {priority: {first: -2, b: 5}}}}}")
    assert config.routing.priority == {"a": -2, "b": 5}


@pytest.mark.parametrize(
    ("url", "place"), [("http://h:1", "port 1 of h"), ("unix:/run/x%20y", "the socket /run/x y")]
)
@pytest.mark.parametrize(("sets", "together"), [("a & b", True), ("a | b", False)])
def test_models_of_one_set_do_not_listen_at_the_same_place(
    sets: str, together: bool, url: str, place: str
) -> None:
    text = f"matrix: {{sets: {{s: {sets}}}}}\nmodels:\n"
    text += "".join(f"  {name}: {{cmd: x, proxy: '{url}'}}\n" for name in "ab")
    if together:
        assert complaint(text).startswith(f'4:22: models.b.proxy: "a" uses {place} too')
    else:
        assert read(text).routing.matrix
