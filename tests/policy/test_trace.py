"""Reading a trace, and what is said of one that cannot be read."""

from __future__ import annotations

import pytest

from swapd.errors import InvalidTrace
from swapd.ids import ModelId
from swapd.policy.naming import Names
from swapd.policy.simulator import Request
from swapd.policy.trace import MOST_PROBLEMS, read_trace

QWEN, GEMMA = ModelId("qwen"), ModelId("gemma")
NAMES = Names([QWEN, GEMMA], {"gpt-4o": QWEN}, peer_models={}, selectors=[])


def complaint(text: str) -> str:
    with pytest.raises(InvalidTrace) as caught:
        read_trace(text, "t", NAMES)
    return str(caught.value)


def test_csv_has_a_header_in_any_order() -> None:
    text = "model,note,service,arrival\ngpt-4o,first,2.5,0\ngemma,,3,1e1\n"
    assert read_trace(text, "t", NAMES) == [Request(0, QWEN, 2.5), Request(10, GEMMA, 3)]


def test_csv_comes_as_spreadsheets_write_it() -> None:
    text = '\r\narrival, model, service, note\r\n0, qwen, 2, "a, b"\r\n\r\n,,,\r\n1,qwen,3,\r\n'
    assert read_trace(text, "t", NAMES) == [Request(0, QWEN, 2), Request(1, QWEN, 3)]


def test_lines_may_end_as_on_any_system() -> None:
    for end in ("\n", "\r\n", "\r"):
        text = end.join(["arrival,model,service", "0,qwen,1", "2,qwen,1", ""])
        assert read_trace(text, "t", NAMES) == [Request(0, QWEN, 1), Request(2, QWEN, 1)]


def test_json_lines_have_an_object_each() -> None:
    text = (
        '\n{"arrival": 0, "model": "gpt-4o", "service": 2.5, "more": [1, {}]}\r\n'
        '\n  {"service": "3", "arrival": "1.5", "model": "gemma"}'
    )
    assert read_trace(text, "t", NAMES) == [Request(0, QWEN, 2.5), Request(1.5, GEMMA, 3)]


@pytest.mark.parametrize("text", ["", " \n\n", "arrival,model,service\n"])
def test_a_trace_without_a_request_is_none(text: str) -> None:
    assert complaint(text) == "t: there is no request in it"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"arrival": 1, "model": "qwen"}', "lacks service"),
        ('{"arrival": 1}', "lacks model, service"),
        (
            '{"arrival": -1, "model": "qwen", "service": 1}',
            "arrival: must be seconds, at least 0, not -1",
        ),
        (
            '{"arrival": true, "model": "qwen", "service": 1}',
            "arrival: must be seconds, at least 0, not true",
        ),
        (
            '{"arrival": 1, "model": "qwen", "service": "soon"}',
            "service: must be seconds, at least 0, not 'soon'",
        ),
        (
            '{"arrival": 1, "model": "qwen", "service": null}',
            "service: must be seconds, at least 0, not null",
        ),
        ('{"arrival": 1, "model": 7, "service": 1}', "model: must be a name, not 7"),
        (
            '{"arrival": 1, "model": "gema", "service": 1}',
            "model: model not found: 'gema'; did you mean 'gemma'?",
        ),
        ("7", "must be a JSON object, not 7"),
        ("{", "must be a JSON object: Input data was truncated"),
        ('{"arrival": 1 "model"}', "must be a JSON object: JSON is malformed"),
        ("[" * 100_000, "must be a JSON object: maximum recursion depth"),
        (
            '{"arrival": "1e999", "model": "qwen", "service": 1}',
            "arrival: must be seconds, at least 0, not '1e999'",
        ),
        (
            f'{{"arrival": {"9" * 400}, "model": "qwen", "service": 1}}',
            f"arrival: must be seconds, at least 0, not {'9' * 39}…",
        ),
    ],
)
def test_a_line_of_json_that_is_wrong_is_named(line: str, said: str) -> None:
    good = '{"arrival": 0, "model": "qwen", "service": 1}'
    told = complaint(f"{good}\n{line}\n{good}")
    assert told.startswith(f"t:2: {said}")
    assert "\n" not in told


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1,qwen", "has 2 columns, the first line 3"),
        ("1,qwen,2,3", "has 4 columns, the first line 3"),
        ("nan,qwen,1", "arrival: must be seconds, at least 0, not 'nan'"),
        ("1,,1", "model: model not found: ''"),
        ("1,qwen," + "1" * 200_000, "field larger than field limit (131072)"),
    ],
)
def test_a_line_of_csv_that_is_wrong_is_named(line: str, said: str) -> None:
    assert complaint(f"arrival,model,service\n0,qwen,1\n{line}") == f"t:3: {said}"


def test_csv_without_a_header_is_told_what_it_lacks() -> None:
    columns = "must name the columns arrival, model, service"
    assert complaint("0,qwen,1\n") == f"t:1: {columns}; it lacks arrival, model, service"
    assert complaint("\narrival,model\n0,qwen\n") == f"t:2: {columns}; it lacks service"


def test_a_list_is_told_how_to_become_lines() -> None:
    assert complaint('\n[{"arrival": 0}]') == (
        "t:1: is a list; write an object a line, as jq -c '.[]' does"
    )


def test_every_problem_is_told_but_not_without_end() -> None:
    lines = complaint("arrival,model,service\n" + "0,nobody,x\n" * 15).splitlines()
    assert lines[:2] == [
        "t:2: model: model not found: 'nobody'",
        "t:2: service: must be seconds, at least 0, not 'x'",
    ]
    assert len(lines) == MOST_PROBLEMS + 1
    assert lines[-1] == "t: and 10 more problems"
