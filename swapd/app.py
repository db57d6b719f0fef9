"""The task tree.  Read this file to learn who owns whom; nesting is shutdown order.

The guard of the processes outlives the models, the models outlive HTTP.  So when swapd ends,
requests are drained first, then the models are stopped, then their guard goes.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from ipaddress import ip_address
from urllib.parse import urlsplit

import trio

from swapd.config.models import Model
from swapd.config.schema import Config
from swapd.ids import ModelId
from swapd.policy.eviction import GroupEviction
from swapd.policy.life import ModelState, Reason, Transition
from swapd.policy.naming import Names
from swapd.policy.scheduler import Scheduler, Terms
from swapd.process.actor import ModelActor, RunServer
from swapd.process.child import ServerSpec, run_server
from swapd.process.guardian import Guardian
from swapd.supervisor import Supervisor
from swapd.telemetry.lifecycle import Lifecycle
from swapd.telemetry.logs import ModelLog
from swapd.upstream.pools import Pools
from swapd.upstream.probe import Prober
from swapd.web.auth import Keys
from swapd.web.create_app import create_app
from swapd.web.listener import serve
from swapd.web.services import Services

_log = logging.getLogger("swapd")


class Ending:
    """How far swapd has come in ending; each signal takes it one step further."""

    def __init__(self) -> None:
        self.closing = trio.Event()  # accept nothing more, let requests finish
        self.cut = trio.Event()  # requests have no more time
        self.kill = trio.Event()  # models have no more time

    def press(self) -> None:
        """Take the next step: the first begins the end, each further one hurries it."""
        for step in (self.closing, self.cut, self.kill):
            if not step.is_set():
                step.set()
                return

    async def press_on(self, signals: AsyncIterator[int]) -> None:
        """Take a step for each signal."""
        async for number in signals:
            _log.info("%s: %s", signal.Signals(number).name, self._next_words())
            self.press()

    def _next_words(self) -> str:
        if not self.closing.is_set():
            return "shutting down, running requests may finish; once more to cut them"
        if not self.cut.is_set():
            return "cutting the running requests, then stopping the models"
        return "killing the models"


async def run(
    config: Config,
    listener: socket.socket,
    *,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until SIGINT or SIGTERM, then drain requests, then stop the models.

    Args:
      config: What to serve.
      listener: A listening socket; it is closed when requests are no longer accepted.
      task_status: Started with the URLs when requests are answered.
    """
    ending = Ending()
    guardian, lifecycle = Guardian(), Lifecycle()
    pools = Pools({model.id: model.proxy for model in config.models.values()})
    supervisor = Supervisor(_scheduler(config))
    services = Services(
        config=config,
        names=Names({model.id: model.aliases for model in config.models.values()}),
        keys=Keys(config.api_keys),
        supervisor=supervisor,
        lifecycle=lifecycle,
        pools=pools,
        closing=ending.closing,
    )
    actors = {
        model.id: ModelActor(
            model.id,
            _server_of(model, guardian, hurry=ending.kill),
            report=supervisor.post,
            show=_each(lifecycle.publish, _log_transition, partial(_forget_pool, pools)),
            log=ModelLog(),
        )
        for model in config.models.values()
    }
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as guards:  # dies last
            guards.start_soon(ending.press_on, signals)
            await guards.start(guardian.run)
            async with trio.open_nursery() as models:
                await models.start(supervisor.run, actors)
                async with trio.open_nursery() as http:  # dies first
                    task_status.started(
                        await http.start(
                            partial(
                                serve,
                                create_app(services),
                                listener,
                                grace=config.server.shutdown_grace,
                                closing=ending.closing,
                                hurry=ending.cut,
                            )
                        )
                    )
                    _preload(config.preload, supervisor)
                    await ending.closing.wait()
                    supervisor.begin_shutdown()
                    lifecycle.close()
                ending.cut.set()  # nothing is left to cut: the next signal is for the models
                models.cancel_scope.cancel(reason="shutting down")
            guards.cancel_scope.cancel(reason="shut down")


def _scheduler(config: Config) -> Scheduler:
    terms = {
        model.id: Terms(ttl=model.ttl, concurrency_limit=model.concurrency_limit)
        for model in config.models.values()
    }
    return Scheduler(terms, GroupEviction(config.groups))


def _preload(models: Iterable[ModelId], supervisor: Supervisor) -> None:
    for model in models:
        supervisor.begin_load(model, Reason.PRELOAD)


def _server_of(model: Model, guardian: Guardian, *, hurry: trio.Event) -> RunServer:
    checks = model.check_endpoint
    probe = Prober(model.proxy, checks).probe if checks else None
    spec = ServerSpec(
        argv=model.argv,
        env={**os.environ, **dict(entry.split("=", 1) for entry in model.env)},
        stop_argv=model.stop_argv,
        address=_local_address(model.proxy),
        start_timeout=model.start_timeout,
        stop_grace=model.unload_timeout,
    )
    return partial(run_server, spec, guardian, probe=probe, hurry=hurry)


def _local_address(url: str) -> tuple[str, int] | None:
    """Return where a server on this machine will listen, or None if it is elsewhere."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return (host, port) if host == "localhost" or _is_loopback(host) else None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name: who knows where it leads
        return False


def _each(*listeners: Callable[[Transition], None]) -> Callable[[Transition], None]:
    def tell_all(transition: Transition) -> None:
        for listener in listeners:
            listener(transition)

    return tell_all


def _forget_pool(pools: Pools, transition: Transition) -> None:
    if transition.old is ModelState.READY:
        pools.forget(transition.model)


def _log_transition(transition: Transition) -> None:
    failed = transition.reason in {Reason.CRASH, Reason.START_FAILED, Reason.HUNG}
    _log.log(
        logging.WARNING if failed else logging.INFO,
        "%s: %s -> %s (%s)%s",
        transition.model,
        transition.old,
        transition.new,
        transition.reason,
        f": {transition.detail}" if transition.detail else "",
    )
