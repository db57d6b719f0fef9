"""What editors are told of a configuration file."""

from __future__ import annotations

import json

import jsonschema
import pytest

from swapd.config.document import read_document
from swapd.config.json_schema import json_schema
from swapd.config.problems import Problems
from swapd.config.tree import plain

VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def complaints(text: str) -> list[str]:
    value = plain(read_document(text, "c.yaml", Problems()))
    return [error.json_path for error in VALIDATOR.iter_errors(value)]


def test_the_schema_is_a_schema() -> None:
    VALIDATOR.check_schema(VALIDATOR.schema)
    assert json.loads(json.dumps(json_schema())) == json_schema()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "models:",
        "models: {m: {cmd: x, ttl: ~, env: ~, filters: ~}}",
        "models: {m: {cmd: x, ttl: '${T}', unlisted: '${U}', name: 3, aliases: [1, true]}}",
        "models: {m: {cmd: x, unlisted: yes, ttl: 60.0}}",
        "models: {m: {cmd: x, metadata: {any: [1, ~, {thing: 0.5}]}, x-mine: [1]}}",
        "groups: {g: ~}\nmatrix: ~\nx-note: 1\nshapes: {small: {ttl: 1}}",
        "logToStdout: '${where}'\nperformance: {every: 30s}\nprofiles: {p: {pins: {a: ~}}}",
    ],
)
def test_what_swapd_reads_the_schema_accepts(text: str) -> None:
    assert complaints(text) == []


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("models: {m: {cmdd: x, cmd: y}}", "$.models.m"),
        ("models: {m: {}}", "$.models.m"),
        ("models: {m: {cmd: x, ttl: abc}}", "$.models.m.ttl"),
        ("models: {m: {cmd: x, ttl: -2}}", "$.models.m.ttl"),
        ("models: {m: {cmd: x, env: A=b}}", "$.models.m.env"),
        ("models: {m: {cmd: x, unlisted: perhaps}}", "$.models.m.unlisted"),
        ("models: {m: {cmd: x, sendLoadingState: perhaps}}", "$.models.m.sendLoadingState"),
        ("helthCheckTimeout: 3", "$.helthCheckTimeout"),
        ("startPort: 70000", "$.startPort"),
        ("logToStdout: all", "$.logToStdout"),
        ("peers: {p: {proxy: 'http://h'}}", "$.peers.p"),
        ("selectors: {s: {strategy: random, targets: [a]}}", "$.selectors.s.strategy"),
    ],
)
def test_what_is_wrong_at_sight_the_schema_refuses(text: str, path: str) -> None:
    assert complaints(text) == [path]


def test_keys_tell_what_they_mean_and_what_holds_without_them() -> None:
    schema = json.loads(json.dumps(json_schema()))
    model = schema["$defs"]["ModelSettings"]
    assert model["required"] == ["cmd"]
    assert model["properties"]["checkEndpoint"]["default"] == "/health"
    assert "answers 200" in model["properties"]["checkEndpoint"]["description"]
