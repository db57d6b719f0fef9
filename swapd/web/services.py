"""What the web floor shows and asks: handed in once, held by no view."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import InitVar, dataclass

import trio

from swapd.config.models import Model
from swapd.config.peers import PeerModel
from swapd.config.schema import Config
from swapd.config.selectors import Target
from swapd.dispatch import Dispatch
from swapd.errors import UnknownModel
from swapd.ids import ModelId
from swapd.policy.directory import Directory
from swapd.policy.life import ModelState
from swapd.policy.naming import full_name, names_of
from swapd.policy.paths import Place, find_in_path
from swapd.policy.profiles import Profiles
from swapd.policy.selectors import Destination, Selectors, Standing
from swapd.supervisor import Supervisor
from swapd.telemetry.activity.activity import Activity
from swapd.telemetry.activity.row import Row
from swapd.telemetry.feed import Feed
from swapd.telemetry.finished import Finished
from swapd.telemetry.host.hardware import Detector
from swapd.telemetry.host.monitor import Monitor
from swapd.telemetry.inflight import Requests
from swapd.telemetry.lifecycle import Lifecycle
from swapd.telemetry.logs import Logs
from swapd.telemetry.metrics.accounts import Accounts
from swapd.telemetry.starts import Starts
from swapd.upstream.peers import Peers
from swapd.upstream.pools import Pools
from swapd.web.auth import Keys
from swapd.web.bound import Bound
from swapd.web.capturing import Capturing
from swapd.web.collecting import Collecting
from swapd.web.cors import Origins
from swapd.web.guard import Guard
from swapd.web.hosts import Hosts
from swapd.web.prompter import Prompter

_log = logging.getLogger("swapd")


@dataclass(eq=False, kw_only=True)
class Services:
    """The floors below as the views need them, and what the configuration says now.

    Attributes:
      config: Served by until there is another.
      supervisor: Runs the models.
      lifecycle: Their history.
      logs: Their output.
      activity: The requests that are remembered.
      pools: The connections to the models' servers.
      peers: The connections to others.
      bound: Where swapd listens.
      closing: Set when swapd ends.
      on_finished: Told of each request to a model that is over; neither blocks nor raises.
      accounts: What is counted for Prometheus.
      monitor: The last hour of this machine.
      detector: What this machine is.
    """

    config: Config
    supervisor: Supervisor
    lifecycle: Lifecycle
    logs: Logs
    activity: Activity
    pools: InitVar[Pools]
    peers: InitVar[Peers]
    bound: Bound
    closing: trio.Event
    on_finished: Callable[[Finished], None]
    accounts: Accounts
    monitor: Monitor
    detector: Detector

    def __post_init__(self, pools: Pools, peers: Peers) -> None:
        self.dispatch = Dispatch(self.supervisor, pools, peers)
        self.requests = Requests()
        self.starts = Starts()
        self.prompter = Prompter()
        self.profiles = Profiles(self.config.profiles)
        self._choosing = Selectors()
        #: Each request to a model that is over.
        self.over: Feed[Finished] = Feed()
        #: Each row of those that are remembered.
        self.stored: Feed[Row] = Feed()
        #: That the configuration or the active profile is another.
        self.news: Feed[None] = Feed()
        #: Who wants copies of answers, if anybody does.
        self.collecting: Collecting | None = None
        self._known: dict[ModelId, Model] = {}
        #: After which transition a reload has last brought models or taken some out, or -1.
        self.models_since = -1
        self.reconfigure(self.config)

    def reconfigure(self, config: Config) -> None:
        """Serve by ``config`` from now on."""
        if config.models.keys() != self.config.models.keys():
            self.models_since = self.lifecycle.seq
        self.config = config
        alive = self.lifecycle.alive()
        former = {model: self._known[model] for model in self._known.keys() & alive}
        self._known = {**former, **config.models}
        self.names = names_of(config)
        self._follow_profiles(config)
        self._directory = Directory(self.names, self.profiles, self._choosing, config.selectors)
        self.keys = Keys(config.api_keys)
        captures = self.activity.captures
        self.collecting = Capturing(captures, self.keys) if config.capture_buffer_bytes else None
        self.guard = Guard(
            keys=self.keys,
            hosts=Hosts(config.server.allowed_hosts, on_loopback=self.bound.is_loopback),
            origins=Origins(config.cors.origins),
        )
        self.news.tell(None)

    def activate(self, profile: str | None) -> None:
        """Make ``profile`` the active one; nothing to have none.

        Raises:
          UnknownProfile: There is no such profile; the active one stays so.
        """
        before = self.profiles.active
        self.profiles.activate(profile)
        if self.profiles.active != before:
            _log.info('active profile changed to "%s"', self.profiles.active or "")
            self.news.tell(None)

    def finished(self, finished: Finished) -> None:
        """Tell of a request to a model that is over.  Neither blocks nor raises."""
        self.on_finished(finished)
        self.over.tell(finished)

    def find(self, asked: str) -> Destination:
        """Return for whom a request is that names ``asked``; count it before you await anything.

        Raises:
          UnknownModel: There is no such name, or the active profile disables it.
          ModelUnavailable: It is a selector whose targets are all being stopped.
        """
        return self._directory.find(asked, self._standing)

    def own(self, asked: str) -> ModelId:
        """Return the model of ours for which a request is now that names ``asked``; count nothing.

        Raises:
          UnknownModel: There is no such name, the active profile disables it, or it is a peer's.
          ModelUnavailable: It is a selector whose targets are all being stopped.
        """
        return self.names.resolve(self._directory.peek(asked, self._standing).name)

    def called(self, name: str) -> ModelId:
        """Return the model of ours that is called ``name`` itself, whatever a profile pins.

        Raises:
          UnknownModel: There is none.
        """
        try:
            return self.names.resolve(name)
        except UnknownModel as error:
            raise UnknownModel(f"{error}{self.profiles.aside(name)}") from None

    def place(self, path: bytes, *, pinned: bool = True) -> Place:
        """Return the model that ``path`` begins with, and what follows.

        Args:
          path: Percent-encoded.
          pinned: Whether the pins of the active profile count.

        Raises:
          NoModelNamed: The path is empty.
          UnknownModel: There is no such model, or the active profile disables it.
        """
        return find_in_path(path, self.names, self.profiles if pinned else Profiles({}))

    def state(self, model: ModelId) -> ModelState:
        """Tell where ``model`` is in its life, as the world was told last."""
        latest = self.lifecycle.latest(model)
        return latest.transition.new if latest else ModelState.STOPPED

    def _standing(self, target: Target) -> Standing:
        requests = self.requests.count(full_name(target))
        if isinstance(target, PeerModel):
            return Standing(None, requests)
        view, state = self.supervisor.view(target), self.state(target)
        doomed = state is ModelState.READY and not view.is_open
        return Standing(state, requests, fails=view.backoff > 0, doomed=doomed)

    def _follow_profiles(self, config: Config) -> None:
        before = self.profiles.active
        self.profiles.reconfigure(config.profiles)
        if self.profiles.active != before:
            _log.info('no profile is active any more: "%s" was taken out', before)

    def models(self) -> Iterator[Model]:
        """Yield every model, sorted by ID."""
        for model in sorted(self.config.models):
            yield self.config.models[model]

    def known(self) -> list[ModelId]:
        """Return every model that may have a process, also what a reload took out."""
        former = self._known.keys() - self.config.models.keys()
        return [*self.config.models, *sorted(former & self.lifecycle.alive())]

    def peer_names(self) -> list[str]:
        """Return the full name of each of the peers' models, sorted."""
        return sorted({model.name for model in self.config.peer_models.values()})

    def alive(self) -> Iterator[Model]:
        """Yield every model that is not stopped, sorted by ID, also what a reload took out."""
        for model in sorted(self._known.keys() & self.lifecycle.alive()):
            yield self._known[model]
