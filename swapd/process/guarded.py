"""One process that swapd launched, at arm's length: its warden does what needs a parent."""

from __future__ import annotations

import errno
import os
import signal
import socket
from contextlib import suppress

import trio

#: Seconds to wait for the end of what got SIGKILL.  What takes longer hangs in the kernel.
KILL_PATIENCE = 5.0


class LaunchFailed(Exception):
    """The process could not be started; the text says why, for people."""


class GuardedProcess:
    """A process under a warden, which kills all of it when swapd lets go, by whatever end.

    Its life is followed by ``attend``, a task of the Guardian; anyone may wait for its stages,
    several at once and again afterwards.
    """

    def __init__(self, leash: socket.socket, log: int) -> None:
        leash.setblocking(False)
        self._raw = leash
        self._leash = trio.SocketStream(trio.socket.from_stdlib_socket(leash))
        #: Merged stdout and stderr; whoever launched the process closes it.
        self.output = trio.lowlevel.FdStream(log)
        #: True once the warden itself was killed, so that the exit code was not seen.
        self.lost = False
        self._pid = 0
        self._code = -signal.SIGKILL
        self._failure: tuple[int, str] | None = None
        self._answered = trio.Event()  # the warden is here, or nobody ever will be
        self._settled = trio.Event()  # started or failed
        self._exited = trio.Event()
        self._gone = trio.Event()

    @property
    def pid(self) -> int:
        """The pid of the leader, which is its group's and its session's id too."""
        return self._pid

    def signal(self, number: int) -> None:
        """Send a signal to the whole group; nothing happens if there is none any more."""
        with suppress(OSError):
            self._raw.send(f"signal {number}\n".encode())

    async def wait_exit(self) -> int:
        """Wait for the leader's end and return its exit code; negative means by that signal."""
        await self._exited.wait()
        return self._code

    async def wait_gone(self) -> None:
        """Wait until nothing of the process is left: neither its group nor known strays."""
        await self._gone.wait()

    async def begin(self, argv0: str, spec: bytes) -> bool:
        """Have the warden start ``spec``; return False if there was no warden to do it.

        Raises:
          LaunchFailed: It cannot be started.
        """
        await self._answered.wait()
        if self._gone.is_set():
            return False
        with suppress(trio.BrokenResourceError):
            await self._leash.send_all(spec)
        await self._settled.wait()
        if self._failure is not None:
            raise LaunchFailed(f"{_explain(argv0, *self._failure)}")
        if not self._pid:
            raise LaunchFailed(f"the guard of '{argv0}' died")
        return True

    async def abandon(self) -> None:
        """Let go of a process that nobody will use, which kills it, and see it gone."""
        self._let_go()
        self.output.close()
        await self._gone.wait()

    async def attend(self) -> None:
        """Follow the warden's reports to their end, and make sure that the process is gone.

        Cancelled, it lets go of the process, which kills it, and sees it gone (5 s at most).
        """
        reports = _Lines(self._leash)
        try:
            await self._follow(reports)
        except trio.Cancelled:
            self._let_go()
            with trio.move_on_after(KILL_PATIENCE, shield=True):
                await self._follow(reports)
            raise
        finally:
            self._leash.socket.close()
            self.lost = self._pid != 0 and not self._gone.is_set()
            self._end()
            if self.lost:
                with trio.move_on_after(KILL_PATIENCE, shield=True):
                    await _kill_group(self._pid)
            self._gone.set()

    async def _follow(self, reports: _Lines) -> None:
        while (report := await reports.next()) is not None:
            match report.split(" ", 2):
                case ["here"]:
                    self._answered.set()
                case ["started", pid]:
                    self._pid = int(pid)
                    self._settled.set()
                case ["failed", number, text]:
                    self._failure = int(number), text
                    self._settled.set()
                case ["exited", code]:
                    self._code = int(code)
                    self._exited.set()
                case ["gone"]:
                    self._exited.set()
                    self._gone.set()

    def forsake(self) -> None:
        """Mark as ended what no warden was ever asked to guard."""
        self._leash.socket.close()
        self._end()
        self._gone.set()

    def _end(self) -> None:
        self._answered.set()
        self._settled.set()
        self._exited.set()

    def _let_go(self) -> None:
        with suppress(OSError):
            self._raw.shutdown(socket.SHUT_WR)


class _Lines:
    """Cuts what a warden says into lines; a cancelled wait loses nothing."""

    def __init__(self, leash: trio.SocketStream) -> None:
        self._leash = leash
        self._buffer = b""

    async def next(self) -> str | None:
        """Return the next line, or None when the warden is gone."""
        while b"\n" not in self._buffer:
            try:
                data = await self._leash.receive_some()
            except trio.BrokenResourceError:  # it was killed with words of ours unread
                return None
            if not data:
                return None
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode(errors="replace")


async def _kill_group(group: int) -> None:
    """Kill a group whose warden is dead, until it is gone."""
    with suppress(ProcessLookupError, PermissionError):
        while True:  # they are not our children: nothing would tell us of their end
            os.killpg(group, signal.SIGKILL)
            await trio.sleep(0.01)


def _explain(argv0: str, number: int, text: str) -> str:
    """Return in words for people why ``argv0`` cannot be started."""
    match number:
        case errno.ENOENT | errno.ENOTDIR if "/" not in argv0:
            return f"'{argv0}' was not found on PATH"
        case errno.ENOENT if os.path.exists(argv0):
            return f"'{argv0}' names an interpreter that does not exist"
        case errno.ENOENT | errno.ENOTDIR:
            return f"'{argv0}' does not exist"
        case errno.EACCES:
            return f"'{argv0}' is not executable"
        case errno.ENOEXEC:
            return f"'{argv0}' is no program for this machine (a script needs a #! line)"
        case errno.E2BIG:
            return f"the arguments and the environment of '{argv0}' are too long"
        case _:
            return f"'{argv0}': {text}"
