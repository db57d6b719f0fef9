"""One pool of connections per life of a model: none outlives the server it leads to."""

from __future__ import annotations

from collections.abc import Mapping

from swapd.config.models import Model
from swapd.ids import Generation, ModelId
from swapd.upstream.http1 import Pool


class Pools:
    """Gives each generation of each model its own pool.

    A request may come late, when its generation is over or another has begun: its pool serves it
    alone then.
    """

    def __init__(self, models: Mapping[ModelId, Model]) -> None:
        """Know where each model's server listens."""
        self._models = dict(models)
        self._pools: dict[ModelId, tuple[Generation, Pool]] = {}
        self._over: dict[ModelId, Generation] = {}

    def reconfigure(self, models: Mapping[ModelId, Model]) -> None:
        """Know where each model's server listens from its next life on.

        How long it is waited for holds for this life too.
        """
        self._models.update(models)
        for name, (_, pool) in self._pools.items():
            pool.wait_by(self._models[name].timeouts)

    def of(self, model: ModelId, generation: Generation) -> Pool:
        """Return the pool of this generation; that of an earlier one is closed."""
        held = self._pools.get(model)
        if held and held[0] == generation:
            return held[1]
        pool = Pool(self._models[model].proxy, self._models[model].timeouts)
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
