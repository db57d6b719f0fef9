"""Decides for whom a selector stands, request by request.

Rule 1: how busy a target is says who asks, with every request that is under way, whether it came
    by the selector or not.  Whoever is chosen must be counted before the next choice, or two
    requests at the same instant get the same target.
Rule 2: a target that has failed, and may not be started yet, is left out while there are others.
    The strategy ``pin`` has no others.
Rule 3: a target that is doomed is ready no more: who comes now would wait for its end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, assert_never

from swapd.config.selectors import Selector, Strategy, Target
from swapd.errors import ModelUnavailable
from swapd.policy.life import ModelState

_ACTIVE = (ModelState.READY, ModelState.STARTING)

#: Seconds after which one who found all targets stopping may ask again.
_RETRY_AFTER = 1.0


@dataclass(frozen=True, slots=True)
class Standing:
    """How a target stands now.

    Attributes:
      state: Where it is in its life, None for a peer's model: nobody tells us.
      requests: How many requests for it are under way, waiting ones included.
      fails: Whether it has failed, and may not be started yet.
      doomed: Whether it is ready, but stops as soon as it is idle.
    """

    state: ModelState | None
    requests: int
    fails: bool = False
    doomed: bool = False

    @property
    def is_active(self) -> bool:
        """Whether it is loaded or about to be, as far as anybody knows."""
        return self.state in _ACTIVE or self.requests > 0


class Destination(NamedTuple):
    """For whom a request is.

    Attributes:
      name: The name under which it goes on; an alias keeps its filters.
      target: The model that ``name`` means.
      selector: The selector that has chosen it, if one has.
    """

    name: str
    target: Target
    selector: str | None = None


#: Tells how a target stands now.
StandingOf: TypeAlias = Callable[[Target], Standing]

#: How those stand that can be chosen, the best first.
Standings: TypeAlias = Mapping[Destination, Standing]


class Selectors:
    """Chooses for every selector; remembers whose turn it is among equals."""

    def __init__(self) -> None:
        self._turns: Counter[str] = Counter()

    def choose(self, selector: Selector, standing_of: StandingOf) -> Destination:
        """Return for whom ``selector`` stands in this request.

        Raises:
          ModelUnavailable: Every target is being stopped.
        """
        choices = [
            Destination(name, target, selector.id)
            for name, target in zip(selector.targets, selector.resolved, strict=True)
        ]
        match selector.strategy:
            case Strategy.PIN:
                return choices[0]
            case Strategy.WARM:
                return _warmest(_sound(choices, standing_of))
            case Strategy.SPILLOVER:
                return self._least_busy(selector, _sound(choices, standing_of))
            case _:
                assert_never(selector.strategy)

    def copied(self) -> Selectors:
        """Return one like this: whom that chooses leaves the turns here as they are."""
        other = Selectors()
        other._turns = self._turns.copy()
        return other

    def _least_busy(self, selector: Selector, standings: Standings) -> Destination:
        rest = {
            choice: how for choice, how in standings.items() if how.state is not ModelState.STOPPING
        }
        if not rest:
            message = f'selector "{selector.id}" has no available spillover targets'
            raise ModelUnavailable(f"{message}: all are stopping", retry_after=_RETRY_AFTER)
        open_ = {choice: how for choice, how in rest.items() if not how.doomed} or rest
        active = {choice: how.requests for choice, how in open_.items() if how.is_active}
        cold = [choice for choice in open_ if choice not in active]
        least = min(active.values(), default=selector.spillover)
        if cold and least >= selector.spillover:
            return cold[0]
        equals = [choice for choice, requests in active.items() if requests == least]
        self._turns[selector.id] += 1
        return equals[(self._turns[selector.id] - 1) % len(equals)]


def _sound(choices: Iterable[Destination], standing_of: StandingOf) -> Standings:
    """Return how the choices stand that have not failed, or all if there are no others."""
    standings = {choice: standing_of(choice.target) for choice in choices}
    return {choice: how for choice, how in standings.items() if not how.fails} or standings


def _warmest(standings: Standings) -> Destination:
    choices = [*standings]
    ready = [choice for choice in choices if _is_ready(standings[choice])]
    starting = [choice for choice in choices if standings[choice].state is ModelState.STARTING]
    return [*ready, *starting, *choices][0]


def _is_ready(standing: Standing) -> bool:
    return standing.state is ModelState.READY and not standing.doomed
