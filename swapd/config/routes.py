"""Turns the settings of routing into who may run together and who comes first.

What stands at the top level (``groups``, ``matrix``) and under ``routing.router`` means the
same; a file uses one of the two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations
from types import MappingProxyType
from typing import TypeAlias

from swapd.config.formats import place_of
from swapd.config.matrix import Matrix
from swapd.config.models import Model
from swapd.config.namespace import Namespace
from swapd.config.problems import quoted
from swapd.config.reporting import Reporter
from swapd.config.routing import Group, GroupSettings, Router, Routing
from swapd.config.schema import DEFAULT_GROUP, Settings
from swapd.config.sets import matrix_of
from swapd.config.tree import KeyPath
from swapd.ids import ModelId

_SETTINGS: KeyPath = ("routing", "router", "settings")

#: Says whether two different models may run at the same time.
MayRunTogether: TypeAlias = Callable[[ModelId, ModelId], bool]


def routing_of(
    settings: Settings, names: Namespace, reporter: Reporter
) -> tuple[Routing, Mapping[str, Group]]:
    """Return how requests are routed, and the groups; a matrix has no groups."""
    router, old = _router(settings, reporter)
    if not old:
        _warn_of_unused(settings, router, reporter)
    matrix, groups = None, dict[str, Group]()
    if router is Router.MATRIX:
        matrix = _matrix(settings, old, names, reporter)
    else:
        given = settings.groups if old else settings.routing.router.settings.groups
        path: KeyPath = ("groups",) if old else (*_SETTINGS, "groups")
        _check_members(given, path, names, reporter)
        groups = _groups(given, names)
    fifo = settings.routing.scheduler.settings.fifo
    routing = Routing(
        router=router,
        matrix=matrix,
        priority=MappingProxyType(_priority(fifo.priority, names, reporter)),
        max_wait=fifo.max_wait,
        max_queue=fifo.max_queue,
        restore_on_failure=fifo.restore_on_failure,
    )
    return routing, MappingProxyType(groups)


def check_ports(
    models: Mapping[ModelId, Model], together: MayRunTogether, reporter: Reporter
) -> None:
    """Report models that may run together although they listen at the same place."""
    by_place: dict[str, list[ModelId]] = {}
    for name, model in models.items():
        if place := place_of(model.proxy):
            by_place.setdefault(place, []).append(name)
    for place, sharing in by_place.items():
        for first, second in combinations(sharing, 2):
            if together(first, second):
                message = f"{quoted(first)} uses {place} too, and may run beside it"
                reporter.report(("models", second, "proxy"), message)


def together_by(matrix: Matrix | None, groups: Mapping[str, Group]) -> MayRunTogether:
    """Return the rule that says which models may run at the same time."""
    homes = {member: group for group in groups.values() for member in group.members}

    def by_groups(first: ModelId, second: ModelId) -> bool:
        ours, theirs = homes.get(first), homes.get(second)
        if ours is None or theirs is None:  # the matrix is broken
            return False
        if ours is theirs:
            return not ours.swap
        return not (_evicts(ours, theirs) and _evicts(theirs, ours))

    return (lambda first, second: matrix.allows({first, second})) if matrix else by_groups


def _evicts(started: Group, running: Group) -> bool:
    return started.exclusive and not running.persistent


def _router(settings: Settings, reporter: Reporter) -> tuple[Router, bool]:
    """Return which router is used, and whether its settings stand at the top level."""
    new = settings.routing.router
    old_key = "groups" if settings.groups else "matrix"
    if not settings.groups and settings.matrix is None:
        return new.use or Router.GROUP, False
    if new.use or new.settings.groups or new.settings.matrix:
        message = f"routing.router is set too: move {old_key} into routing.router.settings"
        reporter.report_key((old_key,), message)
    elif settings.groups and settings.matrix is not None:
        reporter.report_key(("matrix",), "groups is set too: use one of the two")
    return (Router.GROUP if settings.groups else Router.MATRIX), True


def _matrix(settings: Settings, old: bool, names: Namespace, reporter: Reporter) -> Matrix | None:
    path: KeyPath = ("matrix",) if old else (*_SETTINGS, "matrix")
    given = settings.matrix if old else settings.routing.router.settings.matrix
    if given is None:
        reporter.report(("routing", "router", "use"), f"{'.'.join(map(str, path))} is not set")
        return None
    return matrix_of(given, path, names, reporter)


def _warn_of_unused(settings: Settings, router: Router, reporter: Reporter) -> None:
    """Warn of settings of a router that is not used."""
    choices = settings.routing.router.settings
    unused = choices.groups if router is Router.MATRIX else choices.matrix
    if unused:
        key = "groups" if router is Router.MATRIX else "matrix"
        reporter.warn((*_SETTINGS, key), f"has no effect, routing.router.use is {router}")


def _check_members(
    given: Mapping[str, GroupSettings], path: KeyPath, names: Namespace, reporter: Reporter
) -> None:
    """Report members that are no models, and models that are members twice."""
    homes: dict[str, str] = {}
    for group, settings in given.items():
        if group == DEFAULT_GROUP:
            reporter.report((*path, group), "this name belongs to the group of all other models")
        for index, member in enumerate(settings.members):
            where = (*path, group, "members", index)
            if names.model(member) is None:
                reporter.report(where, names.no_model(member))
            elif member in homes:
                message = f"{quoted(member)} is in the group {quoted(homes[member])} already"
                reporter.report(where, message)
            else:
                homes[member] = group


def _groups(given: Mapping[str, GroupSettings], names: Namespace) -> dict[str, Group]:
    """Return the groups, and last the one of all models that are in no other."""
    groups = {
        name: Group(
            swap=settings.swap,
            exclusive=settings.exclusive,
            persistent=settings.persistent,
            members=tuple(ModelId(member) for member in settings.members),
        )
        for name, settings in given.items()
        if name != DEFAULT_GROUP
    }
    grouped = {member for group in groups.values() for member in group.members}
    rest = sorted(set(names.models) - grouped, key=str.encode)
    members = tuple(ModelId(member) for member in rest)
    groups[DEFAULT_GROUP] = Group(swap=True, exclusive=True, persistent=False, members=members)
    return groups


def _priority(given: Mapping[str, int], names: Namespace, reporter: Reporter) -> dict[ModelId, int]:
    priority: dict[ModelId, int] = {}
    for name, value in given.items():
        path = ("routing", "scheduler", "settings", "fifo", "priority", name)
        model = names.local(name)
        if model is None:
            reporter.report_key(path, names.unknown(name))
        elif priority.setdefault(model, value) != value:
            message = f"{quoted(model)} has another priority already, {priority[model]}"
            reporter.report(path, message)
    return priority
