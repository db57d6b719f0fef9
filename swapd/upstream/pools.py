"""One pool of connections per life of a model: none outlives the server it leads to."""

from __future__ import annotations

from collections.abc import Mapping

from swapd.ids import Generation, ModelId
from swapd.upstream.http1 import Pool


class Pools:
    """Gives each generation of each model its own pool."""

    def __init__(self, urls: Mapping[ModelId, str]) -> None:
        """Know where each model's server listens."""
        self._urls = dict(urls)
        self._pools: dict[ModelId, tuple[Generation, Pool]] = {}

    def reconfigure(self, urls: Mapping[ModelId, str]) -> None:
        """Know where each model's server listens from its next life on."""
        self._urls.update(urls)

    def of(self, model: ModelId, generation: Generation) -> Pool:
        """Return the pool of this generation; that of an earlier one is closed."""
        if held := self._pools.get(model):
            if held[0] == generation:
                return held[1]
            held[1].close()
        pool = Pool(self._urls[model])
        self._pools[model] = (generation, pool)
        return pool

    def forget(self, model: ModelId) -> None:
        """Close what leads to ``model``, whose server is gone or about to go."""
        if held := self._pools.pop(model, None):
            held[1].close()
