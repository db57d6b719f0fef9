"""A stand-in for a model server: one process, standard library only, up in a moment.

    python -m swapd.testing.fake_server --port 0 --model alpha --say "I am alpha."

It answers the OpenAI and Anthropic routes with the sentence it was given, and echoes other POSTs
and websockets.  It keeps a log at ``GET /log`` of what arrived, what was cancelled and how many
SIGTERMs came (without ``/health``, which is only counted, and ``/log``).  It misbehaves on request:
its options spoil its life, and the key ``"fake"`` of a JSON body spoils one answer (see ``Knobs``).
It also understands the few options of llama-server that the demo uses.

What it does not do: run a model, check keys, limit anything, or let requests finish before it ends.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from math import inf
from time import monotonic

from swapd.testing.fake_replies import Journal, Knobs, StandIn


class Signals:
    """Turns SIGTERM and SIGINT into something to wait for, in the main thread."""

    def __init__(self) -> None:
        self._woken, waker = socket.socketpair()
        waker.setblocking(False)
        self._waker = waker
        signal.set_wakeup_fd(waker.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _hear)

    def wait(self, until: float) -> signal.Signals | None:
        """Return the next signal, or None once the clock shows ``until``."""
        left = None if until == inf else max(0.0, until - monotonic())
        if not select.select([self._woken], [], [], left)[0]:
            return None
        return signal.Signals(self._woken.recv(1)[0])


class Life:
    """One run of the process, with the ends that its options ask for."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._began = monotonic()
        self._signals = Signals()
        self._journal = Journal()

    def run(self) -> int:
        """Live; return the exit code."""
        if self._options.print_env:
            for name, value in sorted(os.environ.items()):
                say(f"{name}={value}")
        child_pid = fork_deaf_child() if self._options.fork_child else None
        if (code := self._pass(self._options.load)) is not None:
            return code
        where = self._options.unix or f"{self._options.host}:{self._options.port}"
        try:
            listener = listen(self._options.host, self._options.port, self._options.unix)
        except OSError as error:
            say(f"cannot listen on {where}: {error.strerror}")
            return 1
        self._serve(listener, child_pid)
        code = self._pass(inf)
        return 0 if code is None else code

    def _serve(self, listener: socket.socket, child_pid: int | None) -> None:
        tls = certified(self._options.certificate) if self._options.certificate else None
        if self._options.unix:
            say(f"listening on unix:{self._options.unix}")
        else:
            host, port = listener.getsockname()[:2]
            say(f"listening on {'https' if tls else 'http'}://{host}:{port}")
        stand_in = StandIn(
            model=self._options.model,
            sentence=self._options.say or f"I am {self._options.model}.",
            knobs=Knobs.parse(json.loads(self._options.fake)),
            health_path=self._options.health_path,
            ready_at=inf if self._options.never_healthy else monotonic() + self._options.warm,
            pids={"pid": os.getpid(), "child_pid": child_pid},
            journal=self._journal,
            die=self._die,
        )
        threading.Thread(target=accept, args=(listener, stand_in, tls), daemon=True).start()

    def _pass(self, seconds: float) -> int | None:
        """Let ``seconds`` go by; return the exit code if life ends before that."""
        ends = inf if self._options.exit_after is None else self._began + self._options.exit_after
        until = monotonic() + seconds
        while (heard := self._signals.wait(min(until, ends))) is not None:
            if heard == signal.SIGINT:
                return 0
            self._journal.note_sigterm()
            if not self._options.ignore_sigterm:
                self._linger(self._options.sigterm_delay)
                return 0
        return None if until < ends else self._last_words()

    def _linger(self, seconds: float) -> None:
        until = monotonic() + seconds
        while self._signals.wait(until) is not None:
            self._journal.note_sigterm()

    def _last_words(self) -> int:
        if self._options.last_words:
            say(self._options.last_words)
        code: int = self._options.exit_code
        return code

    def _die(self) -> None:
        os._exit(self._last_words())


def _hear(number: int, frame: object) -> None:
    """Do nothing: the wake-up pipe has the signal's number already."""


def say(line: str) -> None:
    """Write ``line`` as a server writes its log, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def listen(host: str, port: int, path: str | None) -> socket.socket:
    """Return a socket that accepts clients at ``path``, or at ``port``; 0 is any free one."""
    if path is not None:
        with suppress(FileNotFoundError):
            os.unlink(path)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
    else:
        listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    listener.listen(1024)
    return listener


def certified(path: str) -> ssl.SSLContext:
    """Return how TLS is spoken with the certificate and the key in ``path``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def accept(listener: socket.socket, stand_in: StandIn, tls: ssl.SSLContext | None) -> None:
    """Give each client a thread, for ever."""
    while True:
        client, _ = listener.accept()
        if client.family != socket.AF_UNIX:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=greet, args=(client, stand_in, tls), daemon=True).start()


def greet(client: socket.socket, stand_in: StandIn, tls: ssl.SSLContext | None) -> None:
    """Shake hands with ``client``, if that is needed, and serve it."""
    if tls is not None:
        try:
            client = tls.wrap_socket(client, server_side=True)
        except OSError:
            client.close()
            return
    stand_in.serve(client)


def fork_deaf_child() -> int:
    """Leave a process in our group that ignores SIGTERM; return its pid."""
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            signal.pause()
    say(f"forked {pid}")
    return pid


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line.  All durations are in seconds."""
    parser = argparse.ArgumentParser(prog="fake_server", description=(__doc__ or "").split("\n")[0])
    option = parser.add_argument
    option("--host", default="127.0.0.1")
    option("--port", type=int, default=0, help="0 takes a free one; the first line names it")
    option("--unix", metavar="PATH", help="a socket in the file system in the place of a port")
    option("--certificate", metavar="FILE", help="speaks TLS, with this certificate and its key")
    option("--model", "--alias", default="fake", help="its name")
    option("--say", help="its one sentence")
    option("--fake", default="{}", metavar="JSON", help="spoils every answer; see Knobs")
    option("--load", type=float, default=0.0, help="time before it listens")
    option("--warm", type=float, default=0.0, help="then time in which its health is 503")
    option("--health-path", default="/health")
    option("--never-healthy", action="store_true")
    option("--exit-after", type=float, help="ends by itself so long after its start")
    option("--exit-code", type=int, default=1, help="of --exit-after and die_after_chunks")
    option("--last-words", metavar="TEXT", help="printed before such an end")
    option("--ignore-sigterm", action="store_true")
    option("--sigterm-delay", type=float, default=0.0, help="time from SIGTERM to its end")
    option("--fork-child", action="store_true", help="leaves a child that ignores SIGTERM")
    option("--print-env", action="store_true")
    option("-m", dest="_file", metavar="FILE", help="for llama-server's command line; not read")
    option("--embeddings", action="store_true", help="for llama-server's command line; always on")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the stand-in to its end, which ends this process without waiting for clients."""
    code = Life(parse(arguments)).run()
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
