"""An actor over servers that the test leads by hand, and all that it tells, a line each."""

from __future__ import annotations

from dataclasses import dataclass, field

import trio
from trio.testing import wait_all_tasks_blocked

from swapd.ids import Generation, ModelId
from swapd.policy.facts import Fact, ModelFailing, ModelReady, ModelStopped, ModelStuck
from swapd.policy.life import ModelState, Reason, Transition
from swapd.process.actor import ModelActor, Start, Stop
from swapd.process.child import Witness
from swapd.telemetry.logs import ModelLog

A = ModelId("a")
G1, G2, G3 = Generation(1), Generation(2), Generation(3)
STOPPED, STARTING = ModelState.STOPPED, ModelState.STARTING
READY, STOPPING = ModelState.READY, ModelState.STOPPING

FAILED, CRASHED = Reason.START_FAILED, Reason.CRASH

LOADING = "1: stopped > starting (request)"
LOADED = ["1: starting > ready (request)", "1: reported ready"]
ONE_SWAP = ["1: ready > stopping (swap)", "1: stopping > stopped (swap)", "1: reported stopped"]


@dataclass
class Puppet:
    """A server that does what the test says; told to stop, it takes 5 s."""

    witness: Witness
    why: str = "it was done"
    reason: Reason | None = Reason.CRASH
    over: trio.Event = field(default_factory=trio.Event)
    #: What is left of it, if it is stuck.
    rest: trio.Event = field(default_factory=trio.Event)

    async def live(self) -> str:
        try:
            await self.over.wait()
        except trio.Cancelled:
            with trio.CancelScope(shield=True):
                await trio.sleep(5)
            self.witness.exited(-15)
            raise
        if self.reason is not None:
            self.witness.exited(1)
            self.witness.failing(self.why, self.reason)
        return self.why

    async def end(self, why: str, reason: Reason | None = Reason.CRASH) -> None:
        """End by itself, at once; without a reason it has not even begun."""
        self.why, self.reason = why, reason
        self.over.set()
        await wait_all_tasks_blocked()

    def be_stuck(self) -> None:
        """Live on, but for what is beyond any signal."""
        self.witness.stuck("it does not end", self.rest.wait)


@dataclass
class Stage:
    """An actor, its servers in the order of their lives, and all that it tells."""

    told: list[Transition | Fact] = field(default_factory=list)
    puppets: list[Puppet] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.actor = ModelActor(A, report=self.told.append, show=self.told.append, log=ModelLog())
        self.actor.run_by(self.run_server)

    async def run_server(self, witness: Witness) -> str:
        puppet = Puppet(witness)
        self.puppets.append(puppet)
        witness.spawned(40 + len(self.puppets))
        return await puppet.live()

    async def tell(self, *commands: Start | Stop) -> None:
        """Give the commands, and wait until all that can be done is done."""
        for command in commands:
            self.actor.tell(command)
        await wait_all_tasks_blocked()

    async def start(self, generation: Generation = G1) -> Puppet:
        """Begin a life and return its server, which is starting."""
        await self.tell(Start(generation, Reason.REQUEST))
        return self.puppets[-1]

    async def load(self, generation: Generation = G1) -> Puppet:
        """Begin a life and return its server, which is ready."""
        puppet = await self.start(generation)
        puppet.witness.ready()
        return puppet

    @property
    def story(self) -> list[str]:
        """Return all that was told, a line each."""
        return [_line(entry) for entry in self.told]


def _line(entry: Transition | Fact) -> str:
    match entry:
        case Transition(_, old, new, reason, generation):
            return f"{generation}: {old} > {new} ({reason})"
        case ModelReady(_, generation):
            return f"{generation}: reported ready"
        case ModelFailing(_, generation):
            return f"{generation}: reported failing"
        case ModelStuck(_, generation, why):
            return f"{generation}: reported stuck, {why}"
        case ModelStopped(_, generation, None):
            return f"{generation}: reported stopped"
        case ModelStopped(_, generation, error):
            return f"{generation}: reported stopped, {error}"
    raise AssertionError(entry)
