"""The servers that are held against each other, and what each of them costs.  Linux."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from time import clock_gettime_ns, perf_counter

HERE = Path(__file__).parent

#: The server that is measured has a core for itself; upstream and clients share the last one.
SERVER_CORES = {0}
LOAD_CORES = {(os.cpu_count() or 1) - 1}
ALL_CORES = set(range(os.cpu_count() or 1))

_NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000000;
  upstream model {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://model; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off; proxy_read_timeout 600s;
    }}
  }}
}}
"""

_BARE = """
import sys, trio, quart_trio, hypercorn.config, hypercorn.trio
import swapd.app, swapd.cli.serve, swapd.web.serving
app = quart_trio.QuartTrio("bare")
@app.get("/health")
async def health(): return "ok"
config = hypercorn.config.Config()
config.bind = ["127.0.0.1:" + sys.argv[1]]
trio.run(hypercorn.trio.serve, app, config)
"""


class Missing(Exception):
    """Something that a measurement needs is not installed; says what."""


class Server:
    """One server that runs, on its own core."""

    def __init__(
        self,
        name: str,
        port: int,
        process: subprocess.Popen[bytes] | None,
        log: Path = Path(os.devnull),
    ) -> None:
        """Measure ``process``, which writes ``log``; None for what has no cost of its own."""
        self.log = log
        self.name = name
        self.port = port
        self._process = process
        #: Seconds from its start to its first answer.
        self.started_in = 0.0

    def cpu_ns(self) -> int:
        """Return the processor time that it has used so far, that of its children left out."""
        if self._process is None:
            return 0
        # What clock_getcpuclockid(3) returns: all threads, also those that have ended.
        return clock_gettime_ns((~self._process.pid << 3) | 2)

    def resident_kib(self) -> int:
        """Return how much memory it has now, that of its children left out."""
        return 0 if self._process is None else _resident_kib(self._process.pid)

    def children_kib(self) -> int:
        """Return how much memory its guards and the like have."""
        if self._process is None:
            return 0
        return sum(_resident_kib(pid) for pid in _descendants(self._process.pid))


def _resident_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)


def _descendants(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield int(child)
            yield from _descendants(int(child))


def compiled(name: str, folder: Path) -> Path:
    """Return the program that ``c/NAME.c`` makes.

    Raises:
      Missing: There is no C compiler.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise Missing("a C compiler (cc): upstream and clients must be faster than any server")
    program = folder / name
    subprocess.run([compiler, "-O2", "-o", program, HERE / "c" / f"{name}.c"], check=True)
    return program


@contextmanager
def upstream(program: Path) -> Iterator[Server]:
    """Run the model's server."""
    port = free_port()
    with _running("direct", [program, str(port)], port, LOAD_CORES):
        yield Server("direct", port, None)


@contextmanager
def nginx(upstream: int, folder: Path, program: str) -> Iterator[Server]:
    """Run nginx as a proxy."""
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, port=port, upstream=upstream))
    command = [program, "-c", str(config), "-p", str(folder), "-e", str(folder / "nginx.log")]
    with _running("nginx", command, port, SERVER_CORES) as server:
        yield server


@contextmanager
def swapd(
    upstream: Path,
    folder: Path,
    name: str = "swapd",
    *,
    is_fast: bool = True,
    others: Sequence[str] = (),
    cores: Set[int] = SERVER_CORES,
) -> Iterator[Server]:
    """Run swapd with its defaults on ``cores``, and have its model started: an ``upstream``.

    Of the ``others``, whose servers take a tenth of a second to start, one runs at a time.
    """
    port = free_port()
    config = folder / f"{name}.yaml"
    models = {"m": _model(upstream)} | {other: _model(upstream, 0.1) for other in others}
    groups = {
        "own": {"members": ["m"], "swap": False, "exclusive": False, "persistent": True},
        "others": {"members": [*others], "swap": True, "exclusive": False},
    }
    server_settings = {} if is_fast else {"fastTransport": False}
    settings: dict[str, object] = {"models": models, "server": server_settings}
    if others:
        settings |= {"groups": groups, "logToStdout": "both"}
    config.write_text(json.dumps(settings))
    listen = f"127.0.0.1:{port}"
    begin = [sys.executable, "-c", "from swapd.cli import main; main()", "serve"]
    command = [*begin, "--config", str(config), "--listen", listen]
    with _running(name, command, port, cores, log=folder / f"{name}.log") as server:
        body = json.dumps({"model": "m", "messages": []}).encode()
        ask(port, "/v1/chat/completions", body)
        yield server


def _model(upstream: Path, seconds: float = 0) -> dict[str, str]:
    """Return a model whose server takes ``seconds`` to start, and leaves swapd's core by itself."""
    port = free_port()
    command = f"{upstream} {port} {seconds} {min(LOAD_CORES)}"
    return {"cmd": command, "proxy": f"http://127.0.0.1:{port}"}


@contextmanager
def bare() -> Iterator[Server]:
    """Run a Quart-Trio app that imports what swapd imports, and does nothing."""
    port = free_port()
    command = [sys.executable, "-c", _BARE, str(port)]
    with _running("bare", command, port, SERVER_CORES) as server:
        yield server


@contextmanager
def _running(
    name: str,
    command: Sequence[str | Path],
    port: int,
    cores: Set[int],
    *,
    log: Path = Path(os.devnull),
) -> Iterator[Server]:
    begin = perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, preexec_fn=lambda: os.sched_setaffinity(0, cores)
        )
    server = Server(name, port, process, log)
    try:
        _await_answer(port, process)
        server.started_in = perf_counter() - begin
        yield server
    finally:
        process.terminate()
        process.wait(30)


def _await_answer(port: int, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            return ask(port, "/health", None)
        except (urllib.error.URLError, ConnectionError):
            Event().wait(0.005)
    raise RuntimeError(f"{process.args!r} ended with {process.returncode}")


def ask(port: int, path: str, body: bytes | None) -> None:
    """Ask and have the whole answer."""
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body)
    asked.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(asked, timeout=60) as answer:
        answer.read()


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
