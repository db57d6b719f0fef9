"""Starts the stand-in as what it is: a process of its own."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import pytest

#: How long anything may take on a machine that has other things to do.
PATIENCE = 20.0


class Running(NamedTuple):
    """A stand-in that listens."""

    process: subprocess.Popen[str]
    port: int

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Send one request; return the status and the JSON of the answer."""
        connection = self.connect()
        try:
            connection.request(method, path, body=None if body is None else json.dumps(body))
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def log(self) -> Any:
        return self.ask("GET", "/log")[1]

    def rest_of_output(self) -> str:
        """Wait for the end; return what was printed since the last line that was read."""
        return self.process.communicate(timeout=PATIENCE)[0]


Start = Callable[..., Running]


@pytest.fixture
def spawn() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start stand-ins with the given options; end their process groups after the test."""
    spawned: list[subprocess.Popen[str]] = []

    def start(*options: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "swapd.testing.fake_server", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        spawned.append(process)
        return process

    yield start
    for process in spawned:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture
def start(spawn: Callable[..., subprocess.Popen[str]]) -> Start:
    """Start stand-ins, and wait until they listen."""

    def start(*options: str) -> Running:
        process = spawn("--model", "alpha", *options)
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("listening on "):
                return Running(process, int(line.rpartition(":")[2]))
        raise AssertionError(f"it ended with {process.wait()}")

    return start
