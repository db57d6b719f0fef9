"""`swapd simulate`, as it is typed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from swapd.cli import main

DOCS = Path(__file__).parents[2] / "docs" / "scheduling.md"

CONFIG = """\
models:
  qwen: {cmd: 'x ${PORT}'}
  gemma: {cmd: 'x ${PORT}', aliases: [gpt-4o]}
"""

TRACE = "arrival,model,service\n0,qwen,10\n0,gpt-4o,10\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "trace.csv").write_text(TRACE)
    return tmp_path


def simulate(*options: str, trace: str = "trace.csv", given: bytes | str = "") -> Result:
    command = ["simulate", "--config", "config.yaml", "--trace", trace, *options]
    return CliRunner().invoke(main, command, input=given)


def answer(result: Result) -> object:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_figures_of_each_model_stand_in_columns() -> None:
    result = simulate("--load", "qwen=20", "--load", "gpt-4o=30.5", "--stop", "qwen=3")
    assert result.stdout.splitlines() == [
        "model  load  stop  served  mean wait   p95   max  busy  starts  evicted  loading",
        "qwen     20     3       1       20.0  20.0  20.0   14%       1        1     20.0",
        "gemma  30.5     1       1       63.5  63.5  63.5   14%       1        0     30.5",
        "all                     2       41.8  63.5  63.5   27%       2        1     50.5",
        "",
        "2 requests, the last was over after 73.5 s; maxWait 30; all times in seconds",
    ]
    assert result.stderr == ""


def test_the_example_of_the_document_is_what_swapd_prints(folder: Path) -> None:
    text = DOCS.read_text()
    trace = re.findall(r"```csv\n(.*?)```", text, re.DOTALL)
    example = re.findall(r"```\n\$ swapd (.*?)\n(.*?)```", text, re.DOTALL)
    (folder / "evening.csv").write_text(trace[0])
    result = CliRunner().invoke(main, example[0][0].split())
    assert result.stdout == example[0][1]
    unbounded = CliRunner().invoke(main, [*example[0][0].split(), "--max-wait", "0"])
    assert "gemma    14     1       2       72.5  100.0  100.0" in unbounded.stdout


def test_json_has_the_same_for_scripts() -> None:
    counts = {"served": 1, "refused": 0, "starts": 1, "idle_unloads": 0, "loading": 10}
    qwen = {
        **counts,
        "wait": {"mean": 10, "p95": 10, "max": 10},
        "busy": 0.243902,
        "evictions": 1,
    }
    gemma = {**qwen, "wait": {"mean": 31, "p95": 31, "max": 31}, "evictions": 0}
    overall = {
        "served": 2,
        "refused": 0,
        "wait": {"mean": 20.5, "p95": 31, "max": 31},
        "busy": 0.487805,
        "starts": 2,
        "evictions": 1,
        "idle_unloads": 0,
        "loading": 20,
    }
    assert answer(simulate("--json")) == {
        "makespan": 41,
        "overall": overall,
        "models": {"qwen": qwen, "gemma": gemma},
        "refusals": {},
    }


def test_a_trace_may_come_from_stdin() -> None:
    line = b'\xef\xbb\xbf{"arrival": 0, "model": "gpt-4o", "service": 1}'
    found = answer(simulate("--json", trace="-", given=line))
    assert isinstance(found, dict)
    assert found["makespan"] == 11
    assert simulate(trace="-", given="{").stderr.startswith("stdin:1: must be a JSON object")


def test_max_wait_stands_in_for_that_of_the_configuration(folder: Path) -> None:
    hot = "".join(f"{at},qwen,20\n" for at in range(0, 100, 10))
    (folder / "trace.csv").write_text(f"{TRACE}{hot}")
    waits = [simulate(*options).stdout.splitlines() for options in ((), ("--max-wait", "0"))]
    assert [lines[-1].split("; ")[1] for lines in waits] == ["maxWait 30", "maxWait 0"]
    assert [lines[2].split()[6] for lines in waits] == ["51.0", "121.0"]


def test_whoever_is_refused_is_told_of_and_who_was_unloaded(folder: Path) -> None:
    (folder / "config.yaml").write_text(
        "globalTTL: 2\nmodels: {qwen: {cmd: 'x ${PORT}', concurrencyLimit: 1}}"
    )
    (folder / "trace.csv").write_text("arrival,model,service\n0,qwen,1\n0,qwen,1\n60,qwen,1\n")
    lines = simulate().stdout.splitlines()
    head, qwen = lines[0].split(), lines[1].split()
    assert head[4] == "refused"
    assert qwen[4] == "1"
    assert "evicted" not in head
    assert (head[-2], qwen[-2]) == ("unloaded", "1")
    assert "refused: 1 x qwen is at its concurrencyLimit" in lines


def test_what_is_preloaded_is_loaded_when_the_first_request_comes(folder: Path) -> None:
    (folder / "config.yaml").write_text(f"{CONFIG}hooks: {{on_startup: {{preload: [gemma]}}}}\n")
    (folder / "trace.csv").write_text("arrival,model,service\n100,gemma,1\n")
    lines = simulate().stdout.splitlines()
    assert lines[1].split()[:5] == ["gemma", "10", "1", "1", "0.0"]
    assert len(lines) == 5, "a model that nobody used is shown"


def test_times_that_swapd_would_not_grant_are_warned_of() -> None:
    result = simulate("--load", "qwen=200", "--stop", "gemma=11")
    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        "warning: qwen loads for 200 s, but swapd gives up on a start after 120 s"
        " (healthCheckTimeout)",
        "warning: gemma stops for 11 s, but swapd kills it after 10 s (unloadTimeout)",
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--load", "qwen"), "'qwen' is not MODEL=SECONDS."),
        (("--load", "qwen=soon"), "'soon' is no number of seconds."),
        (("--stop", "qwen=-1"), "'-1' is no number of seconds."),
        (("--max-wait", "nan"), "'nan' is no number of seconds."),
        (("--default-load", "inf"), "'inf' is no number of seconds."),
        (
            ("--stop", "gema=1"),
            "Invalid value for --stop: model not found: 'gema'; did you mean 'gemma'?",
        ),
    ],
)
def test_a_wrong_option_is_wrong_usage(options: tuple[str, ...], said: str) -> None:
    result = simulate(*options)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


def test_a_model_may_have_a_name_with_an_equals_sign(folder: Path) -> None:
    (folder / "config.yaml").write_text("models: {'a=b': {cmd: 'x ${PORT}'}}")
    (folder / "trace.csv").write_text("arrival,model,service\n0,a=b,1\n")
    assert simulate("--load", "a=b=7").stdout.splitlines()[1].split()[:2] == ["a=b", "7"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "trace.csv: No such file or directory\n"),
        (b"\xff", "trace.csv: byte 0 is not UTF-8 text\n"),
        (b"arrival,model,service\n", "trace.csv: there is no request in it\n"),
        (
            b"arrival,model,service\n0,gema,1\n0,qwen,x\n",
            "trace.csv:2: model: model not found: 'gema'; did you mean 'gemma'?\n"
            "trace.csv:3: service: must be seconds, at least 0, not 'x'\n",
        ),
    ],
)
def test_a_trace_that_cannot_be_read_ends_with_the_place(
    folder: Path, content: bytes | None, said: str
) -> None:
    (folder / "trace.csv").unlink()
    if content is not None:
        (folder / "trace.csv").write_bytes(content)
    result = simulate()
    assert result.exit_code == 1
    assert result.stderr == said
    assert result.stdout == ""


def test_a_configuration_that_is_wrong_ends_with_the_place(folder: Path) -> None:
    (folder / "config.yaml").write_text("models: 7")
    result = simulate()
    assert result.exit_code == 1
    assert result.stderr.startswith("config.yaml:1:9: models: ")
