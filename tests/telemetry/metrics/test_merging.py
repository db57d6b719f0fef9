"""The metrics of several servers in one text."""

from __future__ import annotations

import time

import pytest

from swapd.telemetry.metrics.merging import LEFT_OUT, Shown, escaped, merged
from tests.telemetry.metrics.scraped import Scraped

LLAMA = """# HELP llamacpp:prompt_tokens_total Number of prompt tokens processed.
# TYPE llamacpp:prompt_tokens_total counter
llamacpp:prompt_tokens_total 27
# HELP llamacpp:n_busy_slots_per_decode Average number of busy slots per llama_decode() call
# TYPE llamacpp:n_busy_slots_per_decode counter
llamacpp:n_busy_slots_per_decode 1.5
# HELP llamacpp:predicted_tokens_seconds Average generation throughput in tokens/s.
# TYPE llamacpp:predicted_tokens_seconds gauge
llamacpp:predicted_tokens_seconds 3650.66
"""

VLLM = """# HELP vllm:time_to_first_token_seconds Histogram of time to first token in seconds.
# TYPE vllm:time_to_first_token_seconds histogram
vllm:time_to_first_token_seconds_bucket{engine="0",le="0.5",model_name="Qwen/Qwen3-8B"} 3.0
vllm:time_to_first_token_seconds_bucket{engine="0",le="+Inf",model_name="Qwen/Qwen3-8B"} 4.0
vllm:time_to_first_token_seconds_count{engine="0",model_name="Qwen/Qwen3-8B"} 4.0
vllm:time_to_first_token_seconds_sum{engine="0",model_name="Qwen/Qwen3-8B"} 1.25e+00
# HELP rpc_seconds RPC.
# TYPE rpc_seconds summary
rpc_seconds{quantile="0.5"} 0.1
rpc_seconds_sum 10
rpc_seconds_count 20
"""


def lines(*shown: tuple[str, str]) -> list[str]:
    """Return the lines of what is merged, without those of swapd's own and of comments."""
    text = merged([Shown(model, text) for model, text in shown])
    Scraped(text.encode())  # which the parser must understand
    return [line for line in text.splitlines() if "swapd_upstream_up" not in line]


def test_each_series_has_its_model_and_each_family_is_there_once() -> None:
    assert lines(("a", LLAMA), ("b", LLAMA.replace("27", "99"))) == [
        "# HELP llamacpp:prompt_tokens_total Number of prompt tokens processed.",
        "# TYPE llamacpp:prompt_tokens_total counter",
        'llamacpp:prompt_tokens_total{model="a"} 27',
        'llamacpp:prompt_tokens_total{model="b"} 99',
        "# HELP llamacpp:n_busy_slots_per_decode "
        "Average number of busy slots per llama_decode() call",
        "# TYPE llamacpp:n_busy_slots_per_decode counter",
        'llamacpp:n_busy_slots_per_decode{model="a"} 1.5',
        'llamacpp:n_busy_slots_per_decode{model="b"} 1.5',
        "# HELP llamacpp:predicted_tokens_seconds Average generation throughput in tokens/s.",
        "# TYPE llamacpp:predicted_tokens_seconds gauge",
        'llamacpp:predicted_tokens_seconds{model="a"} 3650.66',
        'llamacpp:predicted_tokens_seconds{model="b"} 3650.66',
    ]


def test_who_shows_a_family_first_says_what_it_is() -> None:
    found = lines(("a", "# HELP x One.\nx 1\n"), ("b", "# HELP x Other.\nx 2\n"))
    assert found == [*("# HELP x One.", "# TYPE x untyped", 'x{model="a"} 1', 'x{model="b"} 2')]


def test_histograms_and_summaries_stay_whole() -> None:
    found = lines(("v", VLLM))
    name = "vllm:time_to_first_token_seconds"
    assert found[2] == (
        f'{name}_bucket{{model="v",engine="0",le="0.5",model_name="Qwen/Qwen3-8B"}} 3.0'
    )
    assert [line.split("{")[0] for line in found] == [
        f"# HELP {name} Histogram of time to first token in seconds.",
        f"# TYPE {name} histogram",
        *(f"{name}_bucket", f"{name}_bucket", f"{name}_count", f"{name}_sum"),
        "# HELP rpc_seconds RPC.",
        "# TYPE rpc_seconds summary",
        *("rpc_seconds", "rpc_seconds_sum", "rpc_seconds_count"),
    ]


@pytest.mark.parametrize(
    ("line", "out"),
    [
        ("x 1", 'x{model="m"} 1'),
        ("x{} 1", 'x{model="m"} 1'),
        ('x{a="b"} 1', 'x{model="m",a="b"} 1'),
        ('x{a="b",} 1', 'x{model="m",a="b"} 1'),
        ('x { a = "b" , c="d" }  1', 'x{model="m",a = "b" , c="d"} 1'),
        ('x{a="b"}1', 'x{model="m",a="b"} 1'),
        ("x\t1\r", 'x{model="m"} 1'),
        ("x -1.5e-7 1700000000000", 'x{model="m"} -1.5e-7 1700000000000'),
        ("x +Inf", 'x{model="m"} +Inf'),
        ("x NaN", 'x{model="m"} NaN'),
        (r'x{a="q\"}\\\n,"} 1', r'x{model="m",a="q\"}\\\n,"} 1'),
        ('x{model="own"} 1', 'x{model="m",exported_model="own"} 1'),
        (
            'x{exported_model="e",model="o"} 1',
            'x{model="m",exported_exported_model="e",exported_model="o"} 1',
        ),
        ('x{a=",model=",b="c"} 1', 'x{model="m",a=",model=",b="c"} 1'),
        ('x{a="\u2028"} 1', 'x{model="m",a="\u2028"} 1'),
    ],
)
def test_a_series_keeps_all_but_gets_a_label(line: str, out: str) -> None:
    text = merged([Shown("m", line)])
    assert text.split("\n")[-2] == out


@pytest.mark.parametrize(
    "line",
    [
        *("<html>", "x", "x y", 'x{a="b} 1', "x{a=b} 1", "1x 1", "x 1-2", "x 0x10", "{} 1"),
        *(
            'x{a="b" c="d"} 1',
            'x{a="b",a="c"} 1',
            "x{,} 1",
            "x 1 1.5",
            "x1",
            'x{a="b"',
            "x 1 # {} 1",
            "x 1_0",
        ),
    ],
)
def test_what_is_no_series_is_left_out_and_said(line: str) -> None:
    text = merged([Shown("m", f"ok 1\n{line}\n")])
    Scraped(text.encode())
    assert text.startswith(f"# m: left out 1 line {LEFT_OUT}\n")
    assert text.endswith('# TYPE ok untyped\nok{model="m"} 1\n')


def test_a_series_that_is_shown_twice_is_there_once() -> None:
    assert lines(("m", 'x{a="b"} 1\nx{a="b"} 2\n'))[-1] == 'x{model="m",a="b"} 1'


def test_who_shows_a_family_as_another_type_is_left_out_of_it() -> None:
    found = lines(("a", "# TYPE x gauge\nx 1\n"), ("b", "# TYPE x counter\nx 2\ny 3\n"))
    assert found == [
        f"# b: left out 1 line {LEFT_OUT}",
        *("# TYPE x gauge", 'x{model="a"} 1', "# TYPE y untyped", 'y{model="b"} 3'),
    ]


def test_names_of_models_cannot_break_out_of_their_label_or_comment() -> None:
    name = 'a"\\\n# TYPE evil counter'
    text = merged([Shown(name, "x 1"), Shown("b\n", None, "status 500")])
    assert Scraped(text.encode()).value("x", model=name) == 1
    assert 'x{model="a\\"\\\\\\n# TYPE evil counter"} 1' in text
    assert text.startswith("# b\\n: status 500\n")
    assert escaped("plain") == "plain"


def test_who_shows_nothing_is_told_to_be_down_and_why() -> None:
    text = merged([Shown("a", "x 1"), Shown("b", None, "does not answer within 2 s")])
    found = Scraped(text.encode())
    assert found.value("swapd_upstream_up", model="a") == 1
    assert found.value("swapd_upstream_up", model="b") == 0
    assert text.startswith("# b: does not answer within 2 s\n")


def test_types_that_do_not_exist_are_none() -> None:
    assert lines(("m", "# TYPE x gaugehistogram\nx 1\n")) == [
        "# TYPE x untyped",
        'x{model="m"} 1',
    ]


@pytest.mark.parametrize(
    "line",
    [
        "x" + " " * 200_000 + "!",
        "x{" + " " * 200_000 + "!",
        'x{a="b"' + " " * 200_000 + "!",
        'x{a="b",' + " " * 200_000 + "!",
        'x{a="' + "\\" * 200_000,
        "x{" + 'a="b",' * 50_000 + "!",
        "# HELP " + " " * 200_000 + "!",
        "x 1" + "1" * 200_000 + "!",
        "x" * 200_000,
    ],
)
def test_a_long_line_of_nonsense_costs_no_more_than_its_length(line: str) -> None:
    before = time.process_time()
    merged([Shown("m", line)])
    assert time.process_time() - before < 2  # it is some milliseconds, or minutes
