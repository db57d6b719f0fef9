"""Goes over to a new configuration while everything runs.

Rule 1: the new configuration is loaded and checked first; one with problems changes nothing.
Rule 2: only what it changes is touched: what runs unchanged keeps its process and its streams.
Rule 3: a reload that is asked for during a reload runs after it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NoReturn, TypeAlias

import trio

from swapd.config.changes import changed_processes, only_at_start
from swapd.config.schema import Config
from swapd.errors import InvalidConfig
from swapd.ids import ModelId

_log = logging.getLogger("swapd")

#: Reads the configuration anew; models that had a port keep it, and no other gets it.
Load: TypeAlias = Callable[[Mapping[ModelId, int]], Config]

#: Goes over to a new configuration, in which the processes of some models are others.
Apply: TypeAlias = Callable[[Config, frozenset[ModelId]], None]


class Reloader:
    """Reloads the configuration whenever it is asked to."""

    def __init__(self, config: Config, load: Load, apply: Apply) -> None:
        """Begin with ``config``, which is applied already."""
        self._config = config
        self._ports = dict(config.ports)  # also of models that were taken out, and may still run
        self._load = load
        self._apply = apply
        self._ask, self._asked = trio.open_memory_channel[None](1)

    def ask(self) -> None:
        """Have the configuration reloaded.  Never blocks; asked twice, it is done once more."""
        with suppress(trio.WouldBlock):  # one is asked for already, and will see what is new
            self._ask.send_nowait(None)

    async def run(self) -> NoReturn:
        """Reload whenever asked, until cancelled."""
        while True:
            await self._asked.receive()
            try:
                new = await trio.to_thread.run_sync(self._load, self._ports)
            except InvalidConfig as invalid:
                _log.error("the new configuration has problems, the old one stays:\n%s", invalid)
            except Exception:  # noqa: BLE001  whatever it is, it must not take the models along
                _log.exception("the new configuration cannot be read, the old one stays")
            else:
                self._go_over_to(new)

    def _go_over_to(self, new: Config) -> None:
        old, self._config = self._config, new
        self._ports |= new.ports
        for warning in new.warnings:
            _log.warning("%s", warning)
        for key in only_at_start(old, new):
            _log.warning("%s has changed, which takes effect at the next start", key)
        changed = changed_processes(old, new)
        self._apply(new, changed)
        _log.info("configuration reloaded: %s", _in_words(old, new, changed))


def _in_words(old: Config, new: Config, changed: frozenset[ModelId]) -> str:
    parts = {
        "new": new.models.keys() - old.models.keys(),
        "removed": old.models.keys() - new.models.keys(),
        "to be started anew": changed,
    }
    told = [f"{what}: {', '.join(sorted(names))}" for what, names in parts.items() if names]
    return "; ".join(told) or "no model is started anew"
