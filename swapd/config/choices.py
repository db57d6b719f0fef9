"""Turns selectors, profiles, peers and the preload list into what swapd reads of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from swapd.config.filters import filters_of
from swapd.config.matrix import Matrix
from swapd.config.namespace import Namespace
from swapd.config.peers import Peer, PeerModel
from swapd.config.problems import quoted
from swapd.config.profiles import Profile
from swapd.config.reporting import Reporter
from swapd.config.routing import Group
from swapd.config.schema import Settings
from swapd.config.selectors import Selector, SelectorSettings, Strategy, Target
from swapd.config.tree import KeyPath
from swapd.ids import ModelId


def peers_of(settings: Settings, reporter: Reporter) -> Mapping[str, Peer]:
    """Return the peers, each of which must say where it is and what it serves."""
    for name, given in settings.peers.items():
        if not given.proxy:
            reporter.require(
                ("peers", name, "proxy"), "a peer needs a proxy, the URL of its server"
            )
        if not given.models:
            reporter.require(("peers", name, "models"), "a peer needs models, one at least")
    return MappingProxyType(
        {
            name: Peer(
                id=name,
                proxy=given.proxy,
                api_key=given.api_key,
                models=tuple(dict.fromkeys(given.models)),
                filters=filters_of(given.filters),
                timeouts=given.timeouts,
            )
            for name, given in settings.peers.items()
        }
    )


def preload_of(settings: Settings, names: Namespace, reporter: Reporter) -> tuple[ModelId, ...]:
    """Return the models to load at the start, aliases resolved; unknown ones are reported."""
    found = []
    for index, given in enumerate(settings.hooks.on_startup.preload):
        name, path = given.strip(), ("hooks", "on_startup", "preload", index)
        model = names.local(name)
        if model is not None:
            found.append(model)
        elif name in names.selectors or name in names.peer_models:
            reporter.report(path, f"{quoted(name)} is no model that swapd runs")
        elif name:
            reporter.report(path, names.unknown(name))
    return tuple(found)


def profiles_of(settings: Settings, names: Namespace, reporter: Reporter) -> Mapping[str, Profile]:
    """Return the profiles, whose pins must lead somewhere."""
    profiles = {}
    for name, given in settings.profiles.items():
        path = ("profiles", name, "pins")
        if not name.strip():
            reporter.report_key(path[:2], "a profile needs a name")
        if not given.pins:
            reporter.require(path, "a profile needs pins, one at least")
        for pin, target in given.pins.items():
            if not pin.strip():
                reporter.report_key((*path, pin), "a pin needs a name")
            if target and names.target(target) is None and target not in names.selectors:
                reporter.report((*path, pin), names.unknown(target))
        pins = {pin: target or None for pin, target in given.pins.items()}
        profiles[name] = Profile(name, given.description.strip(), MappingProxyType(pins))
    return MappingProxyType(profiles)


@dataclass(frozen=True, slots=True)
class Rivalry:
    """Which models keep each other out."""

    matrix: Matrix | None
    groups: Mapping[str, Group]

    def complaint(self, models: Collection[ModelId]) -> str | None:
        """Say why ``models`` cannot all run at the same time, or None."""
        if self.matrix:
            if self.matrix.allows(models):
                return None
            return "the targets must be able to run together: no set of the matrix holds them all"
        homes = {
            name: group for name, group in self.groups.items() if set(models) & {*group.members}
        }
        if len(homes) > 1:
            names = ", ".join(map(quoted, homes))
            return f"the targets must be in one group, and are in {names}"
        for name, group in homes.items():
            if group.swap:
                return f"the targets must be able to run together: {quoted(name)} has swap: true"
        return None


def selectors_of(
    settings: Settings, names: Namespace, rivalry: Rivalry, reporter: Reporter
) -> Mapping[str, Selector]:
    """Return the selectors, whose targets must be models that its strategy can choose from."""
    reading = _Selectors(names, rivalry, reporter)
    return MappingProxyType(
        {name: reading.selector(name, given) for name, given in settings.selectors.items()}
    )


class _Selectors:
    """Reads one selector after the other."""

    def __init__(self, names: Namespace, rivalry: Rivalry, reporter: Reporter) -> None:
        self._names = names
        self._rivalry = rivalry
        self._reporter = reporter

    def selector(self, name: str, given: SelectorSettings) -> Selector:
        """Return the selector ``name``; all that is wrong with it is reported."""
        path = ("selectors", name)
        self._check_name(name, path)
        if given.strategy is None:
            words = "a selector needs a strategy: pin, warm or spillover"
            self._reporter.require((*path, "strategy"), words)
        if not given.targets:
            self._reporter.require((*path, "targets"), "a selector needs targets, one at least")
        resolved = [
            self._target(target, given, (*path, "targets", index))
            for index, target in enumerate(given.targets)
        ]
        if given.strategy is Strategy.SPILLOVER and None not in resolved:
            self._check_spillover(given, [target for target in resolved if target], path)
        return Selector(
            id=name,
            strategy=given.strategy or Strategy.PIN,
            targets=given.targets,
            resolved=tuple(target for target in resolved if target),
            spillover=given.settings.spillover,
            name=given.name.strip(),
            description=given.description.strip(),
            unlisted=given.unlisted,
            metadata=given.metadata,
        )

    def _check_name(self, name: str, path: KeyPath) -> None:
        if not name.strip():
            self._reporter.report_key(path, "a selector needs a name")
        elif name in self._names.models:
            self._reporter.report_key(path, f"{quoted(name)} is the ID of a model")
        elif name in self._names.aliases:
            model = quoted(self._names.aliases[name])
            self._reporter.report_key(path, f"{quoted(name)} is an alias of {model} already")

    def _target(self, name: str, given: SelectorSettings, path: KeyPath) -> Target | None:
        found = self._names.target(name)
        if name in self._names.selectors and self._names.local(name) is None:
            self._reporter.report(path, f"{quoted(name)} is a selector, name its targets instead")
            return None
        if found is None:
            self._reporter.report(path, self._names.unknown(name))
        elif isinstance(found, PeerModel) and given.strategy is Strategy.WARM:
            message = f"{quoted(name)} is a peer's model; nobody knows whether that is loaded"
            self._reporter.report(path, message)
        return found

    def _check_spillover(
        self, given: SelectorSettings, targets: list[Target], path: KeyPath
    ) -> None:
        if given.settings.spillover < 1:
            self._reporter.report((*path, "settings", "spillover"), "must be at least 1")
        for index, target in enumerate(targets):
            if target in targets[:index]:
                name = target.name if isinstance(target, PeerModel) else target
                message = f"{quoted(name)} is among the targets already"
                self._reporter.report((*path, "targets", index), message)
        local = [target for target in targets if not isinstance(target, PeerModel)]
        complaint = self._rivalry.complaint(local) if len({*local}) > 1 else None
        if complaint:
            self._reporter.report((*path, "targets"), complaint)
