"""Resolves the macros of models and gives each model that asks for a port its own."""

from __future__ import annotations

from dataclasses import replace

from swapd.config.commands import UnterminatedQuote, split, without_comments
from swapd.config.keys import is_private
from swapd.config.macros import Macro, expand, report_leftovers, used
from swapd.config.models import DEFAULT_PROXY
from swapd.config.problems import Problems
from swapd.config.schema import DEFAULT_START_PORT, Settings
from swapd.config.tree import KeyPath, Map, Node, Scalar, place_of, scalars

_COMMANDS = ("cmd", "cmdStop")
_RESERVED = ("MODEL_ID", "PORT")
_HIGHEST_PORT = 65535


def resolve_macros(tree: Map, problems: Problems) -> Map:
    """Return ``tree`` with the macros of every model put in.

    Models are visited in the byte order of their IDs, so that a model's port depends on which
    models there are and not on where they stand in the file.
    """
    models = tree.get("models")
    if isinstance(models, Map):
        ports = _Ports(_start_port(tree))
        for name in sorted(models.entries, key=lambda name: name.encode()):
            model = models.entries[name].value
            if isinstance(model, Map):
                models = models.put(name, _resolved(name, model, ports, problems))
        tree = tree.put("models", models)
    for key in Settings.known_keys():
        outside = tree.get(key)
        if outside is not None and key != "models":
            report_leftovers(outside, (key,), (), problems)
    return tree


class _Ports:
    """Hands out ports, upwards from the first."""

    def __init__(self, first: int) -> None:
        self._next = first

    def take(self) -> int:
        self._next += 1
        return self._next - 1


def _start_port(tree: Map) -> int:
    """Return ``startPort``; a value that is none is reported when the settings are read."""
    found = tree.get("startPort")
    if isinstance(found, Scalar) and isinstance(found.value, int | float):
        return int(found.value) if 1 <= found.value <= _HIGHEST_PORT else DEFAULT_START_PORT
    return DEFAULT_START_PORT


def _resolved(name: str, model: Map, ports: _Ports, problems: Problems) -> Map:
    path = ("models", name)
    for key in _COMMANDS:
        model = _without_comments(model, (*path, key), problems)
    model = _with_default_proxy(model)
    model = _expanded(model, Macro("MODEL_ID", name))
    command = model.get("cmd")
    if "PORT" in used(command) or not _is_settled(command):  # a broken cmd is complaint enough
        model = _expanded(model, Macro("PORT", _next_port(ports, model, path, problems)))
    else:
        _report_port_without_command(model, path, problems)
    _report_unknown(model, path, problems)
    return model


def _without_comments(model: Map, path: KeyPath, problems: Problems) -> Map:
    """Take the comments out of a command before they can be taken for uses of macros."""
    found = model.get(str(path[-1]))
    if not isinstance(found, Scalar) or not isinstance(found.value, str):
        return model
    try:
        split(found.value)
    except UnterminatedQuote as error:
        problems.add(found.place_of_line(error.line), path, str(error))
    return model.put(str(path[-1]), replace(found, value=without_comments(found.value)))


def _with_default_proxy(model: Map) -> Map:
    given = model.get("proxy")
    if given is None or given == Scalar(None, given.place):
        return model.put("proxy", Scalar(DEFAULT_PROXY, given.place if given else model.place))
    return model


def _expanded(model: Map, macro: Macro) -> Map:
    expanded = expand(model, [macro])
    assert isinstance(expanded, Map)
    return expanded


def _is_settled(command: Node | None) -> bool:
    return isinstance(command, Scalar) and command.value not in (None, "") and not used(command)


def _next_port(ports: _Ports, model: Map, path: KeyPath, problems: Problems) -> int:
    port = ports.take()
    if port > _HIGHEST_PORT:
        message = f"${{PORT}} would be {port}, and {_HIGHEST_PORT} is the highest port"
        problems.add(place_of(model, ("cmd",)), (*path, "cmd"), message)
    return min(port, _HIGHEST_PORT)


def _report_port_without_command(model: Map, path: KeyPath, problems: Problems) -> None:
    for where, scalar in scalars(model, path):
        if "PORT" in used(scalar) and not is_private(str(where[2])):
            message = "${PORT} is only available when cmd uses it"
            if where[2:] == ("proxy",):
                message += "; say here where the model listens"
            problems.add(scalar.place, where, message)


def _report_unknown(model: Map, path: KeyPath, problems: Problems) -> None:
    for key, entry in model.entries.items():
        if is_private(key):
            continue
        node = entry.value
        if key == "cmdStop":  # the one macro that waits until the process is known
            node = expand(node, [Macro("PID", 0)])
        report_leftovers(node, (*path, key), _RESERVED, problems)
