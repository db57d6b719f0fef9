"""Says in words what a model would cause beside others, and why.  Decides nothing."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from swapd.ids import ModelId
from swapd.policy.eviction import Account, Accountable, Alternative, Decision, EvictionPolicy


@dataclass(frozen=True, slots=True)
class Explanation:
    """What starting ``model`` beside ``running`` comes to."""

    model: ModelId
    #: Sorted; the model itself may be there.
    running: tuple[ModelId, ...]
    decision: Decision
    account: Account

    @property
    def evict(self) -> list[ModelId]:
        """Who must go, sorted."""
        return sorted(self.decision.evict)

    @property
    def stay(self) -> list[ModelId]:
        """Who of the others stays, sorted."""
        return [m for m in self.running if m not in self.decision.evict and m != self.model]


def explain(policy: EvictionPolicy, model: ModelId, running: Set[ModelId]) -> Explanation:
    """Ask ``policy`` for its decision, and for its grounds if it has words for them."""
    account = policy.account(model, running) if isinstance(policy, Accountable) else Account({})
    return Explanation(model, tuple(sorted(running)), policy.victims(model, running), account)


def verdict(explained: Explanation) -> str:
    """Return in one sentence who is evicted, by which rule, at which cost."""
    model, rule = explained.model, explained.decision.rule
    at_cost = f"({rule}, cost {explained.decision.cost})"
    evicted, beside = listed(explained.evict), listed(explained.stay)
    if model in explained.running:
        if evicted:
            return f"{model} runs already; before it serves, {evicted} must go {at_cost}"
        return f"{model} runs already: nothing is evicted"
    if evicted:
        return f"{model} would evict {evicted} {at_cost}"
    if beside:
        return f"{model} would run beside {beside}: nothing is evicted ({rule})"
    return f"{model} would run alone: nothing else runs, nothing is evicted ({rule})"


def grounds(explained: Explanation) -> list[tuple[str, str, str]]:
    """Return for each other model that runs its name, whether it goes, and why."""
    why = explained.account.why
    goes = [(str(model), "goes", why.get(model, "")) for model in explained.evict]
    return [*goes, *((str(model), "stays", why.get(model, "")) for model in explained.stay)]


def choices(explained: Explanation, most: int) -> list[tuple[str, str, str, str]]:
    """Return the alternatives for people: rule, models, whom it evicts, and cost.

    No more than ``most``; the one that is taken is marked in front.
    """
    return [
        (
            f"{'*' if each.chosen else ' '} {each.rule}",
            " & ".join(each.models),
            f"evicts {listed(sorted(each.evict)) or 'nobody'}",
            f"cost {each.cost}",
        )
        for each in explained.account.alternatives[:most]
    ]


def plain(explained: Explanation) -> dict[str, object]:
    """Return everything as values that JSON knows."""
    return {
        "model": explained.model,
        "running": list(explained.running),
        "evict": explained.evict,
        "stay": explained.stay,
        "rule": explained.decision.rule,
        "cost": explained.decision.cost,
        "verdict": verdict(explained),
        "why": dict(sorted(explained.account.why.items())),
        "alternatives": [_plain(each) for each in explained.account.alternatives],
    }


def _plain(each: Alternative) -> dict[str, object]:
    return {
        "rule": each.rule,
        "models": list(each.models),
        "evict": sorted(each.evict),
        "cost": each.cost,
        "chosen": each.chosen,
    }


def listed(names: Sequence[str]) -> str:
    """Return ``names`` as a sentence has them: ``a, b and c``."""
    *most, last = names or [""]
    return f"{', '.join(most)} and {last}" if most else last
