"""What a new configuration changes for what runs by the old one."""

from __future__ import annotations

from collections.abc import Iterator

from swapd.config.models import Model
from swapd.config.schema import Config
from swapd.ids import ModelId


def changed_processes(old: Config, new: Config) -> frozenset[ModelId]:
    """Return the models in both whose process would be another: they must be started anew.

    Whatever else is new of a model, such as its aliases, its TTL or how it is stopped, holds
    for the process that runs.
    """
    both = old.models.keys() & new.models.keys()
    return frozenset(
        name for name in both if not is_same_process(old.models[name], new.models[name])
    )


def is_same_process(old: Model, new: Model) -> bool:
    """Tell whether both start the same process at the same address."""
    return (old.argv, old.env, old.proxy) == (new.argv, new.env, new.proxy)


def newly_preloaded(old: Config, new: Config) -> tuple[ModelId, ...]:
    """Return what the new configuration wants loaded at the start and the old one did not."""
    return tuple(name for name in new.preload if name not in old.preload)


def only_at_start(old: Config, new: Config) -> Iterator[str]:
    """Yield the keys whose change takes effect at the next start only."""
    for key, before, after in (
        ("logToStdout", old.logging.to_stdout, new.logging.to_stdout),
        ("server.shutdownGrace", old.server.shutdown_grace, new.server.shutdown_grace),
        ("server.fastTransport", old.server.fast_transport, new.server.fast_transport),
    ):
        if before != after:
            yield key
