"""`swapd explain` on the example configurations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from swapd.cli import main

CONFIGS = Path(__file__).parents[2] / "configs"


def explain(*words: str, config: str = "groups.yaml") -> Result:
    return CliRunner().invoke(main, ["explain", *words, "--config", str(CONFIGS / config)])


def test_groups_are_told_model_by_model() -> None:
    told = explain("mistral-24b", "--running", "qwen-32b, whisper,", "--running", "embed")
    assert told.exit_code == 0
    assert told.output == (
        "mistral-24b would evict qwen-32b and whisper (group chat, cost 2).\n"
        "\n"
        "  qwen-32b  goes   group chat swaps: one member at a time\n"
        "  whisper   goes   group chat is exclusive: it stops other groups, here small\n"
        "  embed     stays  group forever is persistent: other groups cannot stop it\n"
    )


def test_a_matrix_is_told_with_every_alternative() -> None:
    told = explain("stable-diffusion", "--running", "gemma,voxtral", config="matrix.yaml")
    assert told.output == (
        "stable-diffusion would evict voxtral (set creative, cost 50).\n"
        "\n"
        "  voxtral  goes   no set has it beside stable-diffusion; it costs 50\n"
        "  gemma    stays  set creative has it beside stable-diffusion\n"
        "\n"
        "What has stable-diffusion, cheapest first (* is taken):\n"
        "  * set creative  gemma & stable-diffusion  evicts voxtral            cost 50\n"
        "    set creative  qwen & stable-diffusion   evicts gemma and voxtral  cost 51\n"
    )


def test_where_nothing_runs_nothing_is_evicted() -> None:
    told = explain("whisper")
    assert told.output == (
        "whisper would run alone: nothing else runs, nothing is evicted (group small).\n"
    )


def test_programs_get_json() -> None:
    told = explain("whisper", "--running", "qwen-32b", "--json")
    answer = json.loads(told.output)
    assert (answer["model"], answer["evict"], answer["rule"], answer["cost"]) == (
        "whisper",
        ["qwen-32b"],
        "group small",
        1,
    )


def test_aliases_mean_their_models(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("models: {m: {cmd: 'x ${PORT}', aliases: [a]}, n: {cmd: 'x ${PORT}'}}")
    told = explain("n", "--running", "a", config=str(config))
    assert told.output.startswith("n would evict m (group (default), cost 1).\n")


@pytest.mark.parametrize(
    ("words", "wrong"),
    [(["whispr"], "whispr"), (["embed", "--running", "whisper,whispr"], "whispr")],
)
def test_a_name_that_is_unknown_gets_the_nearest_ones(words: list[str], wrong: str) -> None:
    told = explain(*words)
    assert (told.exit_code, told.stdout) == (1, "")
    assert told.stderr == f"model not found: '{wrong}'; did you mean 'whisper'?\n"


def test_many_alternatives_are_cut_with_a_word_of_it(tmp_path: Path) -> None:
    some = [f"m{n}" for n in range(20)]
    models = ", ".join(f"{name}: {{cmd: 'x ${{PORT}}'}}" for name in ["t", *some])
    config = tmp_path / "c.yaml"
    config.write_text(f"models: {{{models}}}\nmatrix: {{sets: {{s: 't & ({' | '.join(some)})'}}}}")
    lines = explain("t", "--running", ",".join(some), config=str(config)).output.splitlines()
    assert lines[-1] == "    and 8 more, see --json"
    assert sum("evicts m" in line for line in lines) == 12
