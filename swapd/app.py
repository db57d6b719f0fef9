"""The task tree.  Read this file to learn who owns whom; nesting is shutdown order.

The guard of the processes outlives the models, the models outlive HTTP.  So when swapd ends,
requests are drained first, then the models are stopped, then their guard goes.
"""

from __future__ import annotations

import logging
import random
import signal
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import trio

from swapd.config.changes import newly_preloaded
from swapd.config.schema import Config
from swapd.errors import CannotStart
from swapd.ids import ModelId
from swapd.policy.life import ModelState, Reason, Transition
from swapd.policy.policies import policy_of
from swapd.policy.scheduler import Scheduler
from swapd.policy.terms import rules_of, terms_of
from swapd.process.guardian import Guardian
from swapd.reload import Load, Reloader
from swapd.servers import Servers
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
from swapd.telemetry.own_log import OwnLog
from swapd.telemetry.transition_lines import log_transition
from swapd.upstream.peers import Peers
from swapd.upstream.pools import Pools
from swapd.web.create_app import create_app
from swapd.web.limits import Patience
from swapd.web.listener import Listener
from swapd.web.services import Services
from swapd.web.serving import serve

if TYPE_CHECKING:
    from swapd.watch import Watch  # what it needs is imported only where it is asked for

_log = logging.getLogger("swapd")


#: Seconds in which requests that are cut at the end can still be told so.
LAST_WORDS = 0.3


class Ending:
    """How far swapd has come in ending; each signal takes it one step further."""

    def __init__(self) -> None:
        self.closing = trio.Event()  # accept nothing more, let requests finish
        self.cut = trio.Event()  # requests have no more time
        self.hang_up = trio.Event()  # they were told, and their connections are cut
        self.kill = trio.Event()  # models have no more time

    def press(self) -> str:
        """Take the next step, and say in words what it is."""
        if not self.closing.is_set():
            self.closing.set()
            return "shutting down, running requests may finish; once more to cut them"
        if not self.cut.is_set():
            self.cut.set()
            return "cutting the running requests, then stopping the models"
        self.kill.set()
        return "killing the models"


class App:
    """All parts of swapd, put together; ``run`` is the tree of their tasks."""

    def __init__(
        self, config: Config, load: Load, listener: Listener, logs: Logs, own_log: OwnLog
    ) -> None:
        """Serve ``config`` on ``listener``; ``load`` reads it anew when that is asked for."""
        self._config = config
        self._listener = listener
        self._ending = Ending()
        self._guardian = Guardian()
        self._lifecycle = Lifecycle()
        self._activity = Activity(
            keeping_of(config), on_stored=self._stored, is_heard=self._is_stored_heard
        )
        self._logs = logs
        self._own_log = own_log
        self._accounts = Accounts()
        self._monitor = Monitor(config.performance)
        self._pools = Pools(config.models)
        self._peers = Peers(config.peers)
        self._servers = Servers(self._guardian, hurry=self._ending.kill)
        self._supervisor = Supervisor(
            Scheduler(terms_of(config), policy_of(config), rules_of(config), random.random),
            show=self._show,
            log_of=self._logs.of,
        )
        self._services = Services(
            config=config,
            supervisor=self._supervisor,
            lifecycle=self._lifecycle,
            logs=self._logs,
            activity=self._activity,
            pools=self._pools,
            peers=self._peers,
            bound=listener.bound,
            closing=self._ending.closing,
            on_finished=self._finished,
            accounts=self._accounts,
            monitor=self._monitor,
            detector=Detector(),
        )
        self._count_for_all()
        self._reloader = Reloader(config, load, self._apply)

    async def run(
        self,
        *,
        watch: Watch | None = None,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until SIGINT or SIGTERM, then drain requests, then stop the models.

        SIGHUP reloads the configuration.

        Args:
          watch: Sees changes of the configuration, if it shall be reloaded on a change.
          task_status: Started when requests are answered.
        """
        self._own_log.enter_trio()
        servers = self._servers.of(self._config.models)
        with trio.open_signal_receiver(*_SIGNALS) as signals:
            async with trio.open_nursery() as guards:  # dies last
                guards.start_soon(self._heed, signals)
                guards.start_soon(self._own_log.run)
                await guards.start(self._activity.run)
                await guards.start(self._guardian.run)
                async with trio.open_nursery() as models:
                    await models.start(self._supervisor.run, servers)
                    async with trio.open_nursery() as http:  # dies first
                        await http.start(self._serve)
                        task_status.started()
                        http.start_soon(self._follow_configuration, watch)
                        self._preload(self._config.preload)
                        await self._ending.closing.wait()
                        self._supervisor.begin_shutdown()
                        self._lifecycle.close()
                        self._logs.close()
                    self._ending.cut.set()  # nothing is left to cut: the next step is to kill
                    models.cancel_scope.cancel(reason="shutting down")
                guards.cancel_scope.cancel(reason="shut down")
        _log.info("shutdown complete")

    async def _heed(self, signals: AsyncIterator[int]) -> None:
        async for number in signals:
            if number == signal.SIGHUP:
                self._renew_certificate()
                self._reloader.ask()
            else:
                _log.info("%s: %s", signal.Signals(number).name, self._ending.press())

    def _renew_certificate(self) -> None:
        if (certificate := self._listener.certificate) is None:
            return
        try:
            certificate.renew()
        except CannotStart as error:
            _log.error("the old certificate is still shown: %s", error)
        else:
            _log.info("the certificate in %s is shown from now on", certificate)

    async def _serve(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._end_requests)
            nursery.start_soon(self._services.prompter.run)
            nursery.start_soon(self._monitor.run)
            async with trio.open_nursery() as server:
                serving = partial(
                    serve,
                    create_app(self._services, self._own_log.happened),
                    self._listener,
                    grace=self._config.server.shutdown_grace + 2 * LAST_WORDS,
                    closing=self._ending.closing,
                    hurry=self._ending.hang_up,
                    patience=Patience(head=lambda: self._config.server.header_timeout),
                    is_fast=self._config.server.fast_transport,
                )
                await server.start(serving)
                task_status.started()
            nursery.cancel_scope.cancel(reason="served")

    async def _end_requests(self) -> None:
        """Give running requests their grace, then tell them that it is over, then hang up."""
        await self._ending.closing.wait()
        with trio.move_on_after(self._config.server.shutdown_grace):
            await self._ending.cut.wait()
        self._supervisor.end_requests()
        self._services.dispatch.end_requests()
        await trio.sleep(LAST_WORDS)
        self._ending.hang_up.set()

    async def _follow_configuration(self, watch: Watch | None) -> None:
        closing = self._ending.closing
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._reloader.run)
            if watch is not None:
                nursery.start_soon(partial(watch.run, self._reloader.ask, stop=closing))
            await closing.wait()
            nursery.cancel_scope.cancel(reason="shutting down")

    def _apply(self, config: Config, changed: frozenset[ModelId]) -> None:
        """Go over to ``config``, in which the processes of ``changed`` are others."""
        wanted = {*newly_preloaded(self._config, config), *(changed & {*config.preload})}
        self._config = config
        self._activity.reconfigure(keeping_of(config))
        self._own_log.reconfigure(config)
        self._pools.reconfigure(config.models)
        self._peers.reconfigure(config.peers)
        self._services.reconfigure(config)
        self._monitor.reconfigure(config.performance)
        self._count_for_all()
        self._supervisor.reconfigure(
            terms_of(config),
            policy_of(config),
            rules_of(config),
            self._servers.of(config.models),
            changed=changed,
            drain=config.server.drain_timeout,
        )
        self._preload([model for model in config.preload if model in wanted])

    def _count_for_all(self) -> None:
        """Have what is counted labelled with every name that there is, and no other."""
        self._accounts.reconfigure(self._services.known(), self._services.peer_names())

    def _preload(self, models: Sequence[ModelId]) -> None:
        for model in models:
            _log.info("preloading model: %s", model)
            self._supervisor.begin_load(model, Reason.PRELOAD)

    def _finished(self, finished: Finished) -> None:
        """Hand on what is known of a request that is over.  Never blocks, never raises."""
        self._activity.record(finished)
        self._accounts.observe(finished)

    def _is_stored_heard(self) -> bool:
        return bool(self._services.stored)

    def _stored(self, rows: Sequence[Row]) -> None:
        """Tell the world of requests that are remembered from now on."""
        for row in rows:
            self._services.stored.tell(row)

    def _show(self, transition: Transition) -> None:
        """Tell the world of a change of state."""
        self._lifecycle.publish(transition)
        self._accounts.show(transition)
        self._services.starts.note(transition)
        if transition.old is ModelState.READY:
            self._pools.forget(transition.model)
        if transition.new is ModelState.STOPPED and transition.model not in self._config.models:
            self._count_for_all()  # it is gone for good
        log_transition(transition, self._config.models.get(transition.model))


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
