"""The commands that ask a running swapd, as people and scripts run them."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from swapd.testing.running import COMMAND, Running, configuration, fake, free_ports, run_swapd

pytestmark = pytest.mark.real_process

#: As a shell starts it: whoever runs these tests in the background may have SIGINT ignored.
INTERRUPTIBLE = (
    sys.executable,
    "-c",
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "from swapd.cli import main; main()",
)

#: Seconds that no step of these tests takes on a machine that works.
LONG = 60

MODELS: dict[str, str | Mapping[str, object]] = {
    "alpha": {"cmd": fake("alpha"), "aliases": ["gpt-4o"]},
    "org/beta": fake("org/beta"),
    "bad": "sh -c 'echo \"cannot open model\" >&2; exit 3' ${PORT}",
}


@pytest.fixture
async def swapd(tmp_path: Path) -> AsyncIterator[Running]:
    async with run_swapd(tmp_path, configuration(MODELS)) as running:
        yield running


class Done:
    """A command that has ended."""

    def __init__(self, code: int, out: bytes, err: bytes) -> None:
        self.code = code
        self.out = out.decode()
        self.err = err.decode()

    def json(self) -> Any:
        """Return what it printed, which must be JSON, without a word on stderr."""
        assert (self.code, self.err) == (0, "")
        return json.loads(self.out)


async def run(*words: str, url: str, **environment: str) -> Done:
    """Run a command to its end."""
    with trio.fail_after(LONG):
        done = await trio.run_process(
            [*COMMAND, *words],
            env={**os.environ, "SWAPD_URL": url, **environment},
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
    return Done(done.returncode, done.stdout, done.stderr)


class Watching:
    """A command that goes on; ``lines`` is what it has printed so far."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self._more = trio.Condition()

    async def listen(self, output: trio.abc.ReceiveStream) -> None:
        rest = b""
        async for chunk in output:
            *lines, rest = (rest + chunk).split(b"\n")
            async with self._more:
                self.lines += [line.decode() for line in lines]
                self._more.notify_all()

    async def until(self, text: str, since: int = 0) -> str:
        """Wait for a line with ``text`` after the first ``since``, and return it."""
        with trio.fail_after(LONG):
            async with self._more:
                while True:
                    for line in self.lines[since:]:
                        if text in line:
                            return line
                    await self._more.wait()

    async def interrupt(self) -> int:
        """Press Ctrl-C and return the exit code."""
        self.process.send_signal(signal.SIGINT)
        with trio.fail_after(LONG):
            return await self.process.wait()


@asynccontextmanager
async def watching(*words: str, url: str) -> AsyncIterator[Watching]:
    async with trio.open_nursery() as nursery:
        process: trio.Process = await nursery.start(
            partial(
                trio.run_process,
                [*COMMAND, "watch", *words],
                env={**os.environ, "SWAPD_URL": url},
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                check=False,
            )
        )
        watched = Watching(process)
        assert process.stdout is not None
        nursery.start_soon(watched.listen, process.stdout)
        yield watched
        with suppress(ProcessLookupError):
            process.kill()


class Terminal:
    """A terminal of 80 columns that a command has for its output; ``text`` is what came."""

    def __init__(self, ours: int) -> None:
        self._stream = trio.lowlevel.FdStream(ours)
        self.raw = b""

    @property
    def text(self) -> str:
        """What came, without what moves the cursor or colours."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.raw.decode(errors="replace"))

    async def until(self, text: str) -> None:
        with trio.fail_after(LONG):
            while text not in self.text:
                self.raw += await self._stream.receive_some()

    async def to_the_end(self) -> None:
        with trio.fail_after(LONG), suppress(trio.BrokenResourceError):  # so Linux ends a terminal
            while piece := await self._stream.receive_some():
                self.raw += piece


@asynccontextmanager
async def on_a_terminal(
    *words: str, url: str, term: str = "xterm-256color"
) -> AsyncIterator[tuple[trio.Process, Terminal]]:
    ours, theirs = pty.openpty()
    async with trio.open_nursery() as nursery:
        process: trio.Process = await nursery.start(
            partial(
                trio.run_process,
                [*INTERRUPTIBLE, *words],
                env={**os.environ, "SWAPD_URL": url, "TERM": term, "COLUMNS": "80"},
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                check=False,
            )
        )
        os.close(theirs)
        yield process, Terminal(ours)
        with suppress(ProcessLookupError):
            process.kill()


async def test_ps_shows_every_model_with_its_state(swapd: Running) -> None:
    await swapd.chat("alpha")
    listed = (await run("ps", "--json", url=swapd.url)).json()
    assert [(entry["model"], entry["state"]) for entry in listed] == [
        ("alpha", "ready"),
        ("bad", "stopped"),
        ("org/beta", "stopped"),
    ]
    lines = (await run("ps", url=swapd.url)).out.splitlines()
    assert lines[0].split() == ["MODEL", "STATE", "FOR", "SERVES", "WAITS", "PID", "NOTE"]
    assert [line.split()[:2] for line in lines[1:]] == [
        ["alpha", "ready"],
        ["bad", "stopped"],
        ["org/beta", "stopped"],
    ]


async def test_ps_shows_who_waits(tmp_path: Path) -> None:
    models = {"slow": fake("slow", "--load", "3600"), "other": fake("other")}
    async with (
        run_swapd(tmp_path, configuration(models)) as running,
        running.open_chat("slow"),
        running.open_chat("other"),
    ):
        await running.until_said("slow: stopped -> starting")
        with trio.fail_after(LONG):
            while len((await running.snapshot())["queue"]) < 2:  # noqa: ASYNC110  in another process
                await trio.sleep(0.02)
        listed = (await run("ps", "--json", url=running.url)).json()
        lines = (await run("ps", url=running.url)).out.splitlines()
    queues = {entry["model"]: [place["reason"] for place in entry["queue"]] for entry in listed}
    assert queues == {"slow": ["request"], "other": ["request"]}
    assert re.match(r"# +MODEL +ASKED BY +WAITED", lines[4])
    assert re.match(r"1 +slow +request +\d+s", lines[5])
    assert re.match(r"2 +other +request +\d+s", lines[6])


async def test_load_waits_if_it_shall(swapd: Running) -> None:
    waited = await run("load", "gpt-4o", "--wait", url=swapd.url)
    assert (waited.code, waited.out, waited.err) == (0, "alpha is ready\n", "")
    assert await swapd.states() == {"alpha": "ready"}
    begun = await run("load", "org/beta", url=swapd.url)
    assert (begun.code, begun.out, begun.err) == (0, "org/beta is being loaded\n", "")
    await swapd.until_said("org/beta: starting -> ready (load)")
    told = await run("load", "alpha", "--wait", "--json", url=swapd.url)
    assert told.json() == {"model": "alpha", "state": "ready"}
    told = await run("load", "gpt-4o", "--json", url=swapd.url)
    assert told.json() == {"model": "alpha", "state": "ready"}
    again = await run("load", "alpha", url=swapd.url)
    assert (again.code, again.out, again.err) == (0, "alpha is ready\n", "")


async def test_what_swapd_refuses_is_told_in_its_own_words(swapd: Running) -> None:
    unknown = "model not found: 'alfa'; did you mean 'alpha'?"
    for words, why in (
        (("load", "bad", "--wait"), "cannot open model"),
        (("load", "alfa"), unknown),
        (("unload", "alfa"), unknown),
    ):
        refused = await run(*words, url=swapd.url)
        assert (refused.code, refused.out) == (1, "")
        assert refused.err.splitlines()[-1] == why


async def test_unload_takes_one_model_or_all(swapd: Running) -> None:
    await swapd.chat("alpha")
    one = await run("unload", "gpt-4o", url=swapd.url)
    assert (one.code, one.out, one.err) == (0, "gpt-4o is stopped\n", "")
    assert await swapd.states() == {}
    await swapd.chat("org/beta")
    every = await run("unload", "--all", "--json", url=swapd.url)
    assert every.json() == [{"model": "org/beta", "state": "stopped"}]
    again = await run("unload", "--all", url=swapd.url)
    assert (again.code, again.out) == (0, "nothing was loaded\n")
    one = await run("unload", "alpha", "--json", "--drain", url=swapd.url)
    assert one.json() == {"model": "alpha", "state": "stopped"}


@pytest.mark.parametrize("words", [(), ("alpha", "--all")])
async def test_unload_is_told_either_a_model_or_all(words: tuple[str, ...]) -> None:
    wrong = await run("unload", *words, url="http://127.0.0.1:1")
    assert wrong.code == 2
    assert "name a model, or say --all" in wrong.err


async def test_topics_without_json_are_not_left_unheard_in_silence() -> None:
    wrong = await run("watch", "--topics", "queue", url="http://127.0.0.1:1")
    assert wrong.code == 2
    assert "--topics says what --json prints" in wrong.err


@pytest.mark.parametrize("words", [("ps",), ("load", "m", "--wait"), ("unload", "m"), ("watch",)])
async def test_where_nobody_listens_that_is_told(words: tuple[str, ...]) -> None:
    failed = await run(*words, url="http://127.0.0.1:1")
    assert (failed.code, failed.out) == (1, "")
    assert failed.err == "cannot reach swapd at http://127.0.0.1:1: connection refused\n"


async def test_a_wrong_key_is_told_and_a_right_one_opens(tmp_path: Path) -> None:
    async with run_swapd(tmp_path, configuration(MODELS, apiKeys=["sesame"])) as running:
        for words, key in ((("ps",), ""), (("load", "alpha"), "wrong"), (("watch",), "wrong")):
            refused = await run(*words, url=running.url, SWAPD_API_KEY=key)
            assert (refused.code, refused.out) == (1, "")
            assert refused.err == (
                "invalid or missing API key: give one by --api-key or SWAPD_API_KEY\n"
            )
        assert (await run("ps", url=running.url, SWAPD_API_KEY="sesame")).code == 0
        assert (await run("load", "alpha", "--api-key", "sesame", url=running.url)).code == 0


async def test_the_option_goes_before_the_environment(swapd: Running) -> None:
    asked = await run("ps", "--json", "--url", swapd.url, url="http://127.0.0.1:1")
    assert len(asked.json()) == 3
    async with watching("--json", swapd.url, url="http://127.0.0.1:1") as watch:
        assert json.loads(await watch.until("snapshot"))["seq"] == 0


async def test_a_watch_prints_each_message_as_a_line_at_once(swapd: Running) -> None:
    async with watching("--json", url=swapd.url) as watch:
        assert json.loads(await watch.until("snapshot"))["type"] == "snapshot"
        await swapd.chat("alpha")
        ready = json.loads(await watch.until('"new":"ready"'))
        assert (ready["seq"], ready["model"], ready["old"]) == (2, "alpha", "starting")
        assert await watch.interrupt() == 0
    assert [json.loads(line)["seq"] for line in watch.lines] == [0, 1, 2]


async def test_a_watch_into_a_pipe_is_a_line_for_each_transition(swapd: Running) -> None:
    async with watching(url=swapd.url) as watch:
        with trio.fail_after(LONG):
            while not watch.lines:  # it may not have been connected to the first
                await run("load", "bad", "--wait", url=swapd.url)
                await run("load", "alpha", "--wait", url=swapd.url)
        line = await watch.until("alpha: starting -> ready (load)")
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d alpha", line)
        assert await watch.interrupt() == 0


async def test_a_watch_outlives_a_swapd_that_is_killed(tmp_path: Path) -> None:
    port = free_ports(1)
    listen = ("--listen", f"127.0.0.1:{port}")
    async with (
        watching_to_the_end(tmp_path, listen) as watch,
        run_swapd(tmp_path, configuration(MODELS), *listen) as second,
    ):
        again = json.loads(await watch.until('"gap":true'))
        before = len(watch.lines)
        await second.chat("org/beta")
        await watch.until('"new":"ready"', since=before)
        assert await watch.interrupt() == 0
    told = [json.loads(line) for line in watch.lines]
    assert [(each["type"], each["seq"]) for each in told] == [
        ("snapshot", 0),
        ("transition", 1),
        ("transition", 2),
        ("snapshot", 0),
        ("transition", 1),
        ("transition", 2),
    ]
    assert again["instance"] != told[0]["instance"]
    assert [each["model"] for each in told if each["type"] == "transition"] == [
        *["alpha"] * 2,
        *["org/beta"] * 2,
    ]


@asynccontextmanager
async def watching_to_the_end(folder: Path, listen: tuple[str, str]) -> AsyncIterator[Watching]:
    """Watch a swapd that serves once, and is killed; yield when it is gone."""
    async with run_swapd(folder, configuration(MODELS), *listen) as first:
        url = first.url
        async with watching("--json", url=url) as watch:
            await watch.until("snapshot")
            await first.chat("alpha")
            await watch.until('"new":"ready"')
            first.process.kill()
            await first.process.wait()
            yield watch


async def test_a_watch_whose_connection_is_cut_goes_on_without_a_gap(swapd: Running) -> None:
    wires: list[trio.SocketStream] = []

    async def pass_on(client: trio.SocketStream) -> None:
        server = await trio.open_tcp_stream("127.0.0.1", swapd.port)
        wires.extend([client, server])
        async with client, server, trio.open_nursery() as nursery:
            nursery.start_soon(pump, client, server)
            nursery.start_soon(pump, server, client)

    async def pump(source: trio.SocketStream, target: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async for piece in source:
                await target.send_all(piece)
            await target.aclose()

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, pass_on, 0, host="127.0.0.1"))
        url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        async with watching("--json", url=url) as watch:
            await watch.until("snapshot")
            for model in ("alpha", "org/beta", "alpha"):
                before = len(watch.lines)
                for wire in wires:
                    await trio.aclose_forcefully(wire)
                await swapd.chat(model)
                await watch.until('"new":"ready"', since=before)
            assert await watch.interrupt() == 0
        nursery.cancel_scope.cancel()
    told = [json.loads(line) for line in watch.lines]
    assert [each["type"] for each in told] == ["snapshot"] + ["transition"] * 10
    assert [each["seq"] for each in told] == list(range(11))
    assert len(wires) == 2 * 4


async def test_a_watch_that_nobody_reads_any_more_ends_in_silence(swapd: Running) -> None:
    process = await trio.lowlevel.open_process(
        [*COMMAND, "watch", "--json"],
        env={**os.environ, "SWAPD_URL": swapd.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    async with process.stderr:
        async with process.stdout:
            await process.stdout.receive_some()
        await swapd.chat("alpha")
        with trio.fail_after(LONG):
            said = b"".join([bytes(piece) async for piece in process.stderr])
            assert await process.wait() == 1
    assert said == b"connected\n"


async def test_a_watch_on_a_terminal_draws_and_leaves_it_as_it_was(swapd: Running) -> None:
    async with on_a_terminal("watch", url=swapd.url) as (process, terminal):
        await terminal.until("org/beta")
        await swapd.chat("alpha")
        await terminal.until("starting -> ready")
        process.send_signal(signal.SIGINT)
        await terminal.to_the_end()
        with trio.fail_after(LONG):
            assert await process.wait() == 0
    assert b"\x1b[?1049h" in terminal.raw, "the other screen of the terminal"
    assert terminal.raw.rindex(b"\x1b[?1049l") > terminal.raw.rindex(b"\x1b[?1049h")
    assert terminal.raw.rindex(b"\x1b[?25h") > terminal.raw.rindex(b"\x1b[?25l"), "the cursor"
    assert "Traceback" not in terminal.text


async def test_a_watch_where_nothing_can_be_drawn_prints_lines(swapd: Running) -> None:
    async with on_a_terminal("watch", url=swapd.url, term="dumb") as (_, terminal):
        await terminal.until("connected")
        await swapd.chat("alpha")
        await terminal.until("alpha: starting -> ready (request)")
    assert b"\x1b" not in terminal.raw


async def test_a_load_on_a_terminal_shows_how_far_it_is_and_can_be_left(tmp_path: Path) -> None:
    models = {"slow": {"cmd": fake("slow", "--load", "3600"), "aliases": ["gpt-4o"]}}
    async with run_swapd(tmp_path, configuration(models)) as running:
        async with on_a_terminal("load", "gpt-4o", "--wait", url=running.url) as started:
            process, terminal = started
            await terminal.until("slow is starting for 1s")
            process.send_signal(signal.SIGINT)
            await terminal.to_the_end()
            with trio.fail_after(LONG):
                assert await process.wait() == 130
        assert "Traceback" not in terminal.text
        assert await running.states() == {"slow": "starting"}


@pytest.mark.parametrize("words", [("logs", "-f"), ("watch", "--json"), ("watch",)])
async def test_what_goes_on_ends_quietly_when_nobody_reads_it_any_more(
    swapd: Running, words: tuple[str, ...]
) -> None:
    """Though nothing happens of which it could tell."""
    async with trio.open_nursery() as nursery:
        process: trio.Process = await nursery.start(
            partial(
                trio.run_process,
                [*COMMAND, *words],
                env={**os.environ, "SWAPD_URL": swapd.url},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                check=False,
            )
        )
        assert process.stdout is not None
        assert process.stderr is not None
        with trio.fail_after(LONG):
            if words == ("watch",):
                assert b"connected" in await process.stderr.receive_some()
            else:
                assert await process.stdout.receive_some()
            await process.stdout.aclose()
            assert await process.wait() == 1
            said = b"".join([bytes(piece) async for piece in process.stderr])
            assert said.replace(b"connected\n", b"") == b""
