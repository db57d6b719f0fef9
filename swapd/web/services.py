"""What the web floor shows and asks: handed in once, held by no view."""

from __future__ import annotations

from collections.abc import Iterator

import trio

from swapd.config.models import Model
from swapd.config.schema import Config
from swapd.ids import ModelId
from swapd.policy.life import ModelState
from swapd.policy.naming import Names
from swapd.supervisor import Supervisor
from swapd.telemetry.lifecycle import Lifecycle
from swapd.upstream.pools import Pools
from swapd.web.auth import Keys
from swapd.web.bound import Bound


class Services:
    """The floors below as the views need them, and what the configuration says now."""

    def __init__(
        self,
        config: Config,
        *,
        supervisor: Supervisor,
        lifecycle: Lifecycle,
        pools: Pools,
        bound: Bound,
        closing: trio.Event,
    ) -> None:
        """Serve by ``config`` until there is another; ``closing`` is set when swapd ends."""
        self.supervisor = supervisor
        self.lifecycle = lifecycle
        self.pools = pools
        self.bound = bound
        self.closing = closing
        self.reconfigure(config)

    def reconfigure(self, config: Config) -> None:
        """Serve by ``config`` from now on."""
        self.config = config
        self.names = Names(
            config.models,
            config.aliases,
            peer_models=config.peer_models,
            selectors=config.selectors,
        )
        self.keys = Keys(config.api_keys)

    def state(self, model: ModelId) -> ModelState:
        """Tell where ``model`` is in its life, as the world was told last."""
        latest = self.lifecycle.latest(model)
        return latest.transition.new if latest else ModelState.STOPPED

    def models(self) -> Iterator[Model]:
        """Yield every model, sorted by ID."""
        for model in sorted(self.config.models):
            yield self.config.models[model]
