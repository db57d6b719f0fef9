"""One pool of connections per life of a model: none outlives the server it leads to."""

from __future__ import annotations

from collections.abc import Mapping

from swapd.ids import Generation, ModelId
from swapd.upstream.http1 import Pool


class Pools:
    """Gives each generation of each model its own pool.

    A request may come late, when its generation is over or another has begun: its pool serves it
    alone then.
    """

    def __init__(self, urls: Mapping[ModelId, str]) -> None:
        """Know where each model's server listens."""
        self._urls = dict(urls)
        self._pools: dict[ModelId, tuple[Generation, Pool]] = {}
        self._over: dict[ModelId, Generation] = {}

    def reconfigure(self, urls: Mapping[ModelId, str]) -> None:
        """Know where each model's server listens from its next life on."""
        self._urls.update(urls)

    def of(self, model: ModelId, generation: Generation) -> Pool:
        """Return the pool of this generation; that of an earlier one is closed."""
        held = self._pools.get(model)
        if held and held[0] == generation:
            return held[1]
        pool = Pool(self._urls[model])
        if self._is_over(model, generation):
            pool.close()  # it keeps no connection
            return pool
        if held:
            held[1].close()
        self._pools[model] = (generation, pool)
        return pool

    def _is_over(self, model: ModelId, generation: Generation) -> bool:
        held = self._pools.get(model)
        newest_gone = self._over.get(model, Generation(0))
        return generation <= newest_gone or (held is not None and generation < held[0])

    def forget(self, model: ModelId) -> None:
        """Close what leads to ``model``, whose server is gone or about to go."""
        if held := self._pools.pop(model, None):
            generation, pool = held
            self._over[model] = generation
            pool.close()
