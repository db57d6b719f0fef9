"""Each key of a model: what it is read as, and what is said of a misfit."""

from __future__ import annotations

import pytest

from swapd.config.load import parse
from swapd.config.models import Capabilities, Model
from swapd.config.schema import Config
from swapd.errors import InvalidConfig
from swapd.ids import ModelId


def read(model: str, top: str = "") -> tuple[Config, Model]:
    config = parse(f"models:\n  m:\n    cmd: x ${{PORT}}\n    {model}\n{top}", "c.yaml")
    return config, config.models[ModelId("m")]


def test_a_model_of_one_command_has_every_default() -> None:
    config, model = read("")
    assert model == Model(
        id=ModelId("m"),
        cmd="x 5800",
        argv=("x", "5800"),
        stop_argv=(),
        proxy="http://localhost:5800",
        env=(),
        aliases=(),
        check_endpoint="/health",
        ttl=0,
        unload_timeout=10,
        start_timeout=120,
        concurrency_limit=0,
        name="",
        description="",
        unlisted=False,
        use_model_name="",
    )
    assert config.warnings == ()
    assert config.server.shutdown_grace == 30
    assert config.api_keys == ()


@pytest.mark.parametrize(
    ("line", "attribute", "value"),
    [
        ("cmdStop: stop 'it now'", "stop_argv", ("stop", "it now")),
        ("cmdStop: '# nothing'", "stop_argv", ()),
        ("proxy: ~", "proxy", "http://localhost:5800"),
        ("proxy: https://user@h.example/v1", "proxy", "https://user@h.example/v1"),
        ("proxy: 'http://[::1]:80'", "proxy", "http://[::1]:80"),
        ("env: ['A=b=c', 'D=']", "env", ("A=b=c", "D=")),
        ("aliases: [a, ~, 3, 1.10, yes, true]", "aliases", ("a", "3", "1.1", "yes", "true")),
        ("aliases: ~", "aliases", ()),
        ("checkEndpoint: ' none '", "check_endpoint", None),
        ("checkEndpoint: /a?b=c%20d", "check_endpoint", "/a?b=c%20d"),
        ("checkEndpoint: http://h:1/a/b?c#d", "check_endpoint", "/a/b?c"),
        ("checkEndpoint: http://h:1", "check_endpoint", "/"),
        ("ttl: 0", "ttl", 0),
        ("ttl: 600", "ttl", 600),
        ("ttl: 1e3", "ttl", 1000),
        ("unloadTimeout: 45", "unload_timeout", 45),
        ("concurrencyLimit: 3", "concurrency_limit", 3),
        ("name: '  a b '", "name", "a b"),
        ("name: 2024-01-01", "name", "2024-01-01T00:00:00Z"),
        ("description: 0x10", "description", "16"),
        ("unlisted: true", "unlisted", True),
        ("unlisted: yes", "unlisted", True),
        ("unlisted: 'off'", "unlisted", False),
        ("unlisted: ~", "unlisted", False),
        ("useModelName: org/x", "use_model_name", "org/x"),
        ("x-note: ${whatever}", "name", ""),
    ],
)
def test_each_key_of_a_model_is_read(line: str, attribute: str, value: object) -> None:
    _, model = read(line)
    assert getattr(model, attribute) == value


@pytest.mark.parametrize(
    ("line", "top", "ttl", "unload_timeout"),
    [
        ("ttl: -1", "globalTTL: 300", 300, 10),
        ("", "globalTTL: 300\nunloadTimeout: 25", 300, 25),
        ("ttl: 0", "globalTTL: 300\nunloadTimeout: 0", 0, 10),
        ("unloadTimeout: 45", "unloadTimeout: 25", 0, 45),
        ("unloadTimeout: 0", "unloadTimeout: 25", 0, 25),
    ],
)
def test_what_a_model_does_not_say_the_top_level_says(
    line: str, top: str, ttl: int, unload_timeout: int
) -> None:
    _, model = read(line, top)
    assert (model.ttl, model.unload_timeout) == (ttl, unload_timeout)


@pytest.mark.parametrize(
    ("line", "top", "warning"),
    [
        ("ttl: 60.5", "", "c.yaml:4:10: models.m.ttl: must be a whole number: 60.5 is read as 60"),
        ("", "healthCheckTimeout: 3", "c.yaml:5:21: healthCheckTimeout: 3 is too low, 15 is used"),
        ("aliases: [m]", "", "c.yaml:4:15: models.m.aliases[0]: this is the model's own ID"),
        (
            "healthCheckTimeout: 60",
            "",
            "c.yaml:4:25: models.m.healthCheckTimeout: "
            "has no effect, the top level's healthCheckTimeout counts",
        ),
        ("", "logRequests: no", "c.yaml:5:14: logRequests: has no effect"),
        (
            "concurrencyLimit: -1",
            "",
            "c.yaml:4:23: models.m.concurrencyLimit: -1 is too low, 0 is used",
        ),
    ],
)
def test_what_is_read_differently_than_written_is_a_warning(
    line: str, top: str, warning: str
) -> None:
    config, _ = read(line, top)
    assert config.warnings == (warning,)


def test_a_start_has_at_least_15_seconds() -> None:
    assert read("", "healthCheckTimeout: 15")[1].start_timeout == 15
    assert read("", "healthCheckTimeout: -4")[1].start_timeout == 15


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("cmdStop: a 'b", "14: models.m.cmdStop: the quote ' that opens in line 1 never closes"),
        ('cmdStop: "a\\0"', "14: models.m.cmdStop: must not contain a NUL character"),
        ("cmdStop: [a]", "14: models.m.cmdStop: must be text, not a list"),
        ("cmdStp: a", "5: models.m.cmdStp: unknown key, did you mean cmdStop?"),
        ("CMDSTOP: a", "5: models.m.CMDSTOP: unknown key, did you mean cmdStop?"),
        ("cmd_stop: a", "5: models.m.cmd_stop: unknown key, did you mean cmdStop?"),
        ("bogus: a", "5: models.m.bogus: unknown key"),
        ("env: A=b", "10: models.m.env: must be a list, not text"),
        ("env: [A]", "11: models.m.env[0]: must have the form NAME=VALUE"),
        ("env: [A=b, =b]", "16: models.m.env[1]: must have the form NAME=VALUE"),
        ("ttl: '60'", "10: models.m.ttl: must be a whole number, not text; remove the quotes"),
        ("ttl: true", "10: models.m.ttl: must be a whole number, not true or false"),
        ("ttl: .inf", "10: models.m.ttl: must be a whole number, not a number"),
        ("ttl: -2", "10: models.m.ttl: must be at least -1"),
        ("ttl: -1.5", None),
        ("ttl: -2.5", "10: models.m.ttl: must be at least -1"),
        ("unloadTimeout: -1", "20: models.m.unloadTimeout: must be at least 0"),
        ("unlisted: 'true'", "15: models.m.unlisted: must be true or false, not text"),
        ("unlisted: 1", "15: models.m.unlisted: must be true or false, not a number"),
        ("aliases: [a, a]", '18: models.m.aliases[1]: "a" is an alias of "m" already'),
        (
            "checkEndpoint: health",
            "20: models.m.checkEndpoint: must be a path that begins with /, or none",
        ),
        (
            "checkEndpoint: /health%zz",
            "20: models.m.checkEndpoint: % must be followed by two hexadecimal digits",
        ),
        (
            "checkEndpoint: /a b",
            "20: models.m.checkEndpoint: "
            "must contain no spaces and only ASCII; write others as %XX",
        ),
        *(
            (f"proxy: '{url}'", f"12: models.m.proxy: {message}")
            for url, message in [
                ("", "must be a URL that begins with http://, https:// or unix:/"),
                ("localhost:1", "must be a URL that begins with http://, https:// or unix:/"),
                ("ftp://h", "must be a URL that begins with http://, https:// or unix:/"),
                ("http://", "must be a URL with a host"),
                ("http://:80", "must be a URL with a host"),
                ("http://h:0", "the port must be between 1 and 65535"),
                ("http://h:65536", "must be a URL: port out of range 0-65535"),
                ("http://[::1", "must be a URL: invalid IPv6 URL"),
                ("unix:run/x", "must be unix:/PATH, with the whole path of a socket"),
                ("unix://run/x", "must be unix:/PATH, with the whole path of a socket"),
                ("unix:/run/x?y", "must be unix:/PATH, with the whole path of a socket"),
                ("http://a b", "must contain no spaces and only ASCII; write others as %XX"),
            ]
        ),
    ],
)
def test_each_misfit_in_a_model_is_told_once_with_its_place(
    line: str, complaint: str | None
) -> None:
    if complaint is None:
        read(line)
        return
    with pytest.raises(InvalidConfig) as caught:
        read(line)
    assert caught.value.problems == (f"c.yaml:4:{complaint}",)


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        ("{}", "2:3: models.m: a model needs a cmd, the command that starts its server"),
        ("~", "2:3: models.m: a model needs a cmd, the command that starts its server"),
        ("[x]", "2:6: models.m: must be a mapping, not a list"),
        (
            "{cmd: '', name: '${PORT}'}",
            "2:12: models.m.cmd: a model needs a cmd, the command that starts its server",
        ),
        (
            '{cmd: "# x"}',
            "2:12: models.m.cmd: a model needs a cmd, the command that starts its server",
        ),
        ("{cmd: {a: b}}", "2:12: models.m.cmd: must be text, not a mapping"),
    ],
)
def test_a_model_without_a_command_is_a_problem(model: str, complaint: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        parse(f"models:\n  m: {model}", "c.yaml")
    assert caught.value.problems == (f"c.yaml:{complaint}",)


def test_an_open_quote_is_found_in_the_line_where_it_opens() -> None:
    text = "models:\n  m:\n    cmd: |\n      # it's a comment\n      serve ${PORT}\n      'open\n"
    with pytest.raises(InvalidConfig) as caught:
        parse(text, "c.yaml")
    assert caught.value.problems == (
        "c.yaml:6:1: models.m.cmd: the quote ' that opens in line 3 never closes",
    )


@pytest.mark.parametrize(
    ("limit", "requests"), [("", 0), ("concurrencyLimit: 10", 50), ("concurrencyLimit: 60", 60)]
)
def test_comfyui_has_room_for_its_many_requests(limit: str, requests: int) -> None:
    model = f"{{cmd: '${{PORT}}', compat: {{ignoreWebsockets: false}}, {limit}}}"
    config = parse(f"models: {{comfyui_auto: {model}, other: {model}}}", "c.yaml")
    comfyui, other = config.models.values()
    assert (comfyui.concurrency_limit, comfyui.ignore_websockets) == (requests, True)
    assert (other.concurrency_limit > 50) is (requests > 50)
    assert not other.ignore_websockets


@pytest.mark.parametrize(
    ("line", "top", "shown"),
    [
        ("", "", False),
        ("", "sendLoadingState: true", True),
        ("sendLoadingState: ~", "sendLoadingState: true", True),
        ("sendLoadingState: false", "sendLoadingState: true", False),
        ("sendLoadingState: yes", "", True),
    ],
)
def test_the_loading_state_is_shown_as_the_model_says_or_the_top_level(
    line: str, top: str, shown: bool
) -> None:
    assert read(line, top)[1].send_loading_state is shown


@pytest.mark.parametrize(
    ("line", "given"),
    [
        ("", {}),
        ("timeouts: ~", {}),
        ("timeouts: {connect: 45, responseHeader: 120}", {"connect": 45, "responseHeader": 120}),
        ("timeouts: {connect: 0, keepalive: -1}", {"connect": 0, "keepalive": -1}),
    ],
)
def test_timeouts_keep_the_defaults_of_what_they_leave_out(
    line: str, given: dict[str, int]
) -> None:
    defaults = {"connect": 30, "keepalive": 30, "responseHeader": 0, "tlsHandshake": 10}
    defaults |= {"expectContinue": 1, "idleConn": 90}
    assert read(line)[1].timeouts.model_dump(by_alias=True) == {**defaults, **given}


@pytest.mark.parametrize(
    ("line", "top", "capabilities"),
    [
        ("", "", Capabilities()),
        ("capabilities: {tools: false, reranker: false}", "", Capabilities()),
        ("capabilities: {tools: ${t}}", "macros: {t: true}", None),
        ("capabilities: {reranker: true}", "", Capabilities(reranker=True)),
        (
            "capabilities: {in: [text, '${m}'], out: [image], context: '${c}', tools: '${t}'}",
            "macros: {t: true, m: audio, c: 98304}",
            Capabilities.model_validate(
                {"in": ["text", "audio"], "out": ["image"], "context": 98304, "tools": True}
            ),
        ),
        (
            "capabilities: {<<: [{in: [text], tools: true}], context: 202752}",
            "",
            Capabilities.model_validate({"in": ["text"], "tools": True, "context": 202752}),
        ),
    ],
)
def test_capabilities_are_read(line: str, top: str, capabilities: Capabilities | None) -> None:
    if capabilities is None:  # braces of a macro are a mapping in YAML's flow style
        with pytest.raises(InvalidConfig):
            read(line, top)
        return
    found = read(line, top)[1].capabilities
    assert found == capabilities
    assert found.is_empty is (capabilities == Capabilities())


def test_who_is_watched_must_have_something_to_be_asked() -> None:
    text = "models:\n  m:\n    cmd: serve ${PORT}\n    liveness: {every: 5}\n"
    assert parse(text, "c.yaml").models[ModelId("m")].liveness.every == 5
    with pytest.raises(InvalidConfig) as caught:
        parse(text + "    checkEndpoint: none\n", "c.yaml")
    assert caught.value.problems == (
        "c.yaml:4:23: models.m.liveness.every: there is nothing to ask: checkEndpoint is none",
    )
    parse(text.replace("5", "0") + "    checkEndpoint: none\n", "c.yaml")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("capabilities: {in: [video]}", "25: models.m.capabilities.in[0]: must be text, audio or"),
        ("capabilities: {out: [Text]}", "26: models.m.capabilities.out[0]: must be text, audio or"),
        ("capabilities: {context: -1}", "29: models.m.capabilities.context: must be at least 0"),
        ("timeouts: {connect: -1}", "25: models.m.timeouts.connect: must be at least 0"),
        ("parallel: -1", "15: models.m.parallel: must be at least 0"),
        ("liveness: {failures: 0}", "26: models.m.liveness.failures: must be at least 1"),
        ("metadata: [a]", "15: models.m.metadata: must be a mapping, not a list"),
        ("metadata: {a: .inf}", "15: models.m.metadata: holds .inf or .nan, which JSON does not"),
        ("compat: {ignoreWebsocket: yes}", "14: models.m.compat.ignoreWebsocket: unknown key, did"),
    ],
)
def test_each_misfit_in_a_section_of_a_model_is_told(line: str, complaint: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        read(line)
    (problem,) = caught.value.problems
    assert problem.startswith(f"c.yaml:4:{complaint}")


def test_metadata_is_what_json_can_say() -> None:
    _, model = read("metadata: {a: {1: x, true: [~, 1.5]}, d: 2024-01-01, n: ~}")
    assert model.metadata == {
        "a": {"1": "x", "true": [None, 1.5]},
        "d": "2024-01-01T00:00:00Z",
        "n": None,
    }
    assert type(model.metadata["d"]) is str
