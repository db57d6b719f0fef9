"""Makes one tree of those of several files.  What two files say differently is a problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

from swapd.config.problems import Problems
from swapd.config.tree import Entry, KeyPath, List, Map, Node, Scalar, is_null

#: Mappings whose keys are names: each name is defined in one file, as a whole.
_NAMES: frozenset[KeyPath] = frozenset(
    {
        ("models",),
        ("groups",),
        ("profiles",),
        ("selectors",),
        ("peers",),
        ("matrix",),
        ("routing", "router", "settings", "groups"),
        ("routing", "router", "settings", "matrix"),
    }
)
_KINDS = {Scalar: "a single value", List: "a list", Map: "a mapping"}


def merged(trees: Sequence[Map], problems: Problems) -> Map:
    """Return what ``trees`` say together.

    Mappings are united, lists follow each other, and what is empty yields to what is not.
    The same name or a different value in two files goes to ``problems``; the first one stays.
    """
    return reduce(lambda first, second: _united(first, second, (), problems), trees)


def _united(first: Map, second: Map, path: KeyPath, problems: Problems) -> Map:
    entries = dict(first.entries)
    for key, entry in second.entries.items():
        old = entries.get(key)
        inner = (*path, key)
        if old is None:
            entries[key] = entry
        elif path in _NAMES:
            place = old.key.place
            problems.add(entry.key.place, inner, f"is defined twice, first in {place}")
        else:
            entries[key] = _both(old, entry, inner, problems)
    return replace(first, entries=entries)


def _both(first: Entry, second: Entry, path: KeyPath, problems: Problems) -> Entry:
    if is_null(second.value):
        return first
    if is_null(first.value):
        return second
    return replace(first, value=_joined(first.value, second.value, path, problems))


def _joined(first: Node, second: Node, path: KeyPath, problems: Problems) -> Node:
    match first, second:
        case Map(), Map():
            return _united(first, second, path, problems)
        case List(), List():
            return replace(first, items=(*first.items, *second.items))
        case Scalar(), Scalar():
            if not _same(first, second):
                problems.add(second.place, path, f"has another value in {first.place}")
        case _:
            ours, theirs = _KINDS[type(second)], _KINDS[type(first)]
            message = f"is {ours} here and {theirs} in {first.place}"
            problems.add(second.place, path, message)
    return first


def _same(first: Scalar, second: Scalar) -> bool:
    """Say whether both are the same value of the same type; ``1`` is neither true nor 1.0."""
    if isinstance(first.value, str) and isinstance(second.value, str):
        return first.value == second.value
    return (type(first.value), first.value) == (type(second.value), second.value)
