"""How each model's server is run: its configuration, as the process floor wants it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

import trio

from swapd.config.changes import is_same_process
from swapd.config.models import Model
from swapd.ids import ModelId
from swapd.process.actor import RunServer
from swapd.process.child import ServerSpec, Stopping, run_server
from swapd.process.guardian import Guardian
from swapd.process.health import Liveness, Probe
from swapd.process.ports import Address
from swapd.upstream.probe import Prober


class Servers:
    """Knows the newest configuration of every model, also of those that were taken out."""

    def __init__(self, guardian: Guardian, *, hurry: trio.Event) -> None:
        """Launch by ``guardian``; once ``hurry`` is set no stop has a grace."""
        self._guardian = guardian
        self._hurry = hurry
        self._models: dict[ModelId, Model] = {}
        self._probes: dict[ModelId, Probe | None] = {}
        self._outdated = trio.Event()  # set when the models are others from now on

    def of(self, models: Mapping[ModelId, Model]) -> dict[ModelId, RunServer]:
        """Return how each of ``models`` is run from now on.

        How it is watched and stopped holds for what runs already, too, as long as that is the
        same process.
        """
        self._models.update(models)
        self._probes.update((name, _probe_of(model)) for name, model in models.items())
        outdated, self._outdated = self._outdated, trio.Event()
        outdated.set()
        return {name: self._server_of(model) for name, model in models.items()}

    def _server_of(self, model: Model) -> RunServer:
        probe = self._probes[model.id]
        spec = ServerSpec(
            argv=model.argv,
            env={**os.environ, **dict(entry.split("=", 1) for entry in model.env)},
            stopping=partial(self._stopping, model),
            address=local_address(model.proxy),
            start_timeout=model.start_timeout,
            liveness=partial(self._liveness, model, probe),
        )
        return partial(run_server, spec, self._guardian, probe=probe, hurry=self._hurry)

    def _stopping(self, started: Model) -> Stopping:
        model = self._newest(started)
        return Stopping(model.stop_argv, model.unload_timeout)

    def _liveness(self, started: Model, probe: Probe | None) -> Liveness:
        model = self._newest(started)
        if model is not started:
            probe = self._probes[model.id]
        return Liveness(probe, model.liveness.every, model.liveness.failures, self._outdated)

    def _newest(self, started: Model) -> Model:
        """Return what holds now for a process that was started by ``started``."""
        newest = self._models[started.id]
        return newest if is_same_process(started, newest) else started


def _probe_of(model: Model) -> Probe | None:
    checks = model.check_endpoint
    return Prober(model.proxy, checks).probe if checks else None


def local_address(url: str) -> Address | None:
    """Return where a server on this machine will listen, or None if it is elsewhere."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return unquote(parts.path)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return (host, port) if host == "localhost" or _is_loopback(host) else None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name: who knows where it leads
        return False
