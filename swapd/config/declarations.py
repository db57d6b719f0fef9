"""Reads the declarations of macros: their names, their values, and which hide which."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from swapd.config.macros import Macro
from swapd.config.problems import Problems
from swapd.config.scalars import Timestamp, settled
from swapd.config.tree import KeyPath, List, Map, Node, Scalar, is_null

#: What swapd itself puts in.
RESERVED = ("MODEL_ID", "PORT", "PID")
_LONGEST_NAME = 63
_NAME = re.compile(r"[a-zA-Z0-9_-]+")


def declared(section: Map, path: KeyPath, problems: Problems) -> tuple[Macro, ...]:
    """Return the macros that ``section``, which stands at ``path``, declares, in their order.

    One that is wrong is reported and kept without a value, so that its uses are not unknown.
    """
    macros = section.get("macros")
    path = (*path, "macros")
    if macros is None or is_null(macros):
        return ()
    if not isinstance(macros, Map):
        problems.add(macros.place, path, "must be a mapping of names to values")
        return ()
    return tuple(_macros(macros, path, problems))


def in_scope(everywhere: Sequence[Macro], own: Sequence[Macro], model: str) -> tuple[Macro, ...]:
    """Return the macros of one model: a global one of the same name makes room in its place."""
    by_name = {macro.name: macro for macro in own}
    shared = [by_name.pop(macro.name, macro) for macro in everywhere]
    return (Macro("MODEL_ID", model), *shared, *by_name.values())


def _macros(macros: Map, path: KeyPath, problems: Problems) -> Iterator[Macro]:
    for name, entry in macros.entries.items():
        node = entry.value
        wrong = _wrong_name(name) or _wrong_value(name, node)
        if wrong:
            place = entry.key.place if _wrong_name(name) else node.place
            problems.add(place, (*path, name), wrong)
        value = node.value if isinstance(node, Scalar) and not wrong else None
        yield Macro(name, value, node.place)


def _wrong_name(name: str) -> str | None:
    if len(name.encode()) > _LONGEST_NAME:
        return f"the name of a macro has at most {_LONGEST_NAME} characters"
    if not _NAME.fullmatch(name):
        return "the name of a macro consists of a-z, A-Z, 0-9, _ and -"
    if name in RESERVED:
        return "this name is reserved, swapd itself gives the value"
    return None


def _wrong_value(name: str, node: Node) -> str | None:
    if isinstance(node, Scalar) and isinstance(node.value, str) and f"${{{name}}}" in node.value:
        return "the macro uses itself"
    if not _is_value(node):
        return f"a macro is a text, a number, true or false, not {_kind(node)}"
    return None


def _is_value(node: Node) -> bool:
    if not isinstance(node, Scalar):
        return False
    value = settled(node.value)
    return value is not None and not isinstance(value, Timestamp)


def _kind(node: Node) -> str:
    match node:
        case List():
            return "a list"
        case Map():
            return "a mapping"
        case Scalar(None):
            return "empty"
        case _:
            return "a date; put it in quotes"
