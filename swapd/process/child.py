"""Runs one model server from launch to sweep.  Holds no state between runs.

Rule 1: Every wait has an end.  A start ends by ``start_timeout``; a stop by its grace, plus
    KILL_PATIENCE for what SIGKILL must do, plus LAST_WORDS for the pipe.
Rule 2: Being told to stop is being cancelled.  From then on all is shielded, and rule 1 bounds it.
Rule 3: One SIGTERM per stop.  A model that saves its state on the first may quit on a second.
"""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeAlias, TypeVar

import trio

from swapd.policy.life import Reason
from swapd.process.guarded import KILL_PATIENCE, LaunchFailed
from swapd.process.health import Liveness, Probe, wait_until_hung, wait_until_ready
from swapd.process.ports import Address, who_answers

T = TypeVar("T")

#: Waits until nothing of a server is left.
Rest: TypeAlias = Callable[[], Awaitable[None]]

#: Seconds that the pipe of a swept server may stay open before its words count as all read.
LAST_WORDS = 1.0

#: Seconds that a stop may take beyond its grace: one patience for what is killed, one for a stop
#: command that is killed, one more so that this bound is never the one that cuts.
STOP_SLACK = 3 * KILL_PATIENCE + LAST_WORDS


@dataclass(frozen=True, slots=True)
class Stopping:
    """How to stop a model server."""

    #: The command that stops it; empty means SIGTERM.  ``${PID}`` in an argument is the pid.
    argv: tuple[str, ...] = ()
    #: Seconds until SIGKILL.
    grace: float = 10.0


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """How to run one model server.  All durations are in seconds."""

    argv: tuple[str, ...]
    #: The whole environment; nothing is inherited.
    env: Mapping[str, str]
    #: Asked when it is to stop: how may change while it runs.
    stopping: Callable[[], Stopping] = Stopping
    #: Where it will listen, if on this machine; checked to be free before the launch.
    address: Address | None = None
    start_timeout: float = 120.0
    #: Asked all the time while it is ready: how it is watched may change while it runs.
    liveness: Callable[[], Liveness] = Liveness


class Witness(Protocol):
    """Hears of a server's life as it happens.  No method may block."""

    def spawned(self, pid: int) -> None: ...

    def output(self, data: bytes) -> None: ...

    def ready(self) -> None: ...

    def failing(self, why: str, reason: Reason) -> None:
        """It ends without having been told to: it has exited, or it is being stopped now."""

    def exited(self, code: int) -> None:
        """The leader is gone; its group is swept next."""

    def stuck(self, why: str, rest: Rest) -> None:
        """Something of it lives on after SIGKILL; ``rest`` waits for the end of that."""


class Process(Protocol):
    """What run_server needs of a launched process; process.guarded has the real one."""

    @property
    def pid(self) -> int: ...

    @property
    def output(self) -> trio.abc.ReceiveStream: ...

    @property
    def lost(self) -> bool: ...

    def signal(self, number: int) -> None: ...

    async def wait_exit(self) -> int: ...

    async def wait_gone(self) -> None: ...


class Launcher(Protocol):
    """Launches processes that cannot outlive swapd; process.guardian has the real one."""

    async def launch(self, argv: Sequence[str], env: Mapping[str, str]) -> Process: ...


async def run_server(
    spec: ServerSpec,
    guardian: Launcher,
    witness: Witness,
    *,
    probe: Probe | None,
    hurry: trio.Event,
) -> str:
    """Run ``spec.argv`` to its end; return why it ended, for people to read.

    Never ends while a process of its group lives, unless the witness was told that it is stuck:
    who has to wait for the rest, and for how long, is not decided here.

    Args:
      spec: What to run, and how.
      guardian: Launches the server and its stop command.
      witness: Hears what happens.
      probe: Asks the server whether it is ready; None means that it is as soon as it runs.
      hurry: Once set, stopping has no grace any more.
    """
    if spec.address is not None and (where := await who_answers(spec.address)):
        what = "the socket" if isinstance(spec.address, str) else f"port {spec.address[1]}"
        return f"{what} is already in use: something answers on {where} that swapd did not start"
    deadline = trio.current_time() + spec.start_timeout
    process: Process | None = None
    try:
        with trio.move_on_at(deadline):
            process = await guardian.launch(spec.argv, spec.env)
    except LaunchFailed as failure:
        return str(failure)
    if process is None:
        return f"{_too_slow(spec)}: it could not even be launched"
    async with process.output:
        run = _Run(spec, guardian, witness, process)
        return await run.to_its_end(probe, deadline, hurry)


class _Run:
    """One process, from its launch on."""

    def __init__(
        self, spec: ServerSpec, guardian: Launcher, witness: Witness, process: Process
    ) -> None:
        self._spec = spec
        self._guardian = guardian
        self._witness = witness
        self._process = process
        self._code: int | None = None
        self._last_answer = "no probe has ended"
        self._pumping = trio.CancelScope(shield=True)
        self._pumped = trio.Event()

    async def to_its_end(self, probe: Probe | None, deadline: float, hurry: trio.Event) -> str:
        """Wait for its end, or make one; return why it ended."""
        self._witness.spawned(self._process.pid)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._pump)
            try:
                why, reason = await self._live(probe, deadline)
                self._witness.failing(why, reason)
            finally:
                stopping = self._spec.stopping()
                with trio.move_on_after(stopping.grace + STOP_SLACK, shield=True):
                    await self._finish(stopping, hurry)
                self._pumping.cancel(reason="nothing more will come")
        return why

    async def _pump(self) -> None:
        """Read the output even while a stop is shielded: a full pipe would block the server."""
        with self._pumping:
            async for data in self._process.output:
                self._witness.output(bytes(data))
            self._pumped.set()

    async def _exit(self) -> int:
        """Wait for the leader's end; the first to see it tells the witness."""
        code = await self._process.wait_exit()
        if self._code is None:
            self._code = code
            self._witness.exited(code)
        return code

    async def _live(self, probe: Probe | None, deadline: float) -> tuple[str, Reason]:
        """Return why it ended; or, if it still lives, why it must be stopped."""
        if probe is not None:
            ready = await self._before_it_exits(partial(self._become_ready, probe, deadline))
            if self._code is not None:
                return f"{self._ending(self._code)} before it was ready", Reason.START_FAILED
            if not ready:
                why = (
                    f"{_too_slow(self._spec)}: last answer of the health check: {self._last_answer}"
                )
                return why, Reason.START_FAILED
        self._witness.ready()
        hung = await self._before_it_exits(partial(wait_until_hung, self._spec.liveness))
        if self._code is not None:
            return self._ending(self._code), Reason.CRASH
        return f"hung and was ended by swapd: {hung}", Reason.HUNG

    async def _before_it_exits(self, wait: Callable[[], Awaitable[T]]) -> T | None:
        """Return what ``wait`` returns, or None if the server's exit ends that."""
        result = None
        async with trio.open_nursery() as race:

            async def watch() -> None:
                await self._exit()
                race.cancel_scope.cancel(reason="the server has ended")

            race.start_soon(watch)
            result = await wait()
            race.cancel_scope.cancel(reason="there is an answer")
        return result

    async def _become_ready(self, probe: Probe, deadline: float) -> bool:
        with trio.move_on_at(deadline):
            await wait_until_ready(probe, heard=self._hear)
            return True
        return False

    def _hear(self, answer: str) -> None:
        self._last_answer = answer

    def _ending(self, code: int) -> str:
        if self._process.lost:
            return "was killed, for its guard died"
        return describe_exit(code)

    async def _finish(self, stopping: Stopping, hurry: trio.Event) -> None:
        """Stop it if it lives, wait until nothing is left, and read its last words."""
        if self._code is None:
            await self._ask_to_stop(stopping, hurry)
        if self._code is None:
            self._process.signal(signal.SIGKILL)
        with trio.move_on_after(KILL_PATIENCE) as patience:
            await self._see_gone()
        if patience.cancelled_caught:
            what = "the process" if self._code is None else "what it has left behind"
            why = f"{what} does not end, {KILL_PATIENCE:g} s after SIGKILL"
            self._witness.stuck(why, self._see_gone)
        with trio.move_on_after(LAST_WORDS):
            await self._pumped.wait()

    async def _see_gone(self) -> None:
        await self._exit()
        await self._process.wait_gone()

    async def _ask_to_stop(self, stopping: Stopping, hurry: trio.Event) -> None:
        """Give it its grace to end by itself; ``hurry`` cuts that short."""
        with trio.move_on_after(stopping.grace):
            async with trio.open_nursery() as nursery:

                async def cut_short() -> None:
                    await hurry.wait()
                    nursery.cancel_scope.cancel(reason="in a hurry")

                nursery.start_soon(cut_short)
                nursery.start_soon(self._exit)
                if not await self._run_stop_command(stopping.argv):
                    self._process.signal(signal.SIGTERM)
                await self._exit()
                nursery.cancel_scope.cancel(reason="it has ended")

    async def _run_stop_command(self, words: tuple[str, ...]) -> bool:
        """Return whether there is a stop command and it succeeded; cancelled, kill it."""
        if not words:
            return False
        pid = str(self._process.pid)
        argv = [word.replace("${PID}", pid) for word in words]
        try:
            command = await self._guardian.launch(argv, self._spec.env)
        except LaunchFailed as failure:
            self._note(f"cmdStop {failure}")
            return False
        async with command.output:
            try:
                async for data in command.output:
                    self._witness.output(bytes(data))
                code = await command.wait_exit()
            finally:
                command.signal(signal.SIGKILL)
                with trio.move_on_after(KILL_PATIENCE, shield=True):
                    await command.wait_gone()
        if code:
            self._note(f"cmdStop {describe_exit(code)}")
        return code == 0

    def _note(self, text: str) -> None:
        """Put a line of swapd's own between the server's."""
        self._witness.output(f"swapd: {text}; sending SIGTERM instead\n".encode())


def _too_slow(spec: ServerSpec) -> str:
    return f"not ready within {spec.start_timeout:g} s (healthCheckTimeout)"


def describe_exit(code: int) -> str:
    """Say in words what an exit code means; a negative one is a signal's number."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was killed by signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"was killed by signal {-code}"
