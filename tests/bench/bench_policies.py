"""Holds settings of maxWait and llama-swap's rules against each other, in virtual time.

`python -m tests.bench.bench_policies` prints the table of docs/scheduling.md; with `--write` it
puts it there.  The traces are drawn by chance, but seeded: the same code prints the same table.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from types import MappingProxyType

from swapd.config.schema import Group
from swapd.ids import ModelId
from swapd.policy.eviction import GroupEviction
from swapd.policy.report import Report
from swapd.policy.scheduler import Scheduler
from swapd.policy.seats import Rules, Terms
from swapd.policy.simulator import Decider, Request, Times, simulate
from swapd.testing.groups import group
from tests.bench.peer_rules import PeerRules

DOCUMENT = Path(__file__).parents[2] / "docs" / "scheduling.md"
_MARKED = re.compile(r"(<!-- bench_policies -->\n).*?(<!-- end -->)", re.DOTALL)

#: Each figure of the table is the mean over a trace of each seed.
SEEDS = range(5)

#: How long each model takes to load and to stop, in seconds.
TIMES = Times(load=15.0, stop=1.0)

#: For how many seconds requests come.
LENGTH = 900.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """A trace over groups of models; ``cold`` is the model that is asked for least."""

    title: str
    groups: Mapping[str, Group]
    trace: tuple[Request, ...]
    cold: ModelId

    @property
    def models(self) -> tuple[ModelId, ...]:
        """Every model, in the order of the groups."""
        return tuple(member for given in self.groups.values() for member in given.members)


def together(seed: int) -> Scenario:
    """Six requests for three models at the same moment, whatever the seed."""
    trace = tuple(Request(0.0, ModelId(name), 10.0) for name in "abcabc")
    return Scenario("A B C A B C at once", one_at_a_time("a", "b", "c"), trace, ModelId("c"))


def two_hot(seed: int) -> Scenario:
    """Two models that are both asked for all the time: some four or five at once each."""
    rng = random.Random(seed)
    trace = (*traffic(rng, "a", every=4.0), *traffic(rng, "b", every=4.0))
    return Scenario("two hot models", one_at_a_time("a", "b"), trace, ModelId("b"))


def hot_and_cold(seed: int) -> Scenario:
    """One model that is asked for without a pause, and one now and then."""
    rng = random.Random(seed)
    trace = (*traffic(rng, "hot", every=2.5), *traffic(rng, "cold", every=180.0))
    return Scenario("hot and cold", one_at_a_time("hot", "cold"), trace, ModelId("cold"))


def agents(seed: int) -> Scenario:
    """Sessions of agents: the orchestrator needs the place alone, its two helpers share it."""
    rng = random.Random(seed)
    groups = {
        "lead": group("orchestrator"),
        "helpers": group("explorer", "coder", swap=False),
    }
    trace = [step for begin in moments(rng, every=60.0) for step in session(rng, begin)]
    return Scenario("bursty agents", groups, tuple(trace), ModelId("coder"))


def session(rng: random.Random, begin: float) -> Iterator[Request]:
    """Ask the orchestrator, then explorers all at once, then it again, then coders, then it."""
    for at, model, count, shortest, longest in (
        (0.0, "orchestrator", 1, 5.0, 10.0),
        (10.0, "explorer", rng.randint(3, 6), 5.0, 15.0),
        (30.0, "orchestrator", 1, 5.0, 10.0),
        (40.0, "coder", rng.randint(1, 3), 15.0, 40.0),
        (80.0, "orchestrator", 1, 5.0, 10.0),
    ):
        for _ in range(count):
            yield Request(begin + at, ModelId(model), rng.uniform(shortest, longest))


def mixture(seed: int) -> Scenario:
    """Eight models, of which the n-th is asked for 1/n as often as the first (Zipf)."""
    rng = random.Random(seed)
    names = [f"m{n}" for n in range(1, 9)]
    weights = [1 / n for n in range(1, 9)]
    trace = tuple(
        Request(at, ModelId(rng.choices(names, weights)[0]), answer(rng))
        for at in moments(rng, every=8.0)
    )
    return Scenario("eight models, Zipf", one_at_a_time(*names), trace, ModelId("m8"))


#: Every scenario, each made from a seed.
SCENARIOS = (together, two_hot, hot_and_cold, agents, mixture)


def one_at_a_time(*models: str) -> dict[str, Group]:
    """Return the one group of models that swap."""
    return {"(default)": group(*models)}


def traffic(rng: random.Random, model: str, *, every: float) -> Iterator[Request]:
    """Yield requests for ``model`` that come so often on average."""
    for at in moments(rng, every):
        yield Request(at, ModelId(model), answer(rng))


def moments(rng: random.Random, every: float) -> Iterator[float]:
    """Yield when something happens that happens so often on average, as chance will have it."""
    at = rng.expovariate(1 / every)
    while at < LENGTH:
        yield at
        at += rng.expovariate(1 / every)


def answer(rng: random.Random) -> float:
    """Return how many seconds an answer takes."""
    return rng.uniform(5.0, 30.0)


def swapd(max_wait: float) -> Callable[[Scenario], Decider]:
    """Return a maker of our scheduler with this ``maxWait``."""

    def make(scenario: Scenario) -> Decider:
        terms = dict.fromkeys(scenario.models, Terms())
        return Scheduler(terms, GroupEviction(scenario.groups), Rules(max_wait=max_wait))

    return make


def peer(scenario: Scenario) -> Decider:
    """Return a scheduler by llama-swap's rules."""
    return PeerRules(scenario.models, GroupEviction(scenario.groups))


#: Every scheduler that is compared; each simulation needs a new one.
RULES: Mapping[str, Callable[[Scenario], Decider]] = MappingProxyType(
    {"llama-swap": peer, **{f"maxWait {seconds}": swapd(seconds) for seconds in (0, 10, 30, 120)}}
)


def table(chosen: Iterable[Callable[[int], Scenario]] = SCENARIOS) -> str:
    """Return the table, in Markdown."""
    rows = [
        "| requests | rules | starts | makespan | mean wait | p95 | max | max, cold model |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for make in chosen:
        played = [make(seed) for seed in SEEDS]
        title = f"**{played[0].title}**"
        for name, decider in RULES.items():
            cells = mean_figures(played, decider)
            rows.append(f"| {title} | {name} | {' | '.join(cells)} |")
            title = ""
    return "\n".join([*rows, ""])


def mean_figures(
    played: Iterable[Scenario], decider: Callable[[Scenario], Decider]
) -> Iterator[str]:
    """Yield each figure of ``decider``, as the mean over ``played``."""
    of_each = [
        figures(
            simulate(decider(scenario), dict.fromkeys(scenario.models, TIMES), scenario.trace),
            scenario.cold,
        )
        for scenario in played
    ]
    for same in zip(*of_each, strict=True):
        yield f"{fmean(same):.0f}"


def figures(report: Report, cold: ModelId) -> tuple[float, ...]:
    """Return what is shown of one simulation."""
    wait, of_the_cold = report.overall.wait, report.models[cold].wait
    if wait is None or of_the_cold is None:
        raise ValueError(f"nobody was served: {report}")
    starts = report.overall.starts
    return starts, report.makespan, wait.mean, wait.p95, wait.max, of_the_cold.max


def rewritten(document: str) -> str:
    """Return ``document`` with its table made anew."""
    return _MARKED.sub(lambda found: found[1] + table() + found[2], document)


def main(arguments: list[str]) -> None:
    """Print the table, or write it where it is told."""
    if arguments == ["--write"]:
        DOCUMENT.write_text(rewritten(DOCUMENT.read_text()))
    else:
        sys.stdout.write(table())


if __name__ == "__main__":
    main(sys.argv[1:])
