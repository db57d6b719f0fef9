"""The whole web floor, served over models that are always ready and say what a test scripts."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

import trio

from swapd.config.load import parse
from swapd.config.schema import Config
from swapd.cuttable import Cuttable
from swapd.errors import ModelUnavailable
from swapd.ids import Generation, ModelId
from swapd.leases import End, Lease
from swapd.policy.eviction import GroupEviction
from swapd.policy.outlook import Outlook, outlook
from swapd.policy.scheduler import Scheduler
from swapd.policy.seats import Terms
from swapd.supervisor import Supervisor
from swapd.telemetry.activity.activity import Activity
from swapd.telemetry.activity.keeping import keeping_of
from swapd.telemetry.activity.row import Row
from swapd.telemetry.finished import Finished
from swapd.telemetry.host.hardware import Detector
from swapd.telemetry.host.monitor import Monitor
from swapd.telemetry.lifecycle import Lifecycle
from swapd.telemetry.logs import Logs
from swapd.telemetry.metrics.accounts import Accounts
from swapd.testing.groups import group
from swapd.upstream.peers import Peers
from swapd.upstream.pools import Pools
from swapd.views import ModelView, Waiting
from swapd.web.bound import Bound
from swapd.web.create_app import create_app
from swapd.web.services import Services
from tests.upstream.scripted import Script, Server
from tests.upstream.scripted import serving as scripted
from tests.web.raw import Served, request, serving


class ReadyModels:
    """Takes the supervisor's place: every lease is given at once, or refused with ``refusal``.

    While ``held`` is not set, it is waited for first.
    """

    def __init__(self) -> None:
        self.refusal: Exception | None = None
        self.held = trio.Event()
        self.held.set()
        #: How many leases are held, or waited for.
        self.leases = 0
        #: What was loaded without a request.
        self.loaded: list[ModelId] = []
        self._unloaded = trio.CancelScope()
        self._why = ""
        self.end = End()
        self.seen = ModelView(ModelId("m"))
        self.waiting: list[Waiting] = []
        self.changed = trio.Event()
        self.scheduler = _swapping("m", "n")

    def begin_load(self, model: ModelId) -> None:
        self.loaded.append(model)

    @asynccontextmanager
    async def lease(self, model: ModelId, around: Cuttable) -> AsyncIterator[Lease]:
        self.leases += 1
        try:
            await self.held.wait()
            if self.refusal is not None:
                raise self.refusal
            self._unloaded = trio.CancelScope()
            with self._unloaded:
                yield Lease(model, Generation(1), self.end)
            if self._unloaded.cancelled_caught:
                raise ModelUnavailable(self._why, retry_after=1)
        finally:
            self.leases -= 1

    def unload(self, why: str) -> None:
        """Cut the last lease, as an unload does."""
        self._why = why
        self._unloaded.cancel(reason=why)

    def view(self, model: ModelId) -> ModelView:
        return self.seen

    def change(self, *waiting: Waiting) -> None:
        """Have these wait from now on."""
        self.waiting = [*waiting]
        self.changed.set()
        self.changed = trio.Event()

    def queue(self) -> list[Waiting]:
        return self.waiting

    def doomed(self) -> Mapping[ModelId, ModelId]:
        return {}

    def outlook(self, model: ModelId) -> Outlook:
        return outlook(self.scheduler, model, now=0.0)


def _swapping(*names: str) -> Scheduler:
    """Return the scheduler of models of which one runs at a time."""
    models = dict.fromkeys(map(ModelId, names), Terms())
    return Scheduler(models, GroupEviction({"g": group(*names)}))


@dataclass
class Floor:
    """The web floor, its clients' address, and what stands below it."""

    served: Served
    upstream: Server
    models: ReadyModels
    lifecycle: Lifecycle
    services: Services
    #: What was told of requests that are over.
    finished: list[Finished]
    #: What was stored of requests, as it is.
    stored: list[Row]

    async def ask(self, asked: bytes) -> Reply:
        """Send ``asked``, which must end the connection; return the whole answer."""
        return Reply(await self.served.ask(asked))


class Reply:
    """One whole answer as it came."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(status.split()[1])
        fields = (line.partition(":") for line in lines)
        self.headers = {name.lower(): value.strip() for name, _, value in fields}

    @property
    def error(self) -> Mapping[str, str]:
        """What the envelope says; it is checked to be swapd's own."""
        envelope = json.loads(self.body)
        assert envelope["src"] == "swapd"
        error = envelope["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert isinstance(error, dict)
        return error


#: One model with an alias.
PLAIN: Mapping[str, object] = {"aliases": ["alias"]}

#: Where swapd believes that it listens.
ON_LOOPBACK = Bound("http://127.0.0.1:8080", is_loopback=True, is_exposed=False)


def configured(
    model: Mapping[str, object], proxy: str, name: str = "m", **others: object
) -> Config:
    settings = {"cmd": "serve ${PORT}", "proxy": proxy, **model}
    return parse(json.dumps({"models": {name: settings}, **others}), "c.yaml", environ={})


@asynccontextmanager
async def floor(
    *scripts: Script,
    model: Mapping[str, object] = PLAIN,
    name: str = "m",
    bound: Bound = ON_LOOPBACK,
    **others: object,
) -> AsyncIterator[Floor]:
    """Serve model ``name``, whose server runs ``scripts``; ``others`` are top-level settings."""
    finished: list[Finished] = []

    def finish(request: Finished) -> None:
        finished.append(request)
        activity.record(request)

    models, lifecycle = ReadyModels(), Lifecycle(wall_clock=lambda: 1000.0)
    async with scripted(*scripts) as upstream:
        config = configured(model, upstream.url, name, **others)
        stored = list[Row]()
        activity = Activity(keeping_of(config), on_stored=stored.extend)
        pools, peers = Pools(config.models), Peers(config.peers)
        services = Services(
            config=config,
            supervisor=cast(Supervisor, models),
            lifecycle=lifecycle,
            logs=Logs(),
            activity=activity,
            pools=pools,
            peers=peers,
            bound=bound,
            closing=trio.Event(),
            on_finished=finish,
            accounts=Accounts(),
            monitor=Monitor(config.performance),
            detector=Detector(sources=()),
        )
        services.accounts.reconfigure(services.known(), services.peer_names())
        async with serving(create_app(services)) as served, trio.open_nursery() as nursery:
            nursery.start_soon(services.prompter.run)
            await nursery.start(activity.run)
            yield Floor(served, upstream, models, lifecycle, services, finished, stored)
            lifecycle.close()
            nursery.cancel_scope.cancel()
        pools.forget(ModelId(name))
        peers.close()


def chat(body: bytes = b'{"model": "m"}', *, head: bytes = b"", path: str = "") -> bytes:
    """Return a request for a chat completion, the last one on its connection."""
    fields = b"connection: close\r\ncontent-length: %d\r\n" % len(body) + head
    return request(path or "/v1/chat/completions", head=fields, method=b"POST") + body


def get(path: str, *, head: bytes = b"", method: bytes = b"GET") -> bytes:
    """Return a request without a body, the last one on its connection."""
    return request(path, head=b"connection: close\r\n" + head, method=method)
