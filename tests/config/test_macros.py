"""Macros, and the ports that models get through them."""

from __future__ import annotations

import pytest

from swapd.config.document import read_document
from swapd.config.load import parse
from swapd.config.macros import Macro, expand
from swapd.config.problems import Problems
from swapd.config.tree import Plain, plain
from swapd.errors import InvalidConfig
from swapd.ids import ModelId


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x: ${A}", 5),
        ("x: '${A}'", 5),
        ("x: ${A}0", "50"),
        ("x: ${B} ${F}", "5 0.7"),
        ("x: ${B}", 5),
        ("x: ${LATE}", "${LAST}"),
        ("x: ${LAST}", "end"),
        ("x: [{y: '${T}'}]", [{"y": True}]),
        ("x: ${a.b} ${} $A ${A B}", "${a.b} ${} $A ${A B}"),
        ("x: ${Q}", '"\n- a: b'),
    ],
)
def test_macros_are_put_in_last_declared_first_keeping_types(text: str, value: Plain) -> None:
    macros = [
        Macro("A", 5),
        Macro("B", "${A}"),
        Macro("F", 0.7),
        Macro("T", True),
        Macro("LATE", "${LAST}"),
        Macro("LAST", "end"),
        Macro("Q", '"\n- a: b'),
    ]
    tree = read_document(text, "c.yaml", Problems())
    assert plain(expand(tree, macros)) == {"x": value}


def test_keys_stay_as_they_are() -> None:
    tree = read_document("'${A}': '${A}'", "c.yaml", Problems())
    assert plain(expand(tree, [Macro("A", "v")])) == {"${A}": "v"}


def test_ports_are_given_in_the_byte_order_of_ids_to_those_that_ask() -> None:
    config = parse(
        """
        startPort: 9000
        models:
          a: {cmd: "x ${PORT} ${PORT}"}
          B: {cmd: "x ${PORT}", proxy: "http://172.11.22.33:${PORT}/v1"}
          "9": {cmd: "x", proxy: "http://localhost:1999"}
          "10": {cmd: "x ${PORT}", proxy: "http://localhost:7"}
        """,
        "c.yaml",
    )
    assert {name: model.proxy for name, model in config.models.items()} == {
        "a": "http://localhost:9002",
        "B": "http://172.11.22.33:9001/v1",
        "9": "http://localhost:1999",
        "10": "http://localhost:7",
    }
    assert config.models[ModelId("a")].argv == ("x", "9002", "9002")
    assert config.models[ModelId("10")].argv == ("x", "9000")


def test_id_port_and_pid_reach_every_value_of_a_model() -> None:
    config = parse(
        """
        models:
          author/model:F16:
            cmd: serve -hf ${MODEL_ID} --port ${PORT}
            cmdStop: stop ${MODEL_ID} ${PORT} ${PID}
            checkEndpoint: /ready/${PORT}
            aliases: ["port-${PORT}"]
            env: ["NAME=${MODEL_ID}"]
            name: I am ${MODEL_ID}
            ttl: ${PORT}
        """,
        "c.yaml",
    )
    (model,) = config.models.values()
    assert model.argv == ("serve", "-hf", "author/model:F16", "--port", "5800")
    assert model.stop_argv == ("stop", "author/model:F16", "5800", "${PID}")
    assert model.check_endpoint == "/ready/5800"
    assert model.aliases == ("port-5800",)
    assert model.env == ("NAME=author/model:F16",)
    assert model.name == "I am author/model:F16"
    assert model.ttl == 5800


def test_macros_in_comments_of_a_command_are_never_looked_at() -> None:
    config = parse(
        "models:\n  m:\n    cmd: |\n      # ${latest} isn't ${PORT}\n      serve ${PORT}\n",
        "c.yaml",
    )
    assert config.models[ModelId("m")].cmd == "serve 5800\n"


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        ("{cmd: 'x ${PROT}'}", "3: models.m.cmd: unknown macro ${PROT}, did you mean PORT?"),
        ("{cmd: 'x ${PORT} ${PID}'}", "3: models.m.cmd: ${PID} is known in cmdStop only"),
        ("{cmd: 'x ${PORT}', env: ['A=${foo}']}", "3: models.m.env[0]: unknown macro ${foo}"),
        (
            "{cmd: x}",
            "3: models.m.proxy: ${PORT} is only available when cmd uses it; "
            "say here where the model listens",
        ),
        (
            "{cmd: x, proxy: 'http://h:1', name: '${PORT}'}",
            "3: models.m.name: ${PORT} is only available when cmd uses it",
        ),
        (
            "{cmd: x, proxy: 'http://h:${PORT}'}",
            "3: models.m.proxy: ${PORT} is only available when cmd uses it; "
            "say here where the model listens",
        ),
    ],
)
def test_macros_that_nothing_explains_are_problems(model: str, complaint: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        parse(f"# here\nmodels:\n  m: {model}\n", "c.yaml")
    (problem,) = caught.value.problems
    assert problem.startswith("c.yaml:3:")
    assert problem.endswith(complaint.partition(": ")[2])


def test_macros_of_models_mean_nothing_outside_models() -> None:
    with pytest.raises(InvalidConfig) as caught:
        parse("hooks: {on_startup: {preload: ['${MODEL_ID}']}}", "c.yaml")
    assert caught.value.problems == (
        "c.yaml:1:32: hooks.on_startup.preload[0]: ${MODEL_ID} is known inside models only",
    )


def test_ports_end_at_the_highest() -> None:
    models = "{a: {cmd: 'x ${PORT}'}, b: {cmd: 'x ${PORT}'}}"
    with pytest.raises(InvalidConfig) as caught:
        parse(f"startPort: 65535\nmodels: {models}", "c.yaml")
    assert caught.value.problems == (
        "c.yaml:2:42: models.b.cmd: ${PORT} would be 65536, and 65535 is the highest port",
    )


def test_every_unknown_macro_of_a_value_is_told_in_its_line() -> None:
    command = "".join(f"      {line}\n" for line in ("x ${PORT}", "# ${foo}", "${bar}", "${foo}"))
    with pytest.raises(InvalidConfig) as caught:
        parse(f"models:\n  m:\n    cmd: |\n{command}", "c.yaml")
    assert caught.value.problems == (
        "c.yaml:6:1: models.m.cmd: unknown macro ${bar}",
        "c.yaml:7:1: models.m.cmd: unknown macro ${foo}",
    )


def test_every_unknown_macro_of_one_line_is_told() -> None:
    with pytest.raises(InvalidConfig) as caught:
        parse("models: {m: {cmd: 'x ${PORT}', env: ['A=${foo}${bar}${foo}']}}", "c.yaml")
    assert [problem.rpartition(": ")[2] for problem in caught.value.problems] == [
        "unknown macro ${bar}",
        "unknown macro ${foo}",
    ]
