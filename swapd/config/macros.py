"""Puts the values of macros into a tree.  Text is never parsed again: a value stays a value.

A macro may use those declared before it.  Each is put in exactly once, the last declared
first, so that no value can run away; what remains afterwards is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from swapd.config.commands import COMMANDS, comments_blanked
from swapd.config.problems import Problems, did_you_mean
from swapd.config.scalars import text_of
from swapd.config.tree import (
    Entry,
    KeyPath,
    List,
    Map,
    Node,
    Place,
    Scalar,
    ScalarValue,
    find,
    scalars,
)

_USE = re.compile(r"\$\{([a-zA-Z0-9_-]+)\}")
#: Longer is no value of a configuration: macros that multiply each other.
_LONGEST = 1_000_000


@dataclass(frozen=True, slots=True)
class Macro:
    """``${name}`` stands for ``value``, which None says to be broken; ``place`` is the value's."""

    name: str
    value: ScalarValue
    place: Place | None = None

    @property
    def use(self) -> str:
        """How the macro is written where it is used."""
        return f"${{{self.name}}}"


def expand(node: Node, macros: Sequence[Macro]) -> Node:
    """Return ``node`` with ``macros``, in the order of their declaration, put into its values.

    A value that is nothing but one macro takes that macro's type and place; keys stay as they
    are.  What would grow beyond all measure is left as it is.
    """
    match node:
        case Scalar(str() as text) if "${" in text:
            return _expanded(node, macros)
        case Scalar():
            return node
        case List(items):
            return replace(node, items=tuple(expand(item, macros) for item in items))
        case Map(entries):
            expanded = {
                key: Entry(entry.key, expand(entry.value, macros)) for key, entry in entries.items()
            }
            return replace(node, entries=expanded)


def used(node: Node | None) -> set[str]:
    """Return the names of the macros that the text ``node`` uses."""
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        return set()
    return set(_USE.findall(node.value))


class Leftovers:
    """Reports the macros that are left where all that are known have been put in."""

    def __init__(
        self,
        macros: Sequence[Macro],
        explained: Mapping[str, str],
        written: Node,
        problems: Problems,
    ) -> None:
        """Know what is known here.

        Args:
            macros: Those that were put in.
            explained: What to say of swapd's own macros, by their names.
            written: The whole configuration before any macro was put in.
            problems: Receives what is found.
        """
        self._macros = {macro.name: macro for macro in macros}
        self._explained = explained
        self._written = written
        self._problems = problems

    def report(self, node: Node, path: KeyPath) -> None:
        """Report each value of ``node``, which stands at ``path``, that uses a macro."""
        for where, scalar in scalars(node, path):
            self.report_one(scalar, where, find(self._written, where))

    def report_one(self, scalar: Scalar, path: KeyPath, written: Node | None) -> None:
        """Report the macros that ``scalar`` uses, where the text that uses them was ``written``."""
        names = sorted(used(scalar))
        places: dict[str, Place] = {}
        for name in names:
            message = self._message(name)
            if message:
                origin = self._origin(name, used(written))
                places[message] = origin or _place_of_use(name, scalar, path, written)
        self._problems.add_all(path, places)
        if names:
            self._problems.excuse(scalar.place, path)

    def _message(self, name: str) -> str | None:
        """Return what to say of a use of ``name``, None if its declaration is told of already."""
        known = self._macros.get(name)
        if known and known.value is None:
            return None
        if known:
            rule = "declare it above the macros that use it, and keep the whole short"
            return f"the macro {known.use} cannot be put in: {rule}"
        if name in self._explained:
            return self._explained[name]
        return f"unknown macro ${{{name}}}{did_you_mean(name, [*self._macros, *self._explained])}"

    def _origin(self, name: str, names: set[str]) -> Place | None:
        """Return where the macro stands that brought ``name`` into a text that used ``names``."""
        to_see = [] if name in names else sorted(names)
        seen = set(to_see)
        while to_see:
            macro = self._macros.get(to_see.pop())
            inner = set(_USE.findall(text_of(macro.value))) if macro else set()
            if macro and name in inner:
                return macro.place
            to_see += sorted(inner - seen)
            seen |= inner
        return None


def _place_of_use(name: str, scalar: Scalar, path: KeyPath, written: Node | None) -> Place:
    """Return where ``scalar``, as it was ``written`` at ``path``, uses the macro ``name``."""
    if not isinstance(written, Scalar) or written.place != scalar.place:
        return scalar.place
    text = text_of(written.value)
    if path[-1] in COMMANDS:
        text = comments_blanked(text)
    before, use, _ = text.partition(f"${{{name}}}")
    return written.place_of_line(before.count("\n")) if use else scalar.place


def _expanded(scalar: Scalar, macros: Sequence[Macro]) -> Scalar:
    for macro in reversed(macros):
        text = scalar.value
        if macro.value is None or not isinstance(text, str) or macro.use not in text:
            continue
        if text == macro.use:
            scalar = Scalar(macro.value, macro.place or scalar.place)
        else:
            scalar = replace(scalar, value=_interpolated(text, macro), plain=False)
    return scalar


def _interpolated(text: str, macro: Macro) -> str:
    value = text_of(macro.value)
    length = len(text) + text.count(macro.use) * (len(value) - len(macro.use))
    return text if length > _LONGEST else str(text).replace(macro.use, value)
