"""Decides for whom a selector stands, request by request.

How busy a target is says who asks, with every request that is under way: those that came by the
selector and those that did not.  Whoever is chosen must be counted before the next choice, or two
requests at the same instant get the same target.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import assert_never

from swapd.config.selectors import Selector, Strategy, Target
from swapd.errors import ModelUnavailable
from swapd.policy.life import ModelState

_LOADED = (ModelState.READY, ModelState.STARTING)

#: Seconds after which one who found all targets stopping may ask again.
_RETRY_AFTER = 1.0


@dataclass(frozen=True, slots=True)
class Standing:
    """How a target stands now.

    Attributes:
      state: Where it is in its life, None for a peer's model: nobody tells us.
      requests: How many requests for it are under way, waiting ones included.
    """

    state: ModelState | None
    requests: int

    @property
    def is_open(self) -> bool:
        """Whether it can be asked without waiting for its end first."""
        return self.state is not ModelState.STOPPING

    @property
    def is_active(self) -> bool:
        """Whether it is loaded or about to be, as far as anybody knows."""
        return self.state in _LOADED or self.requests > 0


@dataclass(frozen=True, slots=True)
class Destination:
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
StandingOf = Callable[[Target], Standing]


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
                return _warmest(choices, standing_of)
            case Strategy.SPILLOVER:
                return self._least_busy(selector, choices, standing_of)
            case _:
                assert_never(selector.strategy)

    def _least_busy(
        self, selector: Selector, choices: Sequence[Destination], standing_of: StandingOf
    ) -> Destination:
        standings = {choice: standing_of(choice.target) for choice in choices}
        active = [choice for choice in choices if _is_active(standings[choice])]
        cold = [choice for choice in choices if _is_cold(standings[choice])]
        least = min((standings[choice].requests for choice in active), default=selector.spillover)
        if cold and least >= selector.spillover:
            return cold[0]
        if not active:
            message = f'selector "{selector.id}" has no available spillover targets'
            raise ModelUnavailable(f"{message}: all are stopping", retry_after=_RETRY_AFTER)
        equals = [choice for choice in active if standings[choice].requests == least]
        self._turns[selector.id] += 1
        return equals[(self._turns[selector.id] - 1) % len(equals)]


def _is_active(standing: Standing) -> bool:
    return standing.is_open and standing.is_active


def _is_cold(standing: Standing) -> bool:
    return standing.is_open and not standing.is_active


def _warmest(choices: Sequence[Destination], standing_of: StandingOf) -> Destination:
    states = [standing_of(choice.target).state for choice in choices]
    return next((choices[states.index(state)] for state in _LOADED if state in states), choices[0])
