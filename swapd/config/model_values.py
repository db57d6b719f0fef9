"""Turns the settings of each model into its final values."""

from __future__ import annotations

from swapd.config.commands import UnterminatedQuote, split
from swapd.config.filters import filters_of
from swapd.config.models import COMFYUI, COMFYUI_REQUESTS, Model, ModelSettings
from swapd.config.namespace import Namespace
from swapd.config.reporting import Reporter
from swapd.config.scalars import text_of
from swapd.config.schema import Settings
from swapd.config.tree import KeyPath
from swapd.ids import ModelId

_SHORTEST_START = 15
_DEFAULT_UNLOAD = 10


class Models:
    """Resolves one model after the other."""

    def __init__(self, settings: Settings, names: Namespace, reporter: Reporter) -> None:
        """Know the whole, of which models inherit."""
        self._settings = settings
        self._names = names
        self._reporter = reporter
        self._start_timeout = reporter.at_least(
            ("healthCheckTimeout",), settings.health_check_timeout, _SHORTEST_START
        )

    def all(self) -> dict[ModelId, Model]:
        """Return every model with nothing left open, in the order of the file."""
        return {ModelId(name): self._model(ModelId(name)) for name in self._settings.models}

    def _model(self, name: ModelId) -> Model:
        given = self._settings.models[name]
        path: KeyPath = ("models", name)
        argv = self._arguments((*path, "cmd"), given.cmd)
        if not argv:
            message = "a model needs a cmd, the command that starts its server"
            self._reporter.require((*path, "cmd"), message)
        if given.liveness.every and given.check_endpoint == "none":
            message = "there is nothing to ask: checkEndpoint is none"
            self._reporter.report((*path, "liveness", "every"), message)
        loading = given.send_loading_state
        return Model(
            id=name,
            cmd=given.cmd,
            argv=argv,
            stop_argv=self._arguments((*path, "cmdStop"), given.cmd_stop),
            proxy=given.proxy,
            env=given.env,
            aliases=self._aliases(name),
            check_endpoint=None if given.check_endpoint == "none" else given.check_endpoint,
            ttl=self._settings.global_ttl if given.ttl == -1 else given.ttl,
            unload_timeout=self._unload_timeout(given),
            start_timeout=self._start_timeout,
            concurrency_limit=self._concurrency_limit(name, given),
            name=given.name.strip(),
            description=given.description.strip(),
            unlisted=given.unlisted,
            use_model_name=given.use_model_name,
            filters=filters_of(given.filters),
            metadata=given.metadata,
            capabilities=given.capabilities,
            send_loading_state=self._settings.send_loading_state if loading is None else loading,
            timeouts=given.timeouts,
            ignore_websockets=given.compat.ignore_websockets or name == COMFYUI,
            parallel=given.parallel,
            liveness=given.liveness,
        )

    def _aliases(self, name: ModelId) -> tuple[str, ...]:
        return tuple(alias for alias, owner in self._names.aliases.items() if owner == name)

    def _concurrency_limit(self, name: ModelId, given: ModelSettings) -> int:
        path = ("models", name, "concurrencyLimit")
        limit = self._reporter.at_least(path, given.concurrency_limit, 0)
        return max(limit, COMFYUI_REQUESTS) if limit and name == COMFYUI else limit

    def _unload_timeout(self, given: ModelSettings) -> int:
        return given.unload_timeout or self._settings.unload_timeout or _DEFAULT_UNLOAD

    def _arguments(self, path: KeyPath, command: str) -> tuple[str, ...]:
        try:
            return split(command)
        except UnterminatedQuote as error:
            found = self._as_written(path) or error
            self._reporter.report_line(path, found.line, str(found))
            return (command,)

    def _as_written(self, path: KeyPath) -> UnterminatedQuote | None:
        """Return the open quote in the text of the file, which still has its comments."""
        written = self._reporter.written(path)
        try:
            split(text_of(written.value) if written else "")
        except UnterminatedQuote as error:
            return error
        return None
