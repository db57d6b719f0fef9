"""Macros that a configuration declares: their rules, their scopes, their types."""

from __future__ import annotations

import pytest

from tests.config.reading import complaint, complaints, model, read


def named(macros: str, name: str, own: str = "{}") -> str:
    """Return the name of a model that is written as ``name``."""
    text = f"macros: {macros}\nmodels: {{m: {{cmd: '${{PORT}}', name: {name}, macros: {own}}}}}"
    return model(text).name


@pytest.mark.parametrize(
    ("macros", "name", "value"),
    [
        ("{A: value-A, B: 'prefix-${A}-suffix'}", "'${B}'", "prefix-value-A-suffix"),
        (
            "{base: /models, path: '${base}/llama', full: '${path}/model.gguf'}",
            "'load ${full}'",
            "load /models/llama/model.gguf",
        ),
        ("{run: 'podman run --name ${MODEL_ID}'}", "'${run}'", "podman run --name m"),
        ("{port: '--port ${PORT}'}", "'${port}'", "--port 5800"),
        ("{a: 0.7, b: 16384.0, c: 1e6, d: true}", "'${a} ${b} ${c} ${d}'", "0.7 16384 1e+06 true"),
        ("{1: one, a-b_C: two}", "'${1} ${a-b_C}'", "one two"),
        ("{port: lower}", "'${port}'", "lower"),
        ("~", "x", "x"),
        ("{a: '# ${PORT}'}", "'${a}'", "# 5800"),
    ],
)
def test_a_macro_may_use_those_above_it(macros: str, name: str, value: str) -> None:
    assert named(macros, name) == value


@pytest.mark.parametrize(
    ("macros", "own", "value"),
    [
        ("{msg: 'value-${tag}', tag: global}", "{tag: own}", None),
        ("{tag: global, msg: 'value-${tag}'}", "{tag: own}", "value-own"),
        ("{A: a, msg: x}", "{msg: 'own ${A}'}", "own a"),
    ],
)
def test_a_model_s_macro_takes_the_place_of_the_global_one(
    macros: str, own: str, value: str | None
) -> None:
    if value is None:
        (problem,) = complaints(
            f"macros: {macros}\nmodels: {{m: {{cmd: '${{PORT}} ${{msg}}', macros: {own}}}}}"
        )
        assert "the macro ${tag} cannot be put in: declare it above" in problem
    else:
        assert named(macros, "'${msg}'", own) == value


def test_a_model_s_macro_in_the_place_of_a_global_one_knows_no_new_ones() -> None:
    text = "macros: {A: global}\n"
    text += "models: {m: {cmd: 'x ${PORT} ${A}', macros: {L: v, A: '${L}'}}}"
    assert complaint(text).startswith("2:55: models.m.cmd: the macro ${L} cannot be put in")


def test_a_model_s_macro_is_its_own() -> None:
    text = "models:\n  m: {cmd: '${PORT} ${LOCAL}', macros: {LOCAL: x}}\n"
    text += "  other: {cmd: '${PORT} ${LOCAL}'}"
    assert complaint(text) == "3:16: models.other.cmd: unknown macro ${LOCAL}"


def test_anchored_bodies_get_the_macros_of_each_model() -> None:
    config = read(
        """
        body: &body {cmd: 'x ${PORT} ${LOCAL}', env: ['A=${LOCAL}'], metadata: {a: '${LOCAL}'}}
        models:
          m: {<<: *body, macros: {LOCAL: one}}
          n: {<<: *body, macros: {LOCAL: two}}
        """
    )
    assert [found.env for found in config.models.values()] == [("A=one",), ("A=two",)]
    assert [found.metadata["a"] for found in config.models.values()] == ["one", "two"]


@pytest.mark.parametrize(
    ("macros", "message"),
    [
        ("{bad.name: x}", "10: macros.bad.name: the name of a macro consists of"),
        ("{'': x}", "10: macros.: the name of a macro consists of"),
        (f"{{{'a' * 64}: x}}", f"10: macros.{'a' * 64}: the name of a macro has at most 63"),
        ("{a: 'x ${a}'}", "13: macros.a: the macro uses itself"),
        ("{a: [x]}", "13: macros.a: a macro is a text, a number, true or false, not a list"),
        ("{a: {b: c}}", "13: macros.a: a macro is a text, a number, true or false, not a mapping"),
        ("{a: ~}", "13: macros.a: a macro is a text, a number, true or false, not empty"),
        ("{a: 2024-01-01}", "13: macros.a: a macro is a text, a number, true or false, not a date"),
        ("{PORT: 1}", "10: macros.PORT: this name is reserved"),
        ("{PID: 1}", "10: macros.PID: this name is reserved"),
        ("{MODEL_ID: x}", "10: macros.MODEL_ID: this name is reserved"),
        ("[a]", "9: macros: must be a mapping of names to values"),
        ("{a: 1, a: 2}", "16: macros.a: this key is set twice"),
    ],
)
def test_a_declaration_that_breaks_a_rule_is_told_once(macros: str, message: str) -> None:
    assert complaint(f"macros: {macros}").startswith(f"1:{message}")
    own = complaint(f"models: {{m: {{cmd: '${{PORT}}', macros: {macros}}}}}")
    assert own.partition(": ")[2].startswith(f"models.m.{message.partition(': ')[2]}")


def test_a_broken_macro_is_not_unknown_too() -> None:
    text = "macros: {a: [x]}\nmodels: {m: {cmd: 'x ${PORT} ${a}', ttl: '${a}'}}"
    assert complaint(text).startswith("1:13: macros.a: ")


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("'${I}'", 10001),
        ("'${C}'", 10001),
        ("'${C}0'", "100010"),
        ("'${F}'", 0.7),
        ("'${T}'", True),
        ("'${S}'", "llama model"),
        ("'on ${I} with ${F}, ${K}'", "on 10001 with 0.7, 16384"),
        ("{deep: [{v: '${F}'}, 'model:${MODEL_ID}']}", {"deep": [{"v": 0.7}, "model:m"]}),
        ("{'${KEY}': x}", {"${KEY}": "x"}),
    ],
)
def test_a_macro_that_stands_alone_keeps_its_type(value: str, result: object) -> None:
    text = "macros: {I: 10001, C: '${I}', F: 0.7, T: true, S: llama model, K: 16384.0, KEY: k}\n"
    text += f"models: {{m: {{cmd: '${{PORT}}', metadata: {{v: {value}}}}}}}"
    assert model(text).metadata == {"v": result}


def test_macros_reach_every_section() -> None:
    config = read(
        """
        macros: {ttl: 120, on: true, header: X-Macro, id: m, FIRST: 6200, key: secret, wait: 7}
        globalTTL: ${ttl}
        startPort: "${FIRST}"
        sendLoadingState: ${on}
        apiKeys: ["${key}"]
        ui: {activity: {session_id: ["${header}"]}}
        hooks: {on_startup: {preload: ["${id}"]}}
        routing: {scheduler: {settings: {fifo: {maxWait: "${wait}"}}}}
        peers: {p: {proxy: 'http://h', apiKey: 'x-${key}', models: [a]}}
        models:
          m:
            cmd: x ${PORT}
            timeouts: {connect: "${connect}"}
            env: ["MODEL=${MODEL_ID}"]
            macros: {ttl: 30, connect: 12}
            ttl: ${ttl}
          n: {cmd: "x ${PORT}"}
        """
    )
    first, second = config.models.values()
    assert (first.ttl, second.ttl) == (30, 120)
    assert (first.timeouts.connect, first.env, first.argv[1]) == (12, ("MODEL=m",), "6200")
    assert first.send_loading_state
    assert config.session_headers == ("X-Macro",)
    assert config.preload == ("m",)
    assert config.routing.max_wait == 7
    assert config.peers["p"].api_key == "x-secret"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("apiKeys: ['${X}']", "1:11: apiKeys[0]: unknown macro ${X}"),
        ("apiKeys: ['${PORT}']", "1:11: apiKeys[0]: ${PORT} is known inside models only"),
        ("peers: {p: {apiKey: '${X}', proxy: 'http://h', models: [a]}}", "1:21: peers.p.apiKey: "),
        (
            "models: {m: {cmd: '${PORT}', metadata: {a: ['${X}']}}}",
            "1:45: models.m.metadata.a[0]: ",
        ),
        ("models: {m: {cmd: '${PORT}', description: '# ${X}'}}", "1:43: models.m.description: "),
        (
            "models: {m: {cmd: '${PORT}', name: '${PID}'}}",
            "1:36: models.m.name: ${PID} is known in",
        ),
        ("models: {m: {cmd: '${PORT}', capabilities: {context: '${X}'}}}", "1:54: models.m.capab"),
        (
            "macros: {T: abc}\nmodels: {m: {cmd: '${PORT}', ttl: '${T}'}}",
            "1:13: models.m.ttl: must be a whole number, not text",
        ),
        (
            "macros: {T: '60'}\nmodels: {m: {cmd: '${PORT}', ttl: '${T}0'}}",
            "2:35: models.m.ttl: must be a whole number, not text; remove the quotes",
        ),
        (
            "macros: {A: '${B}', B: b}\nmodels: {m: {cmd: '${PORT} ${A}', name: '${A}'}}",
            "1:13: models.m.cmd: the macro ${B} cannot be put in",
        ),
    ],
)
def test_what_is_left_is_told_where_it_stands(text: str, message: str) -> None:
    assert complaint(text).startswith(message)


def test_ids_in_set_params_by_id_are_expanded_and_become_aliases() -> None:
    text = """
    models:
      m:
        cmd: x ${PORT}
        filters: {setParamsByID: {"${MODEL_ID}:high": {a: 1}, "m:${PORT}": {a: "${PORT}"}}}
    """
    found = model(text)
    assert found.aliases == ("m:high", "m:5800")
    assert found.filters.set_params_by_id == {"m:high": {"a": 1}, "m:5800": {"a": 5800}}


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ("{'${F}': {}, '${S}': {}}", "shared: this key is set twice, first in c.yaml:2:56"),
        ("{'${X}': {}}", "${X}: unknown macro ${X}"),
    ],
)
def test_ids_in_set_params_by_id_that_do_not_work_are_told(ids: str, message: str) -> None:
    text = "macros: {F: shared, S: shared}\n"
    text += f"models: {{m: {{cmd: '${{PORT}}', filters: {{setParamsByID: {ids}}}}}}}"
    assert complaint(text).partition("setParamsByID.")[2] == message


def test_macros_that_multiply_come_to_an_end() -> None:
    macros = ", ".join(
        ["A0: xxxxxxxxxx", *(f"A{n}: '${{A{n - 1}}}${{A{n - 1}}}'" for n in range(1, 40))]
    )
    found = complaint(f"macros: {{{macros}}}\nmodels: {{m: {{cmd: '${{PORT}} ${{A39}}'}}}}")
    assert "cannot be put in" in found
