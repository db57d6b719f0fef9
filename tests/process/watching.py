"""Eyes of the process tests: who lives, who hears what.  Real processes are seen through /proc."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import trio

from swapd.policy.life import Reason
from swapd.process.child import Rest


@dataclass
class Diary:
    """A witness that writes down what it hears, and when."""

    events: list[tuple[float, str]] = field(default_factory=list)
    words: bytes = b""
    rest: Rest | None = None

    def note(self, what: str) -> None:
        self.events.append((trio.current_time(), what))

    @property
    def story(self) -> list[str]:
        return [what for _, what in self.events]

    def spawned(self, pid: int) -> None:
        self.note(f"spawned {pid}")

    def output(self, data: bytes) -> None:
        self.words += data

    def ready(self) -> None:
        self.note("ready")

    def failing(self, why: str, reason: Reason) -> None:
        self.note(f"failing ({reason}): {why}")

    def exited(self, code: int) -> None:
        self.note(f"exited {code}")

    def stuck(self, why: str, rest: Rest) -> None:
        self.note(f"stuck: {why}")
        self.rest = rest


@dataclass
class Listener(Diary):
    """A diary that can be waited for."""

    _heard: trio.Event = field(default_factory=trio.Event)

    def output(self, data: bytes) -> None:
        super().output(data)
        self._heard.set()

    async def line(self, number: int) -> str:
        """Wait for line ``number``, counted from 0, to be spoken in full."""
        while self.words.count(b"\n") <= number:
            await self._heard.wait()
            self._heard = trio.Event()
        return self.words.splitlines()[number].decode()

    async def pid(self, line: int) -> int:
        """Wait for the pid that is spoken in ``line``."""
        return int(await self.line(line))


def python(code: str, *args: str) -> tuple[str, ...]:
    """Return the command that runs ``code``, quick to start."""
    return (sys.executable, "-I", "-S", "-u", "-c", code, *args)


def stat_of(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on; none if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def is_alive(pid: int) -> bool:
    """Whether the process lives; a zombie does not."""
    return stat_of(pid)[:1] not in ([], ["Z"], ["X"])


def commands_with(word: str) -> list[int]:
    """Return the pids of all living processes that were called with ``word`` as an argument."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if word.encode() in words and is_alive(int(folder.name)):
                found.append(int(folder.name))
    return found


def members_of(group: int) -> list[int]:
    """Return the pids of all living processes of a group."""
    pids = (int(folder.name) for folder in Path("/proc").glob("[0-9]*"))
    return [pid for pid in pids if is_alive(pid) and stat_of(pid)[2:3] == [str(group)]]


def parent_of(pid: int) -> int:
    return int(stat_of(pid)[1])


async def wait_until_dead(*pids: int) -> None:
    """Wait until none of them lives, 10 s at most."""
    with trio.fail_after(30):
        while any(is_alive(pid) for pid in pids):  # noqa: ASYNC110  # strangers: no event
            await trio.sleep(0.005)


def offspring(pid: int) -> list[int]:
    """Return the pids of all living descendants of a process."""
    children = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and is_alive(int(entry.name)) and _is_child(int(entry.name), pid)
    ]
    return children + [grandchild for child in children for grandchild in offspring(child)]


def _is_child(pid: int, parent: int) -> bool:
    return stat_of(pid)[1:2] == [str(parent)]


@contextmanager
def killed_at_last(*pids: int) -> Iterator[None]:
    """Leave nobody behind, even if the test fails."""
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
