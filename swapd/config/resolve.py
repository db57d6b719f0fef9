"""Turns settings into the final configuration: inherited values filled in, names resolved."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from swapd.config import checks
from swapd.config.commands import UnterminatedQuote, split
from swapd.config.models import Model, ModelSettings
from swapd.config.problems import Problems
from swapd.config.schema import DEFAULT_GROUP, Config, Group, Settings
from swapd.config.tree import KeyPath, Map, find, key_place, place_of
from swapd.ids import ModelId

_SHORTEST_START = 15
_DEFAULT_UNLOAD = 10


def resolve(settings: Settings, tree: Map, problems: Problems) -> Config:
    """Return what ``settings`` come to, telling ``problems`` what does not fit together.

    Args:
        settings: What the file says.
        tree: The same, with the places where it says so.
        problems: Receives problems and warnings.
    """
    resolver = _Resolver(settings, tree, problems)
    models = {ModelId(name): resolver.model(ModelId(name)) for name in settings.models}
    aliases = checks.aliases(settings, resolver.report)
    groups = _groups(settings)
    preload = checks.preload(settings, aliases, resolver.report)
    checks.members(settings, aliases, resolver.report)
    checks.shared_ports(models, groups, resolver.report)
    return Config(
        models=MappingProxyType(models),
        aliases=MappingProxyType(dict(aliases)),
        groups=MappingProxyType(groups),
        preload=preload,
        api_keys=settings.api_keys,
        server=settings.server,
        warnings=problems.warnings,
    )


class _Resolver:
    """Resolves one model after the other."""

    def __init__(self, settings: Settings, tree: Map, problems: Problems) -> None:
        self._settings = settings
        self._tree = tree
        self._problems = problems
        self._start_timeout = self._clamped(
            ("healthCheckTimeout",), settings.health_check_timeout, _SHORTEST_START
        )

    def report(self, path: KeyPath, message: str) -> None:
        """Record a problem where ``path`` was written."""
        self._problems.add(place_of(self._tree, path), path, message)

    def model(self, name: ModelId) -> Model:
        """Return the model ``name`` with nothing left open."""
        given = self._settings.models[name]
        path: KeyPath = ("models", name)
        argv = self._arguments((*path, "cmd"), given.cmd)
        if not argv:
            self._report_no_command(path)
        limit = self._clamped((*path, "concurrencyLimit"), given.concurrency_limit, 0)
        return Model(
            id=name,
            cmd=given.cmd,
            argv=argv,
            stop_argv=self._arguments((*path, "cmdStop"), given.cmd_stop),
            proxy=given.proxy,
            env=given.env,
            aliases=given.aliases,
            check_endpoint=None if given.check_endpoint == "none" else given.check_endpoint,
            ttl=self._settings.global_ttl if given.ttl == -1 else given.ttl,
            unload_timeout=self._unload_timeout(given),
            start_timeout=self._start_timeout,
            concurrency_limit=limit,
            name=given.name.strip(),
            description=given.description.strip(),
            unlisted=given.unlisted,
            use_model_name=given.use_model_name,
        )

    def _report_no_command(self, path: KeyPath) -> None:
        message = "a model needs a cmd, the command that starts its server"
        if find(self._tree, (*path, "cmd")):
            self.report((*path, "cmd"), message)
        else:
            self._problems.add(key_place(self._tree, path), path, message)

    def _unload_timeout(self, given: ModelSettings) -> int:
        return given.unload_timeout or self._settings.unload_timeout or _DEFAULT_UNLOAD

    def _arguments(self, path: KeyPath, command: str) -> tuple[str, ...]:
        try:
            return split(command)
        except UnterminatedQuote as error:
            self.report(path, str(error))
            return (command,)

    def _clamped(self, path: KeyPath, value: int, least: int) -> int:
        if value < least:
            place = place_of(self._tree, path)
            self._problems.warn(place, path, f"{value} is too low, {least} is used")
        return max(value, least)


def _groups(settings: Settings) -> Mapping[str, Group]:
    """Return the groups, and last the one of all models that are in no other."""
    groups = {
        name: Group(
            swap=given.swap,
            exclusive=given.exclusive,
            persistent=given.persistent,
            members=tuple(ModelId(member) for member in given.members),
        )
        for name, given in settings.groups.items()
        if name != DEFAULT_GROUP
    }
    grouped = {member for group in groups.values() for member in group.members}
    rest = sorted(settings.models.keys() - grouped, key=str.encode)
    members = tuple(ModelId(member) for member in rest)
    groups[DEFAULT_GROUP] = Group(swap=True, exclusive=True, persistent=False, members=members)
    return groups
