"""Puts the values of macros into a tree.  Text is never parsed again: a value stays a value.

A macro may use those declared before it.  Each is put in exactly once, the last declared
first, so that no value can run away; what remains afterwards is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from swapd.config.problems import Problems, did_you_mean
from swapd.config.scalars import text_of
from swapd.config.tree import Entry, KeyPath, List, Map, Node, Scalar, ScalarValue, scalars

_USE = re.compile(r"\$\{([a-zA-Z0-9_-]+)\}")


@dataclass(frozen=True, slots=True)
class Macro:
    """``${name}`` stands for ``value``."""

    name: str
    value: ScalarValue

    @property
    def use(self) -> str:
        """How the macro is written where it is used."""
        return f"${{{self.name}}}"


def expand(node: Node, macros: Sequence[Macro]) -> Node:
    """Return ``node`` with ``macros``, in the order of their declaration, put into its values.

    A value that is nothing but one macro takes that macro's type; keys stay as they are.
    """
    for macro in reversed(macros):
        node = _put_in(node, macro)
    return node


def used(node: Node | None) -> set[str]:
    """Return the names of the macros that the text ``node`` uses."""
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        return set()
    return set(_USE.findall(node.value))


def report_leftovers(node: Node, path: KeyPath, known: Collection[str], problems: Problems) -> None:
    """Report each value below ``node`` in which a macro is left that nothing explains.

    Args:
        node: A tree in which all known macros have been put in.
        path: Where ``node`` stands.
        known: The macros that are known here, to guess at what was meant.
        problems: Receives what is found.
    """
    for where, scalar in scalars(node, path):
        for name in sorted(used(scalar)):
            message = f"unknown macro ${{{name}}}{did_you_mean(name, known)}"
            problems.add(scalar.place, where, message)


def _put_in(node: Node, macro: Macro) -> Node:
    match node:
        case Scalar(str() as text) if macro.use in text:
            if text == macro.use:
                return replace(node, value=macro.value)
            return replace(node, value=text.replace(macro.use, text_of(macro.value)))
        case Scalar():
            return node
        case List(items):
            return replace(node, items=tuple(_put_in(item, macro) for item in items))
        case Map(entries):
            return replace(node, entries=dict(_entries(entries.items(), macro)))


def _entries(entries: Collection[tuple[str, Entry]], macro: Macro) -> Iterator[tuple[str, Entry]]:
    for key, entry in entries:
        yield key, replace(entry, value=_put_in(entry.value, macro))
