"""Keeps the processes of one model, so that none outlives swapd.  Stdlib only; no swapd.

This file is a program of its own.  swapd runs it once, as the *zygote*: a small interpreter that
waits on a socket and, for every launch, forks a *warden*.  A launch takes some ms this way and
2 to 4 MB of memory of its own; a fresh interpreter for each would take tens of ms and more memory.

    swapd ── socket ── zygote                     forks wardens, knows nothing of them afterwards
      └──── socket ── warden ── model ── …        one per process that swapd launches

How a warden keeps the promise:

Rule 1: The socket is the leash.  Its end of file means that swapd is gone, by whatever end, or
    has let go of this process: the warden kills everything below it.  No signal does that job,
    for nobody can send one when swapd dies by SIGKILL.
Rule 2: The model leads its own session and group, so that one killpg reaches all of the group.
    On Linux the warden is also a subreaper: descendants that left the group come back to it as
    children when their parents die, and are killed one by one.
Rule 3: The leader is looked at, not reaped, until its group got the signal: as long as it is a
    zombie no stranger can have its pid.
Rule 4: The warden keeps no copy of the model's log pipe: its reader must see the end of it.
Rule 5: One thread.  The kernel ties PR_SET_PDEATHSIG to the *thread* that forked the model; here
    it is the main thread, so the leader dies with its warden and never before.

macOS has neither subreaper nor PR_SET_PDEATHSIG, and Pythons before 3.13 have no waitid there.
So a descendant that left the group survives; if the warden itself is killed, swapd kills the
group; and the leader's pid is free between its reaping and the sweep, for some microseconds.

The conversation, in lines: the warden says ``here``; swapd sends the spec, one JSON object; the
warden says ``started PID`` or ``failed ERRNO TEXT``, then ``exited CODE`` when the leader has
ended (negative: by that signal) and ``gone`` when nothing is left.  ``signal NUMBER`` from swapd
goes to the group.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress

LINUX = sys.platform == "linux"
PR_SET_PDEATHSIG, PR_SET_NAME, PR_SET_CHILD_SUBREAPER = 1, 15, 36

#: Only the leash ends us: these are for swapd, which decides what they mean for the models.
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

#: Seconds between the first looks at what a SIGKILL has left; a dying child wakes us before.
SWEEP_PAUSE = 0.02

#: Seconds to go on sweeping when nobody listens any more: the rest is beyond any signal.
LONELY_PATIENCE = 30.0

_libc = ctypes.CDLL(None) if LINUX else None


def main() -> None:
    """Fork a warden for each message on the socket that is named by number on the command line."""
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps the wardens
    _prctl(PR_SET_NAME, b"swapd-zygote")
    gc.disable()
    gc.freeze()  # nothing of ours is garbage, and a look at it would unshare the pages
    with socket.socket(fileno=int(sys.argv[1])) as swapd:
        while _fork_one(swapd):
            pass


def _fork_one(swapd: socket.socket) -> bool:
    """Make one warden; return False when swapd is gone."""
    try:
        message, descriptors, _, _ = socket.recv_fds(swapd, 1, 2)
    except OSError:
        return False
    with suppress(OSError):  # no process to be had: swapd sees the leash come back
        if len(descriptors) == 2 and os.fork() == 0:
            _become_warden(swapd, *descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    return bool(message)


def _become_warden(swapd: socket.socket, leash: int, log: int) -> None:
    """Guard one process to its end, then exit; never return into the zygote."""
    try:
        swapd.close()
        os.setsid()  # what is sent to the zygote's group must not reach us
        _prctl(PR_SET_NAME, b"swapd-warden")
        _prctl(PR_SET_CHILD_SUBREAPER, 1)
        os.set_inheritable(leash, False)
        os.set_inheritable(log, False)
        Warden(socket.socket(fileno=leash)).guard(log)
    except Exception:  # noqa: BLE001  # the traceback is all that is left to give
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(0)


def _prctl(option: int, value: int | bytes) -> None:
    if _libc is not None:
        _libc.prctl(option, value, 0, 0, 0)


class Warden:
    """Spawns one process, passes signals on, and leaves nothing of it behind."""

    def __init__(self, leash: socket.socket) -> None:
        self._leash = leash
        self._unread = b""
        self._let_go = False
        self._leader = 0
        self._group_left = True
        self._wakeup, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # the wakeup is what counts

    def guard(self, log: int) -> None:
        """Spawn what swapd asks for, with ``log`` as its output, and see it to its end."""
        self._report("here")
        spec = self._read_spec()
        if spec is None or not self._spawn(spec, log):
            return
        code = self._leader_code()
        while code is None and not self._let_go:
            self._attend(None)
            code = self._leader_code()
        if code is not None:
            self._report(f"exited {code}")
        self._sweep()

    def _report(self, text: str) -> None:
        with suppress(OSError):  # nobody listens; the next look at the leash tells
            self._leash.sendall(text.encode(errors="replace") + b"\n")

    def _read_spec(self) -> bytes | None:
        while not self._let_go:
            for line in self._read_lines():
                return line
        return None

    def _spawn(self, spec: bytes, log: int) -> bool:
        """Start the process and report; the log pipe is closed here either way (rule 4)."""
        words = json.loads(spec)  # bytes travel as Latin-1: none is lost, whatever the locale
        env = {name.encode("latin-1"): value.encode("latin-1") for name, value in words["env"]}
        try:
            self._popen = subprocess.Popen(  # kept: if it were dropped, it might reap the leader
                [word.encode("latin-1") for word in words["argv"]],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_in_the_model(os.getpid()),
            )
            self._leader = self._popen.pid
            outcome = f"started {self._leader}"
        except OSError as error:
            outcome = f"failed {error.errno} {error.strerror}"
        except (ValueError, subprocess.SubprocessError) as error:  # such as a NUL in an argument
            outcome = f"failed 0 {error}"
        os.close(log)
        self._report(outcome)
        return self._leader != 0

    def _attend(self, seconds: float | None) -> None:
        """Sleep until a child dies, swapd speaks or ``seconds`` have passed; do as it says."""
        sources = [self._wakeup] if self._let_go else [self._wakeup, self._leash.fileno()]
        ready, _, _ = select.select(sources, [], [], seconds)
        if self._wakeup in ready:
            os.read(self._wakeup, 4096)
        if self._leash.fileno() in ready:
            for line in self._read_lines():
                self._signal_group(int(line.removeprefix(b"signal ")))

    def _read_lines(self) -> list[bytes]:
        """Return the lines that have come whole; note it when swapd has let go."""
        try:
            data = self._leash.recv(65536)
        except OSError:
            data = b""
        self._let_go = not data
        *lines, self._unread = (self._unread + data).split(b"\n")
        return lines

    def _signal_group(self, number: int) -> bool:
        """Send ``number`` to the group; return whether there is anyone left in it."""
        try:
            if self._group_left:
                os.killpg(self._leader, number)
        except ProcessLookupError:
            self._group_left = False  # from now on the number may be a stranger's
        except PermissionError:
            return LINUX  # macOS says so of a group of zombies
        return self._group_left

    def _leader_code(self) -> int | None:
        """Return the leader's exit code once it has one (rule 3); reap all others who ended."""
        if not hasattr(os, "waitid"):
            pid, status = os.waitpid(self._leader, os.WNOHANG)
            return os.waitstatus_to_exitcode(status) if pid else None
        while dead := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT | os.WNOHANG):
            if dead.si_pid == self._leader:
                return dead.si_status if dead.si_code == os.CLD_EXITED else -dead.si_status
            os.waitpid(dead.si_pid, 0)
        return None

    def _sweep(self) -> None:
        """Kill until nothing is left, and report that; a stubborn rest is tried for ever."""
        self._signal_group(signal.SIGKILL)
        began = time.monotonic()
        while self._kill_rest():
            waited = time.monotonic() - began
            if self._let_go and waited > LONELY_PATIENCE:
                return
            self._attend(max(SWEEP_PAUSE, waited / 50))
        self._report("gone")

    def _kill_rest(self) -> bool:
        """Reap the dead and kill the living; return whether anything was left."""
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        strays = _children()
        for stray in strays:  # ours and not reaped, so no stranger can have these pids
            with suppress(OSError):
                os.kill(stray, signal.SIGKILL)
        return self._signal_group(signal.SIGKILL) or bool(strays)


def _in_the_model(warden: int) -> Callable[[], None]:
    """Return what the new process does between fork and exec."""

    def prepare() -> None:
        for number in IGNORED:
            signal.signal(number, signal.SIG_DFL)
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != warden:  # it died before it could take us with it
            os._exit(1)

    return prepare


def _children() -> list[int]:
    """Return the pids of all our children, adopted ones included; none where none are listed."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as listing:
            return [int(pid) for pid in listing.read().split()]
    except OSError:
        return []


if __name__ == "__main__":
    main()
