"""Finds out which model server can run here, and puts it where configs/demo.yaml expects it."""

from __future__ import annotations

import http.client
import platform
import shlex
import socket
import subprocess
import sys
import threading
from pathlib import Path
from time import monotonic

CPUINFO = Path("/proc/cpuinfo")
#: What the wheel's build needs of the CPU.
CPU_FLAGS = frozenset({"avx2", "fma", "f16c", "bmi2"})
#: Seconds that the trial start may take, and between two looks at it.
TRIAL = 30.0
INTERVAL = 0.05


def real_server() -> Path:
    """Return where the wheel of the demo extra puts its command."""
    return Path(sys.executable).with_name("llama-server-vulkan")


def why_not_here(cpuinfo: Path = CPUINFO) -> str | None:
    """Say why the real server cannot run on this kind of machine, if so."""
    system, machine = platform.system(), platform.machine()
    if (system, machine.lower()) not in {("Linux", "x86_64"), ("Linux", "amd64")}:
        return f"the real llama.cpp server has no build for {system} on {machine}"
    if missing := sorted(CPU_FLAGS - cpu_flags(cpuinfo)):
        return f"the real llama.cpp server needs a CPU with {', '.join(missing)}"
    if not real_server().exists():
        return "the real llama.cpp server is not installed (it comes with the extra 'demo')"
    return None


def cpu_flags(cpuinfo: Path) -> frozenset[str]:
    """Return what the kernel says that the CPU can do."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(flags.partition(":")[2].split())


def why_it_fails(server: Path, model: Path, log: Path) -> str | None:
    """Start ``server`` once with ``model``; say why it does not come up, if so.

    Nothing less proves it: a build for another CPU answers ``--version`` and crashes on a model.
    """
    port = free_port()
    command = [sys.executable, str(server), "-m", str(model), "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        return wait_until_healthy(process, port, log)
    finally:
        process.kill()
        process.wait()


def wait_until_healthy(process: subprocess.Popen[bytes], port: int, log: Path) -> str | None:
    """Wait for a health check that passes; say why none did, if so."""
    pause = threading.Event()
    until = monotonic() + TRIAL
    while monotonic() < until:
        if (code := process.poll()) is not None:
            return f"the real llama.cpp server does not run here (exit code {code}, see {log})"
        if _is_healthy(port):
            return None
        pause.wait(INTERVAL)
    return f"the real llama.cpp server did not come up within {TRIAL:g} s (see {log})"


def _is_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=INTERVAL * 20)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody used a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def place_real(path: Path) -> None:
    """Make ``path`` a command that is the real server."""
    _place(path, [sys.executable, str(real_server())])


def place_stand_in(path: Path) -> None:
    """Make ``path`` a command that is the stand-in, which knows the same few options."""
    _place(path, [sys.executable, "-m", "swapd.testing.fake_server"])


def _place(path: Path, command: list[str]) -> None:
    path.write_text(
        "#!/bin/sh\n"
        "# Written by the demo, anew each time: the model server that configs/demo.yaml runs.\n"
        f'exec {shlex.join(command)} "$@"\n'
    )
    path.chmod(0o755)
