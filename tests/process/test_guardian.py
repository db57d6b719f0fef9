"""Launching real processes under real wardens."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import trio

from swapd.process.guarded import GuardedProcess, LaunchFailed
from swapd.process.guardian import Guardian
from tests.process.watching import offspring, parent_of, python, stat_of, wait_until_dead

pytestmark = [
    pytest.mark.real_process,
    pytest.mark.skipif(sys.platform != "linux", reason="sees processes through /proc"),
]

ENV: Mapping[str, str] = {"PATH": os.environ["PATH"]}
FOREVER = "import signal; signal.pause()"


@pytest.fixture
async def guardian(nursery: trio.Nursery) -> Guardian:
    guardian = Guardian()
    await nursery.start(guardian.run)
    return guardian


async def all_output(process: GuardedProcess) -> bytes:
    with trio.fail_after(30):
        async with process.output:
            return b"".join([bytes(chunk) async for chunk in process.output])


async def output_of(guardian: Guardian, code: str, *args: str, env: Mapping[str, str]) -> bytes:
    return await all_output(await guardian.launch(python(code, *args), env))


async def end(process: GuardedProcess) -> int:
    with trio.fail_after(30):
        process.signal(signal.SIGKILL)
        code = await process.wait_exit()
        await process.wait_gone()
        await process.output.aclose()
    return code


def open_descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def traces() -> tuple[set[str], set[int]]:
    return open_descriptors(), set(offspring(os.getpid()))


async def wait_until_traces_are(before: tuple[set[str], set[int]]) -> None:
    with trio.fail_after(30):
        while traces() != before:  # noqa: ASYNC110  # strangers: no event
            await trio.sleep(0.005)


async def test_the_exit_code_comes_back(guardian: Guardian) -> None:
    process = await guardian.launch(python("raise SystemExit(3)"), ENV)
    assert await all_output(process) == b""
    assert await process.wait_exit() == 3
    await process.wait_gone()
    assert await process.wait_exit() == 3, "asked again"


async def test_a_process_that_ends_at_once_is_seen_to_its_end(guardian: Guardian) -> None:
    async def launch() -> None:
        process = await guardian.launch(("sh", "-c", "exit 3"), ENV)
        async with process.output:
            assert await process.wait_exit() == 3
            await process.wait_gone()
            assert not process.lost

    with trio.fail_after(60):
        for _ in range(10):
            async with trio.open_nursery() as nursery:
                for _ in range(20):
                    nursery.start_soon(launch)


async def test_a_signal_reaches_the_group_and_is_the_exit_code(guardian: Guardian) -> None:
    process = await guardian.launch(python(FOREVER), ENV)
    process.signal(signal.SIGTERM)
    with trio.fail_after(30):
        assert await process.wait_exit() == -signal.SIGTERM
        await process.wait_gone()
    process.signal(signal.SIGTERM)  # nobody is there, nothing happens
    await process.output.aclose()


async def test_several_tasks_may_wait_for_one_end(guardian: Guardian) -> None:
    process = await guardian.launch(python(FOREVER), ENV)
    codes: list[int] = []

    async def wait() -> None:
        codes.append(await process.wait_exit())
        await process.wait_gone()

    async with trio.open_nursery() as waiters:
        for _ in range(3):
            waiters.start_soon(wait)
        await end(process)
    assert codes == [-signal.SIGKILL] * 3


async def test_the_process_leads_its_own_session_and_group(guardian: Guardian) -> None:
    process = await guardian.launch(python(FOREVER), ENV)
    fields = stat_of(process.pid)
    group, session = int(fields[2]), int(fields[3])
    assert group == session == process.pid
    await end(process)


async def test_stdin_is_empty_and_stdout_and_stderr_are_one(guardian: Guardian) -> None:
    code = "import sys; sys.stderr.write('a'); sys.stdout.write(sys.stdin.read() + 'b')"
    assert await output_of(guardian, code, env=ENV) == b"ab"


async def test_the_environment_is_exactly_what_was_given(guardian: Guardian) -> None:
    env = {"PATH": "/bin", "NAME": "a b\nc", "EMPTY": "", "RAW": "\udcff\udcfe", "TEXT": "grün"}
    code = "import os; print(sorted(os.environb.items()))"
    said = await output_of(guardian, code, env=env)
    seen = {name: value for name, value in eval(said) if name != b"LC_CTYPE"}  # python sets it
    assert seen == {os.fsencode(name): os.fsencode(value) for name, value in env.items()}


async def test_arguments_keep_every_byte(guardian: Guardian) -> None:
    code = "import os, sys; print([os.fsencode(word) for word in sys.argv[1:]])"
    words = ("", " ", "*", "$HOME", "a\nb", "\udcff", "grün")
    said = await output_of(guardian, code, *words, env=ENV)
    assert eval(said) == [os.fsencode(word) for word in words]


async def test_signals_have_their_default_meaning_again(guardian: Guardian) -> None:
    code = "print(*[l for l in open('/proc/self/status') if l[:6] in ('SigIgn', 'SigBlk')])"
    # Python itself ignores SIGPIPE and SIGXFSZ once it runs.
    expected = (1 << signal.SIGPIPE - 1) | (1 << signal.SIGXFSZ - 1)
    # A shell ignores SIGQUIT, too, for what it starts in the background.
    allowed = expected | (1 << signal.SIGQUIT - 1)
    masks = [int(word, 16) for word in (await output_of(guardian, code, env=ENV)).split()[1::2]]
    ordinary = (1 << 31) - 1  # what lies beyond is the C library's, and make lets it be ignored
    blocked, ignored = (mask & ordinary for mask in masks)
    assert (blocked, ignored & expected, ignored & ~allowed) == (0, expected, 0)


async def test_nothing_but_the_three_streams_is_inherited(guardian: Guardian) -> None:
    code = "import os; print(sorted(os.listdir('/proc/self/fd'))[:-1])"
    assert eval(await output_of(guardian, code, env=ENV)) == ["0", "1", "2"]


async def test_50_megabytes_of_output_pass(guardian: Guardian) -> None:
    code = "import os\nfor _ in range(800): os.write(1, b'x' * 65536)"
    process = await guardian.launch(python(code), ENV)
    size = 0
    with trio.fail_after(60):
        async with process.output:
            async for chunk in process.output:
                size += len(chunk)
    assert size == 800 * 65536
    assert await process.wait_exit() == 0


@pytest.mark.parametrize(
    ("argv0", "why"),
    [
        ("llama-servr", "'llama-servr' was not found on PATH"),
        ("/no/such/server", "'/no/such/server' does not exist"),
        ("/etc/passwd", "'/etc/passwd' is not executable"),
        ("/etc", "'/etc' is not executable"),
        ("a\0b", "'a\0b': embedded null byte"),
        ("\ud800", "'\\ud800' cannot be encoded"),
    ],
)
async def test_what_cannot_start_says_why(guardian: Guardian, argv0: str, why: str) -> None:
    with pytest.raises(LaunchFailed) as failure:
        await guardian.launch([argv0], ENV)
    assert str(failure.value) == why


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("no shebang", "is no program for this machine (a script needs a #! line)"),
        ("#!/no/such/interpreter\n", "names an interpreter that does not exist"),
    ],
)
async def test_a_bad_script_says_why(
    guardian: Guardian, tmp_path: Path, content: str, why: str
) -> None:
    script = tmp_path / "serve"
    script.write_text(content)
    script.chmod(0o755)
    with pytest.raises(LaunchFailed) as failure:
        await guardian.launch([str(script)], ENV)
    assert str(failure.value) == f"'{script}' {why}"


async def test_too_much_environment_says_so(guardian: Guardian) -> None:
    env = {f"V{number}": "x" * 100_000 for number in range(100)}
    with pytest.raises(LaunchFailed, match="too long"):
        await guardian.launch(["/bin/true"], env)


async def test_the_path_is_the_one_of_the_environment_given(
    guardian: Guardian, tmp_path: Path
) -> None:
    script = tmp_path / "only-here"
    script.write_text("#!/bin/sh\necho found\n")
    script.chmod(0o755)
    process = await guardian.launch(["only-here"], {"PATH": str(tmp_path)})
    assert await all_output(process) == b"found\n"
    with pytest.raises(LaunchFailed, match="was not found on PATH"):
        await guardian.launch(["only-here"], {"PATH": "/bin"})


async def test_descriptors_do_not_grow_over_30_launches(guardian: Guardian) -> None:
    before = traces()
    for number in range(30):
        if number % 3 == 0:
            with pytest.raises(LaunchFailed):
                await guardian.launch(["/no/such/server"], ENV)
        else:
            await end(await guardian.launch(python(FOREVER), ENV))
    await wait_until_traces_are(before)


async def test_launches_may_overlap(guardian: Guardian) -> None:
    said: list[bytes] = []

    async def run(number: int) -> None:
        said.append(await output_of(guardian, f"print({number})", env=ENV))

    async with trio.open_nursery() as launches:
        for number in range(10):
            launches.start_soon(run, number)
    assert sorted(said) == sorted(b"%d\n" % number for number in range(10))


@pytest.mark.parametrize("checkpoints", [*range(12), 20, 40])
async def test_a_launch_cancelled_at_any_stage_leaves_nothing(
    guardian: Guardian, checkpoints: int
) -> None:
    before = traces()

    async def cancel_late(scope: trio.CancelScope) -> None:
        for _ in range(checkpoints):
            await trio.lowlevel.checkpoint()
        scope.cancel()

    process: GuardedProcess | None = None
    async with trio.open_nursery() as race:
        race.start_soon(cancel_late, race.cancel_scope)
        process = await guardian.launch(python(FOREVER), ENV)
    if process is not None:
        await end(process)
    await wait_until_traces_are(before)


@pytest.mark.parametrize("milliseconds", [0.5, 1, 2, 3, 4, 5, 6, 8, 10])
async def test_a_launch_cancelled_after_some_time_leaves_nothing(
    guardian: Guardian, milliseconds: float
) -> None:
    before = traces()
    process: GuardedProcess | None = None
    with trio.move_on_after(milliseconds / 1000):
        process = await guardian.launch(python(FOREVER), ENV)
    if process is not None:
        await end(process)
    await wait_until_traces_are(before)


async def test_the_next_launch_replaces_a_dead_zygote_and_running_models_stay(
    guardian: Guardian,
) -> None:
    old = await guardian.launch(python(FOREVER), ENV)
    zygote = parent_of(parent_of(old.pid))
    os.kill(zygote, signal.SIGKILL)
    new = await guardian.launch(python(FOREVER), ENV)
    assert parent_of(parent_of(new.pid)) != zygote
    old.signal(signal.SIGTERM)
    with trio.fail_after(30):
        assert await old.wait_exit() == -signal.SIGTERM
        await old.wait_gone()
    await old.output.aclose()
    await end(new)


async def test_launches_in_flight_survive_a_dying_zygote(guardian: Guardian) -> None:
    first = await guardian.launch(python(FOREVER), ENV)
    said: list[bytes] = []

    async def run() -> None:
        said.append(await output_of(guardian, "print(1)", env=ENV))

    with trio.fail_after(20):
        async with trio.open_nursery() as launches:
            for _ in range(6):
                launches.start_soon(run)
            await trio.lowlevel.checkpoint()
            os.kill(parent_of(parent_of(first.pid)), signal.SIGKILL)
    assert said == [b"1\n"] * 6
    await end(first)


async def test_a_killed_warden_takes_its_model_along(guardian: Guardian) -> None:
    code = "import os, signal; print(os.fork()); signal.pause()"
    process = await guardian.launch(python(code), ENV)
    said = b""
    while said.count(b"\n") < 2:
        said += await process.output.receive_some()
    pids = {process.pid, *map(int, said.split())} - {0}
    os.kill(parent_of(process.pid), signal.SIGKILL)
    with trio.fail_after(30):
        assert await process.wait_exit() == -signal.SIGKILL
        await process.wait_gone()
    assert process.lost
    await wait_until_dead(*pids)
    await process.output.aclose()


async def test_the_end_of_the_guardian_is_the_end_of_all_it_launched() -> None:
    guardian = Guardian()
    async with trio.open_nursery() as nursery:
        await nursery.start(guardian.run)
        processes = [await guardian.launch(python(FOREVER), ENV) for _ in range(3)]
        before = offspring(os.getpid())
        nursery.cancel_scope.cancel()
    for process in processes:
        with trio.fail_after(30):
            await process.wait_gone()
        await process.output.aclose()
    await wait_until_dead(*before)


async def test_a_launch_after_the_end_of_the_guardian_fails() -> None:
    guardian = Guardian()
    async with trio.open_nursery() as nursery:
        await nursery.start(guardian.run)
        nursery.cancel_scope.cancel()
    before = open_descriptors()
    with trio.fail_after(30), pytest.raises(LaunchFailed):
        await guardian.launch(python(FOREVER), ENV)
    assert open_descriptors() == before


async def test_the_output_ends_with_the_process(guardian: Guardian) -> None:
    process, other = [await guardian.launch(python(FOREVER), ENV) for _ in range(2)]
    process.signal(signal.SIGTERM)
    assert await all_output(process) == b""
    await end(other)


async def test_no_guard_keeps_the_pipe_of_the_output(guardian: Guardian) -> None:
    process = await guardian.launch(python(FOREVER), ENV)
    pipe = os.readlink(f"/proc/{process.pid}/fd/1")
    warden = parent_of(process.pid)
    for guard in (warden, parent_of(warden)):
        files = [os.readlink(f"/proc/{guard}/fd/{fd}") for fd in os.listdir(f"/proc/{guard}/fd")]
        assert pipe not in files
    await end(process)
