"""Whole lives of real servers, under real guards: what is left when run_server returns."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest
import trio

from swapd.process.child import ServerSpec, Stopping, run_server
from swapd.process.guardian import Guardian
from swapd.process.health import Liveness, Probe
from swapd.testing.running import free_ports
from swapd.upstream.probe import Prober
from tests.process.watching import Listener, commands_with, is_alive, python

pytestmark = [
    pytest.mark.real_process,
    pytest.mark.skipif(sys.platform != "linux", reason="sees processes through /proc"),
]

ENV: Mapping[str, str] = {"PATH": os.environ["PATH"]}

DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); signal.pause()"

#: Would end on SIGTERM, if only it could run; by default the kernel would end it even frozen.
OBEYS = "import signal; signal.signal(15, lambda *_: None); print('up'); signal.pause()"

COUNTS_SIGTERMS = """
import os, signal, time
heard = []
def on_term(*_):
    heard.append(os.write(1, b"term\\n"))
signal.signal(signal.SIGTERM, on_term)
os.write(1, b"up\\n")
while not heard:
    time.sleep(0.01)
time.sleep(0.3)
"""

#: Prints the pid of a child in its group that is deaf to SIGTERM, once it is; then goes on as told.
HAS_CHILD = """
import os, signal, sys
r, w = os.pipe()
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.write(w, b"%d\\n" % os.getpid())
    signal.pause()
os.write(1, os.read(r, 100))
"""

#: The same, but the child has left session and group, and lets go of the log.
HAS_DAEMON = """
import os, signal, sys
r, w = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(w, b"%d\\n" % os.getpid())
        null = os.open("/dev/null", os.O_RDWR)
        for fd in (0, 1, 2): os.dup2(null, fd)
        os.close(w)
        signal.pause()
    os._exit(0)
os.close(w)
os.write(1, os.read(r, 100))
"""

#: A daemon that is never the same process for long: each forks a successor, and is gone.
FLEES = """
import os, signal, sys
r, w = os.pipe()
if os.fork() == 0:
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2): os.dup2(null, fd)
    for hop in range(10**9):
        os.setsid()
        if hop == 20: os.write(w, b"fled\\n")
        if os.fork(): os._exit(0)
os.write(1, os.read(r, 100))
"""

WAITS = "signal.pause()\n"
CRASHES = "sys.stdin.readline(); os.kill(os.getpid(), signal.SIGSEGV)\n"
EXITS = "os._exit(3)\n"


@dataclass
class Life:
    """One run of a server, in a task of its own."""

    guardian: Guardian
    nursery: trio.Nursery
    witness: Listener = field(default_factory=Listener)
    hurry: trio.Event = field(default_factory=trio.Event)
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    over: trio.Event = field(default_factory=trio.Event)
    why: str | None = None

    def begin(self, spec: ServerSpec, probe: Probe | None = None) -> None:
        async def run() -> None:
            with self.scope:
                self.why = await run_server(
                    spec, self.guardian, self.witness, probe=probe, hurry=self.hurry
                )
            self.over.set()

        self.nursery.start_soon(run)

    @property
    def pid(self) -> int:
        return int(self.witness.story[0].removeprefix("spawned "))

    async def end(self) -> str | None:
        with trio.fail_after(20):
            await self.over.wait()
        return self.why

    async def stop(self) -> None:
        self.scope.cancel()
        assert await self.end() is None


@pytest.fixture
async def life(nursery: trio.Nursery) -> Life:
    guardian = Guardian()
    await nursery.start(guardian.run)
    return Life(guardian, nursery)


def spec(code: str, *, stop: tuple[str, ...] = (), grace: float = 10) -> ServerSpec:
    return ServerSpec(python(code), ENV, stopping=lambda: Stopping(stop, grace))


async def never() -> str | None:
    await trio.sleep_forever()
    return None


def offspring_of(life: Life) -> list[int]:
    """Return the PIDs that the server has printed, which are those of what it has spawned."""
    return [int(pid) for pid in life.witness.words.split()]


async def test_exit_code_and_last_words_come_back(life: Life) -> None:
    life.begin(spec("print('no VRAM'); raise SystemExit(3)"), probe=never)
    assert await life.end() == "exited with code 3 before it was ready"
    assert life.witness.words == b"no VRAM\n"


async def test_a_missing_command_is_a_reason(life: Life) -> None:
    life.begin(ServerSpec(("llama-servr",), ENV))
    assert await life.end() == "'llama-servr' was not found on PATH"


async def test_a_taken_port_is_named_and_nothing_is_launched(life: Life) -> None:
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        port = listener.socket.getsockname()[1]
        life.begin(ServerSpec(python(DEAF), ENV, address=("localhost", port)))
        assert await life.end() == (
            f"port {port} is already in use: "
            f"something answers on 127.0.0.1:{port} that swapd did not start"
        )
    assert life.witness.story == []


async def test_a_deaf_server_is_killed_after_its_grace(life: Life) -> None:
    life.begin(spec(DEAF, grace=0.2))
    await life.witness.line(0)
    await life.stop()
    assert life.witness.story[-1] == "exited -9"


async def test_a_hurry_kills_a_deaf_server_at_once(life: Life) -> None:
    life.begin(spec(DEAF, grace=1000))
    await life.witness.line(0)
    life.scope.cancel()
    life.hurry.set()
    await life.end()
    assert life.witness.story[-1] == "exited -9"


async def test_a_stop_is_one_sigterm(life: Life) -> None:
    life.begin(spec(COUNTS_SIGTERMS))
    await life.witness.line(0)
    await life.stop()
    assert life.witness.words == b"up\nterm\n"
    assert life.witness.story[-1] == "exited 0"


@pytest.mark.parametrize("offspring", [HAS_CHILD, HAS_DAEMON])
async def test_a_stop_sweeps_what_the_server_has_spawned(life: Life, offspring: str) -> None:
    life.begin(spec(offspring + WAITS))
    pid = await life.witness.pid(0)
    assert is_alive(pid)
    await life.stop()
    assert not is_alive(pid)


@pytest.mark.parametrize("offspring", [HAS_CHILD, HAS_DAEMON])
async def test_a_crash_sweeps_what_the_server_has_spawned(life: Life, offspring: str) -> None:
    life.begin(spec(offspring + CRASHES))
    assert await life.end() == "was killed by signal 11 (SIGSEGV)"
    assert offspring_of(life)
    assert not any(map(is_alive, offspring_of(life)))


@pytest.mark.parametrize("offspring", [HAS_CHILD, HAS_DAEMON])
async def test_a_premature_exit_sweeps_what_the_server_has_spawned(
    life: Life, offspring: str
) -> None:
    life.begin(spec(offspring + EXITS), probe=never)
    assert await life.end() == "exited with code 3 before it was ready"
    assert offspring_of(life)
    assert not any(map(is_alive, offspring_of(life)))


@pytest.mark.parametrize("end", [WAITS, CRASHES])
async def test_even_a_daemon_that_flees_from_fork_to_fork_is_caught(life: Life, end: str) -> None:
    life.begin(ServerSpec(python(FLEES + end, f"mark-{id(life)}"), ENV))
    await life.witness.line(0)
    await (life.stop() if end is WAITS else life.end())
    assert commands_with(f"mark-{id(life)}") == []
    assert not any(what.startswith("stuck") for what in life.witness.story)


async def test_a_server_that_forks_and_exits_is_over_when_its_leader_is(life: Life) -> None:
    life.begin(spec(HAS_CHILD + "signal.sigtimedwait([], 0.05); os._exit(0)"))
    assert await life.end() == "exited with code 0"
    assert offspring_of(life)
    assert not any(map(is_alive, offspring_of(life)))


async def test_an_exit_is_noticed_though_a_grandchild_holds_the_log(life: Life) -> None:
    with trio.fail_after(30):
        life.begin(spec(HAS_CHILD + EXITS))
        await life.end()
    assert life.witness.story[-1] == "failing (crash): exited with code 3"


async def test_a_start_that_takes_too_long_leaves_nothing(life: Life) -> None:
    async def unwell() -> str | None:
        await trio.lowlevel.checkpoint()
        return "status 503"

    life.begin(ServerSpec(python(HAS_CHILD + WAITS), ENV, start_timeout=0.5), probe=unwell)
    why = await life.end()
    limit = "not ready within 0.5 s (healthCheckTimeout)"
    assert why == f"{limit}: last answer of the health check: status 503"
    assert life.witness.story[1:] == [f"failing (start_failed): {why}", "exited -15"]
    assert offspring_of(life)
    assert not any(map(is_alive, offspring_of(life)))


async def test_a_stop_command_is_awaited_and_heard(life: Life) -> None:
    code = "import os, sys; print('stopping', sys.argv[1]); os.kill(int(sys.argv[1]), 2)"
    heeds = "import os, signal; signal.signal(2, lambda *_: os._exit(0)); print('up')\n"
    life.begin(spec(heeds + WAITS, stop=python(code, "${PID}")))
    await life.witness.line(0)
    await life.stop()
    assert life.witness.words == f"up\nstopping {life.pid}\n".encode()
    assert life.witness.story[-1] == "exited 0"


async def test_a_failing_stop_command_is_followed_by_sigterm(life: Life) -> None:
    life.begin(spec(COUNTS_SIGTERMS, stop=python("raise SystemExit(4)")))
    await life.witness.line(0)
    await life.stop()
    assert life.witness.words.splitlines() == [
        b"up",
        b"swapd: cmdStop exited with code 4; sending SIGTERM instead",
        b"term",
    ]


async def test_a_hanging_stop_command_is_killed_with_its_children(life: Life) -> None:
    life.begin(spec(DEAF, stop=python(HAS_CHILD + WAITS), grace=1))
    await life.witness.line(0)
    life.scope.cancel()
    pid = await life.witness.pid(1)
    await life.end()
    assert life.witness.story[-1] == "exited -9"
    assert not is_alive(pid)


async def test_a_stop_command_that_outlasts_its_server_is_awaited(life: Life) -> None:
    """Or it would run on into the next life of the model, and stop that."""
    code = "import os, sys, time; os.kill(int(sys.argv[1]), 9); time.sleep(0.5); print('done')"
    life.begin(spec(DEAF, stop=python(code, "${PID}")))
    await life.witness.line(0)
    await life.stop()
    assert life.witness.words == b"up\ndone\n"
    assert life.witness.story[-1] == "exited -9"


async def test_a_stop_command_that_daemonises_leaves_nothing_either(life: Life) -> None:
    stop = HAS_DAEMON + "os.kill(int(sys.argv[1]), 9)"
    life.begin(spec(DEAF, stop=python(stop, "${PID}")))
    await life.witness.line(0)
    await life.stop()
    assert not is_alive(int(life.witness.words.split()[1]))


async def test_a_frozen_server_is_killed_after_its_grace(life: Life) -> None:
    life.begin(spec(OBEYS, grace=0.2))
    await life.witness.line(0)
    os.kill(life.pid, signal.SIGSTOP)
    await life.stop()
    assert life.witness.story[-1] == "exited -9"


async def test_a_server_that_freezes_is_found_to_hang(life: Life) -> None:
    port = free_ports(1)
    ask = Prober(f"http://127.0.0.1:{port}", "/health").probe
    asked_often = trio.Event()
    answers = []

    async def probe() -> str | None:
        answers.append(await ask())
        if len(answers) == 5:
            asked_often.set()
        return answers[-1]

    server = [sys.executable, "-m", "swapd.testing.fake_server", "--port", str(port)]
    watched = Liveness(probe, every=0.02, failures=2)
    how = replace(spec("", grace=0.2), argv=(*server, "--fork-child"), env=os.environ)
    life.begin(replace(how, liveness=lambda: watched), ask)
    child = int((await life.witness.line(0)).removeprefix("forked "))
    await asked_often.wait()
    assert answers == [None] * 5
    os.kill(life.pid, signal.SIGSTOP)
    saw = "2 health checks in a row failed, last answer: no answer within 2 s"
    assert await life.end() == f"hung and was ended by swapd: {saw}"
    assert life.witness.story[2:] == [f"failing (hung): {life.why}", "exited -9"]
    assert not is_alive(child)


@pytest.mark.parametrize("milliseconds", [0, 1, 2, 4, 6, 8, 12, 20, 40, 80])
async def test_a_stop_at_any_time_of_a_start_leaves_nothing(
    life: Life, milliseconds: float
) -> None:
    life.begin(ServerSpec(python(HAS_CHILD + WAITS, f"mark-{id(life)}"), ENV), probe=never)
    await trio.sleep(milliseconds / 1000)
    await life.stop()
    assert commands_with(f"mark-{id(life)}") == []


async def test_a_killed_server_is_an_exit_like_any_other(life: Life) -> None:
    life.begin(spec(DEAF))
    await life.witness.line(0)
    os.kill(life.pid, signal.SIGKILL)
    assert await life.end() == "was killed by signal 9 (SIGKILL)"
