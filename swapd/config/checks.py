"""Checks that the parts of a configuration fit together: names, groups, ports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations
from typing import TypeAlias

from swapd.config.formats import host_and_port
from swapd.config.models import Model
from swapd.config.problems import did_you_mean, quoted
from swapd.config.schema import DEFAULT_GROUP, Group, Settings
from swapd.config.tree import KeyPath
from swapd.ids import ModelId

#: Says that what stands at a path is wrong.
Report: TypeAlias = Callable[[KeyPath, str], None]


def aliases(settings: Settings, report: Report) -> Mapping[str, ModelId]:
    """Return whom each alias means; one that is taken is reported."""
    owners: dict[str, ModelId] = {}
    for name, model in settings.models.items():
        for index, alias in enumerate(model.aliases):
            path = ("models", name, "aliases", index)
            if alias in settings.models:
                report(path, f"{quoted(alias)} is the ID of a model")
            elif alias in owners:
                report(path, f"{quoted(alias)} is an alias of {quoted(owners[alias])} already")
            else:
                owners[alias] = ModelId(name)
    return owners


def preload(
    settings: Settings, owners: Mapping[str, ModelId], report: Report
) -> tuple[ModelId, ...]:
    """Return the models to load at the start, aliases resolved; unknown ones are reported."""
    found = []
    for index, given in enumerate(settings.hooks.on_startup.preload):
        name = given.strip()
        if name in settings.models:
            found.append(ModelId(name))
        elif name in owners:
            found.append(owners[name])
        elif name:
            hint = did_you_mean(name, [*settings.models, *owners])
            report(("hooks", "on_startup", "preload", index), f"unknown model {quoted(name)}{hint}")
    return tuple(found)


def members(settings: Settings, owners: Mapping[str, ModelId], report: Report) -> None:
    """Report members that are no models, and models that are members twice."""
    homes: dict[str, str] = {}
    for group, given in settings.groups.items():
        if group == DEFAULT_GROUP:
            report(("groups", group), "this name belongs to the group of all other models")
        for index, member in enumerate(given.members):
            path = ("groups", group, "members", index)
            if member in owners:
                report(path, f"{quoted(member)} is an alias, write {quoted(owners[member])}")
            elif member not in settings.models:
                hint = did_you_mean(member, settings.models)
                report(path, f"unknown model {quoted(member)}{hint}")
            elif member in homes:
                report(path, f"{quoted(member)} is in the group {quoted(homes[member])} already")
            else:
                homes[member] = group


def shared_ports(
    models: Mapping[ModelId, Model], groups: Mapping[str, Group], report: Report
) -> None:
    """Report models that may run together although they listen on the same port."""
    by_port: dict[tuple[str, int], list[ModelId]] = {}
    for name, model in models.items():
        if address := host_and_port(model.proxy):
            by_port.setdefault(address, []).append(name)
    homes = {member: group for group in groups.values() for member in group.members}
    for (host, port), sharing in by_port.items():
        for first, second in combinations(sharing, 2):
            if _may_run_together(homes[first], homes[second]):
                message = f"{quoted(first)} uses port {port} of {host} too, and may run beside it"
                report(("models", second, "proxy"), message)


def _may_run_together(first: Group, second: Group) -> bool:
    if first is second:
        return not first.swap
    return not (_evicts(first, second) and _evicts(second, first))


def _evicts(started: Group, running: Group) -> bool:
    return started.exclusive and not running.persistent
