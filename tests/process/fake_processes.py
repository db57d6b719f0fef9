"""Servers on a virtual clock, which die as the test says, and a stage for one life."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import trio
from trio.testing import MemoryReceiveStream, memory_stream_one_way_pair

from swapd.process.child import ServerSpec, Stopping, run_server
from swapd.process.guarded import LaunchFailed
from swapd.process.health import Probe
from tests.process.watching import Diary

TERM, KILL = signal.SIGTERM, signal.SIGKILL

SPEC = ServerSpec(("llama-server",), {"PATH": "/bin"})
WITH_COMMAND = replace(SPEC, stopping=lambda: Stopping(argv=("docker", "stop", "--pid=${PID}")))


@dataclass
class FakeProcess:
    """Dies as its fields say; None means never."""

    nursery: trio.Nursery
    pid: int = 7
    lives: float | None = None
    code: int = 0
    after_term: float | None = 0
    after_kill: float | None = 0
    sweep: float | None = 0
    says: bytes = b""
    pipe_open: float = 0
    lost: bool = False
    signals: list[tuple[float, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._pipe, self._output = memory_stream_one_way_pair()
        self._exited, self.gone = trio.Event(), trio.Event()

    @property
    def output(self) -> MemoryReceiveStream:
        return self._output

    def dies_after(self, seconds: float | None, code: int) -> None:
        if seconds is not None:
            self.nursery.start_soon(self._die, seconds, code)

    async def _die(self, seconds: float, code: int) -> None:
        await trio.sleep(seconds)
        if self._exited.is_set():
            return
        self.code = code
        self._exited.set()
        if self.sweep is not None:
            await trio.sleep(self.sweep)
            self.gone.set()
            await trio.sleep(self.pipe_open)
            await self._pipe.send_all(self.says)
            self._pipe.close()

    def signal(self, number: int) -> None:
        if not self._exited.is_set():
            self.signals.append((trio.current_time(), number))
            self.dies_after(
                self.after_term if number == signal.SIGTERM else self.after_kill, -number
            )

    async def wait_exit(self) -> int:
        await self._exited.wait()
        return self.code

    async def wait_gone(self) -> None:
        await self.gone.wait()


@dataclass
class FakeGuardian:
    """Launches what it was given, in order, after ``delay`` seconds each."""

    processes: list[FakeProcess | LaunchFailed]
    delay: float = 0
    launched: list[tuple[str, ...]] = field(default_factory=list)

    async def launch(self, argv: Sequence[str], env: Mapping[str, str]) -> FakeProcess:
        await trio.sleep(self.delay)
        self.launched.append(tuple(argv))
        process = self.processes.pop(0)
        if isinstance(process, LaunchFailed):
            raise process
        process.dies_after(process.lives, process.code)
        return process


@dataclass
class Stage:
    """One life on the stage: what it needs, and what came of it."""

    nursery: trio.Nursery
    diary: Diary = field(default_factory=Diary)
    hurry: trio.Event = field(default_factory=trio.Event)

    def process(self, **how: object) -> FakeProcess:
        return FakeProcess(self.nursery, **how)  # type: ignore[arg-type]

    async def live(
        self,
        *processes: FakeProcess | LaunchFailed,
        spec: ServerSpec = SPEC,
        probe: Probe | None = None,
        delay: float = 0,
    ) -> str:
        guardian = FakeGuardian(list(processes), delay)
        return await run_server(spec, guardian, self.diary, probe=probe, hurry=self.hurry)

    async def stop_at(
        self, when: float, *processes: FakeProcess | LaunchFailed, spec: ServerSpec = SPEC
    ) -> None:
        with trio.move_on_after(when) as order:
            await self.live(*processes, spec=spec)
        assert order.cancelled_caught

    def later(self, when: float, what: Callable[[], None]) -> None:
        async def wait() -> None:
            await trio.sleep(when)
            what()

        self.nursery.start_soon(wait)


def answering(answer: str | None) -> Probe:
    async def probe() -> str | None:
        await trio.lowlevel.checkpoint()
        return answer

    return probe


async def silent() -> str | None:
    await trio.sleep_forever()
    return None
