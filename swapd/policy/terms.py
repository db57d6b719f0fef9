"""What a configuration says to the scheduler: terms of each model, rules of the whole queue."""

from __future__ import annotations

from swapd.config.schema import Config
from swapd.ids import ModelId
from swapd.policy.seats import Rules, Terms


def terms_of(config: Config) -> dict[ModelId, Terms]:
    """Return the terms of each model, in the order of the file."""
    return {
        model.id: Terms(
            ttl=model.ttl,
            concurrency_limit=model.concurrency_limit,
            parallel=model.parallel,
            priority=config.routing.priority.get(model.id, 0),
        )
        for model in config.models.values()
    }


def rules_of(config: Config) -> Rules:
    """Return the rules of the queue."""
    routing = config.routing
    return Rules(routing.max_wait, routing.max_queue, routing.restore_on_failure)
