"""A supervisor over fake servers: minutes of loading and stopping on a virtual clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio
from trio.testing import MockClock

from swapd.config.schema import Group
from swapd.cuttable import Cuttable
from swapd.ids import ModelId
from swapd.leases import Lease
from swapd.policy.eviction import GroupEviction
from swapd.policy.life import Reason, Transition
from swapd.policy.scheduler import Scheduler
from swapd.policy.seats import Rules, Terms
from swapd.process.child import Witness
from swapd.supervisor import Supervisor
from swapd.telemetry.logs import ModelLog
from swapd.testing.groups import group


@dataclass
class FakeServer:
    """Loads for ``load`` s, takes ``stop`` s to die, and gives up on loading after 60 s."""

    load: float = 30.0
    stop: float = 5.0
    exit_after: float = float("inf")
    says: bytes = b""

    async def __call__(self, witness: Witness) -> str:
        """Live once; return why it ended by itself."""
        witness.spawned(42)
        witness.output(self.says)
        try:
            with trio.move_on_after(60) as starting:
                await trio.sleep(self.load)
            if starting.cancelled_caught:
                witness.failing("not ready within 60 s", Reason.START_FAILED)
                return "not ready within 60 s"
            witness.ready()
            await trio.sleep(self.exit_after)
            witness.exited(1)
            witness.failing("exited with code 1", Reason.CRASH)
            return "exited with code 1"
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(self.stop)
            witness.exited(1)


@dataclass
class World:
    """The supervisor, its servers, and every transition with the second it came at."""

    supervisor: Supervisor
    servers: Mapping[ModelId, FakeServer]
    history: list[tuple[float, Transition]]

    async def use(self, model: ModelId, seconds: float = 0.0) -> None:
        """Hold ``model`` for so long."""
        async with self.lease(model):
            await trio.sleep(seconds)

    @asynccontextmanager
    async def lease(self, model: ModelId) -> AsyncIterator[Lease]:
        """Hold ``model`` for the length of the block."""
        with Cuttable() as around:
            async with self.supervisor.lease(model, around) as lease:
                yield lease

    def states(self, model: ModelId) -> list[str]:
        """Return the states that ``model`` has come through."""
        changes = [change for _, change in self.history if change.model == model]
        return [change.new.value for change in changes]

    def starts(self) -> list[ModelId]:
        """Return which models were started, in order."""
        return [change.model for _, change in self.history if change.new.value == "starting"]


def create_world(
    *models: ModelId,
    groups: Mapping[str, Group] | None = None,
    terms: Terms | None = None,
    rules: Rules | None = None,
) -> World:
    """Return a world of ``models`` (one at a time, unless ``groups`` say otherwise).

    Raises:
      RuntimeError: If the test did not ask for ``autojump_clock``: only then is it installed.
    """
    if not isinstance(trio.lowlevel.current_clock(), MockClock):
        raise RuntimeError("the test must ask for autojump_clock itself")
    history: list[tuple[float, Transition]] = []

    def show(change: Transition) -> None:
        history.append((trio.current_time(), change))

    policy = GroupEviction(groups or {"(default)": group(*models)})
    scheduler = Scheduler(dict.fromkeys(models, terms or Terms()), policy, rules or Rules())
    supervisor = Supervisor(scheduler, show=show, log_of=lambda _: ModelLog())
    return World(supervisor, {model: FakeServer() for model in models}, history)


async def open_world(
    nursery: trio.Nursery,
    *models: ModelId,
    groups: Mapping[str, Group] | None = None,
    terms: Terms | None = None,
    rules: Rules | None = None,
) -> World:
    """Run a world in ``nursery``, which owns it."""
    world = create_world(*models, groups=groups, terms=terms, rules=rules)
    await nursery.start(world.supervisor.run, world.servers)
    return world


def reasons(changes: Iterable[tuple[float, Transition]]) -> list[tuple[str, str]]:
    """Return the states and reasons of ``changes``, for comparing."""
    return [(change.new.value, change.reason.value) for _, change in changes]
