"""Puts all macros into a configuration: those that it declares, and swapd's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from swapd.config.commands import COMMANDS, without_comments
from swapd.config.declarations import declared, in_scope
from swapd.config.macros import Leftovers, Macro, expand, used
from swapd.config.models import DEFAULT_PROXY
from swapd.config.ports import Ports
from swapd.config.problems import Problems
from swapd.config.scalars import text_of
from swapd.config.schema import Settings
from swapd.config.section import is_private
from swapd.config.tree import Entry, KeyPath, Map, Node, Scalar, find, is_null, place_of, put
from swapd.ids import ModelId

_KEYS_EXPANDED = ("filters", "setParamsByID")
_ELSEWHERE = {name: f"${{{name}}} is known inside models only" for name in ("MODEL_ID", "PORT")}
_WITHOUT_PORT = {"PORT": "${PORT} is only available when cmd uses it"}
_NO_PROXY = {"PORT": _WITHOUT_PORT["PORT"] + "; say here where the model listens"}
_NO_PID = {"PID": "${PID} is known in cmdStop only"}


def resolve_macros(tree: Map, ports: Ports, problems: Problems) -> Map:
    """Return ``tree`` with every macro put in, and without the declarations.

    Models are visited in the byte order of their IDs, so that a model's port depends on which
    models there are and not on where they stand in the file.
    """
    everywhere = declared(tree, (), problems)
    written, tree = tree, tree.without("macros")
    leftovers = Leftovers(everywhere, {**_ELSEWHERE, **_NO_PID}, written, problems)
    for key in [key for key in tree.entries if key != "models"]:
        value = expand(tree.entries[key].value, everywhere)
        tree = tree.put(key, value)
        if key in Settings.known_keys():
            leftovers.report(value, (key,))
    models = tree.get("models")
    if isinstance(models, Map):
        ports.begin_at(tree.get("startPort"))
        tree = tree.put("models", _Models(everywhere, ports, written, problems).resolved(models))
    return tree


class _Models:
    """Resolves one model after the other."""

    def __init__(
        self, everywhere: Sequence[Macro], ports: Ports, written: Map, problems: Problems
    ) -> None:
        self._everywhere = everywhere
        self._written = written
        self._problems = problems
        self._ports = ports

    def resolved(self, models: Map) -> Map:
        """Return ``models`` with nothing left to put in."""
        for name in sorted(models.entries, key=str.encode):
            model = models.entries[name].value
            if isinstance(model, Map):
                models = models.put(name, self._resolved(name, model))
        return models

    def _resolved(self, name: str, model: Map) -> Map:
        path = ("models", name)
        macros = in_scope(self._everywhere, declared(model, path, self._problems), name)
        model = _with_default_proxy(_without_comments(model.without("macros")))
        model = self._expanded(model, macros, path)
        command = model.get("cmd")
        explained = dict(_NO_PID)
        if "PORT" in used(command) or not _is_settled(command):  # a broken cmd is told of already
            place = place_of(model, ("cmd",))
            port = Macro(
                "PORT", self._ports.take(ModelId(name), place, (*path, "cmd"), self._problems)
            )
            model = self._expanded(model, [port], path)
            macros = (*macros, port)
        else:
            explained |= _WITHOUT_PORT
        self._report_leftovers(model, macros, explained, path)
        return model

    def _expanded(self, model: Map, macros: Sequence[Macro], path: KeyPath) -> Map:
        expanded = expand(model, macros)
        assert isinstance(expanded, Map)
        return self._with_expanded_keys(expanded, macros, path)

    def _with_expanded_keys(self, model: Map, macros: Sequence[Macro], path: KeyPath) -> Map:
        """Put ``macros`` into the keys of setParamsByID too, which are names that clients use."""
        section = find(model, _KEYS_EXPANDED)
        if not isinstance(section, Map):
            return model
        entries: dict[str, Entry] = {}
        for name, entry in section.entries.items():
            key = expand(replace(entry.key, value=name), macros)
            assert isinstance(key, Scalar)
            filled = text_of(key.value)
            if filled in entries:
                where = (*path, *_KEYS_EXPANDED, filled)
                message = f"this key is set twice, first in {entries[filled].key.place}"
                self._problems.add(entry.key.place, where, message)
                continue
            entries[filled] = replace(entry, key=replace(entry.key, value=filled))
        return put(model, _KEYS_EXPANDED, replace(section, entries=entries))

    def _report_leftovers(
        self, model: Map, macros: Sequence[Macro], explained: Mapping[str, str], path: KeyPath
    ) -> None:
        def leftovers(more: Mapping[str, str]) -> Leftovers:
            return Leftovers(macros, {**explained, **more}, self._written, self._problems)

        for key, entry in model.entries.items():
            node = entry.value
            if is_private(key):
                continue
            if key == "cmdStop":  # the one macro that waits until the process is known
                node = expand(node, [Macro("PID", 0)])
            more = _NO_PROXY if key == "proxy" and "PORT" in explained else {}
            leftovers(more).report(node, (*path, key))
        section = find(model, _KEYS_EXPANDED)
        for name, entry in section.entries.items() if isinstance(section, Map) else ():
            leftovers({}).report_one(entry.key, (*path, *_KEYS_EXPANDED, name), None)


def _without_comments(model: Map) -> Map:
    """Take the comments out of commands before they can be taken for uses of macros."""
    for key in COMMANDS:
        found = model.get(key)
        if isinstance(found, Scalar) and isinstance(found.value, str):
            model = model.put(key, replace(found, value=without_comments(found.value)))
    return model


def _with_default_proxy(model: Map) -> Map:
    given = model.get("proxy")
    if given is None or is_null(given):
        return model.put("proxy", Scalar(DEFAULT_PROXY, given.place if given else model.place))
    return model


def _is_settled(command: Node | None) -> bool:
    return isinstance(command, Scalar) and command.value not in (None, "") and not used(command)
