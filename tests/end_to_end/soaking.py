"""Everything at once, for a while: clients, owners and accidents, and what must hold throughout."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

from swapd.testing.running import Running, configuration, fake
from tests.end_to_end.steps import LONG, alive, rewrite
from tests.process.watching import members_of

#: Who may run together; all others are alone.
TOGETHER = frozenset({"alpha", "beta"})

#: Refusals that are no fault: the model has died or been ended, does not start, or was taken out.
REFUSALS = {404: "model_not_found", 502: "bad_gateway", 503: "service_unavailable"}

LEGAL = {
    ("stopped", "starting"),
    ("starting", "ready"),
    ("starting", "stopping"),
    ("starting", "stopped"),
    ("ready", "stopping"),
    ("ready", "stopped"),
    ("stopping", "stopped"),
}


def soaked(version: int, *, with_delta: bool = True) -> str:
    """Return a configuration whose beta is another process in each version; delta may be out."""
    models: dict[str, dict[str, object]] = {
        "alpha": {"cmd": fake("alpha", "--fork-child"), "aliases": ["al"], "ttl": 1 + version % 3},
        "beta": {"cmd": fake("beta", "--say", f"I am beta, version {version}.")},
        "gamma": {
            "cmd": fake("gamma", "--warm", "0.1"),
            "cmdStop": "sh -c 'kill ${PID}; sleep 0.1'",
        },
        "delta": {"cmd": fake("delta", "--ignore-sigterm"), "unloadTimeout": 1},
    }
    if not with_delta:
        del models["delta"]
    return configuration(
        models,
        groups={"pair": {"swap": False, "members": sorted(TOGETHER)}},
        routing={"scheduler": {"settings": {"fifo": {"maxWait": 1}}}},
    )


@dataclass
class Witness:
    """Hears every transition, and checks each against what has come before."""

    states: dict[str, str] = field(default_factory=dict)
    pids: set[int] = field(default_factory=set)
    seq: int = 0
    changes: int = 0

    async def listen(
        self,
        running: Running,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        async with running.lifecycle() as websocket:
            self.seq = json.loads(await websocket.get_message())["seq"]
            task_status.started()
            while True:
                message = json.loads(await websocket.get_message())
                if message["type"] == "snapshot":
                    self._compare(message)
                else:
                    self._hear(message)

    def _compare(self, snapshot: dict[str, Any]) -> None:
        """Hold what a reload tells anew against what was told before."""
        assert snapshot["seq"] == self.seq, snapshot
        for shown in snapshot["models"]:
            assert shown["state"] == self.states.get(shown["model"], "stopped"), snapshot

    def _hear(self, change: dict[str, Any]) -> None:
        model, old, new, pid = (change[key] for key in ("model", "old", "new", "pid"))
        assert change["seq"] == self.seq + 1, change
        assert (old, new) in LEGAL, change
        assert old == self.states.get(model, "stopped"), change
        self.seq, self.states[model] = change["seq"], new
        self.changes += 1
        up = {name for name, state in self.states.items() if state != "stopped"}
        assert len(up) <= 1 or up <= TOGETHER, (up, change)
        if pid is not None:
            self.pids.add(pid)
        if new == "stopped" and pid is not None:
            assert members_of(pid) == [], change

    @property
    def living(self) -> list[int]:
        return sorted(alive(self.pids))


class Soak:
    """What clients and owners do to one swapd, by chance."""

    def __init__(self, running: Running, folder: Path, config: str) -> None:
        self.running = running
        self.witness = Witness()
        self._folder = folder
        self._config = config
        self._version = 0
        self._reloading = trio.Lock()

    async def act(self, chance: random.Random) -> None:
        """Do one thing, and check what comes of it."""
        action = chance.choices(list(ACTIONS), list(ACTIONS.values()))[0]
        with trio.fail_after(2 * LONG):
            await action(self, chance)

    async def chat(self, chance: random.Random) -> None:
        """Ask for a whole answer."""
        model = a_model(chance)
        members = {"fake": {"delay": chance.choice([0, 0, 0.05, 0.2])}}
        try:
            answer = await self.running.chat(model, **members)
        except http.client.IncompleteRead:
            return  # it looks as broken as it is
        if answer.status == 200:
            text = json.loads(answer.body)["choices"][0]["message"]["content"]
            assert text.startswith(f"I am {'alpha' if model == 'al' else model}"), text
        else:
            check_refusal(answer.status, dict(answer.headers), answer.body)

    async def stream(self, chance: random.Random) -> None:
        """Ask for a stream and read it to its end."""
        knobs = {"chunks": chance.choice([1, 5, 30]), "interval": chance.choice([0, 0.01])}
        async with self.running.open_chat(a_model(chance), fake=knobs) as stream:
            data = b""
            with suppress(trio.BrokenResourceError):
                while b"\r\n0\r\n\r\n" not in data and (more := await stream.receive_some()):
                    data += more
                    if is_whole_refusal(data):
                        break
        check_stream(data)

    async def leave(self, chance: random.Random) -> None:
        """Ask for a stream that has no end, and leave, maybe before it begins."""
        knobs = {"chunks": 10**6, "interval": 0.01}
        async with self.running.open_chat(a_model(chance), fake=knobs) as stream:
            with trio.move_on_after(chance.uniform(0, 0.4)):
                while await stream.receive_some():
                    pass

    async def load(self, chance: random.Random) -> None:
        """Load a model, and maybe wait for that."""
        wait = chance.choice(["", "?wait=1"])
        answer = await self.running.ask("POST", f"/api/models/load/{a_model(chance)}{wait}")
        if answer.status not in {200, 202}:
            check_refusal(answer.status, dict(answer.headers), answer.body)

    async def unload(self, chance: random.Random) -> None:
        """Unload one model or all; whoever ran before is gone afterwards."""
        model, drain = a_model(chance), chance.choice(["", "?drain=1"])
        every = chance.random() < 0.2
        path = "" if every else f"/{model}"
        before = await self._pids_of({"alpha" if model == "al" else model}, every=every)
        answer = await self.running.ask("POST", f"/api/models/unload{path}{drain}")
        if answer.status == 200:
            left = alive(before)
            assert not left, (model, every, drain, before, left, self.running.lines[-40:])
        else:
            check_refusal(answer.status, dict(answer.headers), answer.body)

    async def kill(self, chance: random.Random) -> None:
        """Kill the process of a model."""
        if living := self.witness.living:  # asked once: they come and go
            with suppress(ProcessLookupError):
                os.kill(chance.choice(living), signal.SIGKILL)

    async def reload(self, chance: random.Random) -> None:
        """Change beta, take delta out or bring it back."""
        async with self._reloading:
            self._version += 1
            new = soaked(self._version, with_delta=chance.random() < 0.7)
            rewrite(self._folder, new, ports_of=self._config)
            told = self.reloads()
            self.running.process.send_signal(signal.SIGHUP)
            while self.reloads() == told:  # noqa: ASYNC110  in another process
                await trio.sleep(0.01)

    def reloads(self) -> int:
        return sum("configuration reloaded" in line for line in self.running.lines)

    async def _pids_of(self, models: set[str], *, every: bool) -> set[int]:
        seen = (await self.running.snapshot())["models"]
        pids = {entry["pid"] for entry in seen if every or entry["model"] in models}
        return pids - {None}


Action = Callable[[Soak, random.Random], Awaitable[None]]

#: What is done, and how often.
ACTIONS: dict[Action, int] = {
    Soak.chat: 34,
    Soak.stream: 22,
    Soak.leave: 14,
    Soak.load: 8,
    Soak.unload: 8,
    Soak.kill: 8,
    Soak.reload: 6,
}


def a_model(chance: random.Random) -> str:
    return chance.choices(["alpha", "al", "beta", "gamma", "delta"], [4, 2, 5, 4, 1])[0]


def check_refusal(status: int, headers: dict[str, str], body: bytes) -> None:
    """Check that whoever was refused was told why, and when to try again."""
    said = json.loads(body)
    assert said["src"] == "swapd", said
    assert said["error"]["code"] == REFUSALS[status], said
    assert said["error"]["message"], said
    if status == 503:
        assert int(headers["retry-after"]) >= 1, headers


def check_stream(data: bytes) -> None:
    """Check that a stream is whole, or looks as broken as it is and says why."""
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    status = int(lines[0].split(" ")[1])
    headers = dict(line.split(": ", 1) for line in lines[1:])
    if status != 200:
        check_refusal(status, headers, body)
        return
    clean = body.endswith(b"\r\n0\r\n\r\n")
    complete, excused = b"data: [DONE]" in body, b'"src":"swapd"' in body
    assert complete and not excused if clean else complete or excused, data[-1000:]


def is_whole_refusal(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return bool(end and length) and len(body) >= int(length)
