"""Launches processes that cannot outlive swapd.  Decides nothing about them afterwards.

The way chosen: a zygote that forks one warden per process (see warden.py, the program of both).
What speaks for it:

* A parent that is not swapd survives swapd's SIGKILL and can act on it; PR_SET_PDEATHSIG alone
  spares the model's own children, and kills too early when a worker thread did the spawning.
* One warden per process keeps lives apart: a warden can be killed without touching other
  models, and whatever a subreaper adopts belongs to its one model.
* Forking the wardens from a zygote costs no interpreter start per launch, and little memory.

Nothing depends on the zygote once it has forked.  If it dies, the next launch starts another.
"""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import trio

from swapd.errors import CannotStart
from swapd.process.guarded import KILL_PATIENCE, GuardedProcess, LaunchFailed

WARDEN = Path(__file__).with_name("warden.py")

#: How often a launch asks for a warden.  An order may reach a zygote that is dying: the next is
#: refused by it, and goes to a new one; the third is for one that was killed again meanwhile.
ATTEMPTS = 3


class Guardian:
    """Owns the zygote and attends to every process that was launched.

    ``run`` must be up as long as anything launched lives; when it is cancelled, it kills what
    is left before it returns.
    """

    def __init__(self) -> None:
        self._post, self._births = trio.open_memory_channel[_Birth](math.inf)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve launches until cancelled.

        Raises:
          CannotStart: There is no guard to be had.
        """
        try:
            zygote = await _start_zygote()
        except OSError as error:
            raise CannotStart(f"cannot start the guard of processes: {error}") from error
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(zygote.outlive)
                task_status.started()
                async for birth in self._births:
                    zygote = await self._deliver(birth, zygote, nursery)
        finally:
            self._refuse_the_rest()

    async def launch(self, argv: Sequence[str], env: Mapping[str, str]) -> GuardedProcess:
        """Start ``argv`` in a session of its own; its program is looked for on env's PATH.

        Both may hold surrogate escapes.  Cancelled, it leaves no process and no descriptor.

        Raises:
          LaunchFailed: It cannot be started; the text says why, for people.
        """
        spec = _spec(argv, env)
        for _ in range(ATTEMPTS):
            birth = _prepare()
            begun = False
            try:
                self._order(birth)
                begun = await birth.process.begin(argv[0], spec)
                if begun:
                    return birth.process
            finally:
                if not begun:
                    with trio.move_on_after(KILL_PATIENCE, shield=True):
                        await birth.process.abandon()
        raise LaunchFailed("the guard of processes keeps dying")

    async def _deliver(self, birth: _Birth, zygote: _Zygote, nursery: trio.Nursery) -> _Zygote:
        """Have a warden made for ``birth``; return the zygote to ask next time."""
        try:
            if zygote.fork(birth):
                return zygote
            with suppress(OSError):  # no room for a new one now: this launch fails, not swapd
                successor = await _start_zygote()
                nursery.start_soon(successor.outlive)
                zygote.close()
                zygote = successor
                zygote.fork(birth)
            return zygote
        finally:
            birth.close()
            nursery.start_soon(birth.process.attend)

    def _order(self, birth: _Birth) -> None:
        try:
            self._post.send_nowait(birth)
        except trio.BrokenResourceError:
            birth.refuse()

    def _refuse_the_rest(self) -> None:
        with suppress(trio.WouldBlock, trio.EndOfChannel):
            while True:
                self._births.receive_nowait().refuse()
        self._births.close()


@dataclass(frozen=True, slots=True)
class _Birth:
    """A process on its way to a warden, with the two descriptors that the warden gets."""

    process: GuardedProcess
    leash: socket.socket
    log: int

    def close(self) -> None:
        """Drop our copies of what the warden got; if none did, the process sees the end."""
        self.leash.close()
        os.close(self.log)

    def refuse(self) -> None:
        """End it unborn: nobody forks any more."""
        self.close()
        self.process.forsake()


class _Zygote:
    """swapd's end of the socket to one zygote."""

    def __init__(self, process: trio.Process, line: socket.socket) -> None:
        line.setblocking(False)
        self._process = process
        self._line = line

    def fork(self, birth: _Birth) -> bool:
        """Order a warden for ``birth``; return False if this zygote takes no orders any more."""
        try:
            socket.send_fds(self._line, [b"f"], [birth.leash.fileno(), birth.log])
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Let it go: it exits at once, its wardens stay."""
        self._line.close()

    async def outlive(self) -> None:
        """Reap the zygote when it ends; cancelled, end it."""
        try:
            await self._process.wait()
        finally:
            self.close()
            self._process.kill()
            with trio.move_on_after(KILL_PATIENCE, shield=True):
                await self._process.wait()


async def _start_zygote() -> _Zygote:
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            process = await trio.lowlevel.open_process(
                [sys.executable, "-I", "-S", str(WARDEN), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # a terminal's Ctrl-C is for swapd alone
            )
        except BaseException:
            ours.close()
            raise
    return _Zygote(process, ours)


def _prepare() -> _Birth:
    """Open the leash and the log pipe of a new process.

    Raises:
      LaunchFailed: There are no descriptors left.
    """
    try:
        ours, theirs = socket.socketpair()
        try:
            reader, writer = os.pipe()
        except OSError:
            ours.close()
            theirs.close()
            raise
    except OSError as error:
        raise LaunchFailed(f"{error.strerror}") from error
    return _Birth(GuardedProcess(ours, reader), theirs, writer)


def _spec(argv: Sequence[str], env: Mapping[str, str]) -> bytes:
    """Return the warden's instructions; bytes travel as Latin-1, whatever the locales are.

    Raises:
      LaunchFailed: A character has no bytes.
    """
    try:
        words = {
            "argv": [_latin(word) for word in argv],
            "env": [(_latin(name), _latin(value)) for name, value in env.items()],
        }
    except UnicodeEncodeError as error:
        raise LaunchFailed(f"{error.object!r} cannot be encoded") from error
    return json.dumps(words).encode() + b"\n"


def _latin(text: str) -> str:
    return os.fsencode(text).decode("latin-1")
