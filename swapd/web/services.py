"""What the web floor shows and asks: handed in once, held by no view."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Services:
    """The floors below, as the views need them."""

    config: Config
    names: Names
    keys: Keys
    supervisor: Supervisor
    lifecycle: Lifecycle
    pools: Pools
    closing: trio.Event  # set when swapd begins to end

    def state(self, model: ModelId) -> ModelState:
        """Tell where ``model`` is in its life, as the world was told last."""
        latest = self.lifecycle.latest(model)
        return latest.transition.new if latest else ModelState.STOPPED

    def models(self) -> Iterator[Model]:
        """Yield every model, sorted by ID."""
        for model in sorted(self.config.models):
            yield self.config.models[model]
