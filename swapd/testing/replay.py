"""Plays a script of facts to a scheduler and holds its effects against it."""

from __future__ import annotations

from swapd.policy.effects import Effect
from swapd.policy.facts import Fact
from swapd.policy.scheduler import Scheduler


def replay(scheduler: Scheduler, *script: Fact | Effect | float) -> None:
    """Feed the facts; each must be answered by just the effects written after it.

    A bare float lets that many seconds pass.

    Raises:
      AssertionError: If an effect is missing, unexpected or out of order.
    """
    now = 0.0
    got: list[Effect] = []
    said: Fact | None = None
    for step in script:
        if isinstance(step, float):
            now += step
        elif isinstance(step, Fact):
            assert got == [], f"unexpected after {said}: {got}"
            said, got = step, scheduler.handle(step, now=now)
        else:
            assert got[:1] == [step], f"after {said}: wanted {step}, got {got}"
            del got[0]
    assert got == [], f"unexpected after {said}: {got}"
