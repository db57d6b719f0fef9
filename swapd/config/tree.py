"""A configuration as a tree of values that know where they were written.  No YAML, no meaning.

Every pass of the loader takes a tree and gives a new one; the places travel along, so that a
problem found in the last pass still points at the text that caused it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

ScalarValue: TypeAlias = str | int | float | bool | None
Plain: TypeAlias = "ScalarValue | list[Plain] | dict[str, Plain]"

#: The way from the root to a node: keys of mappings, indices of lists.
KeyPath: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something was written; line and column count from 1, line 0 is the whole file."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value as it was written.

    ``literal`` says that it is a ``|`` block, whose text begins a line below; ``plain`` that it
    is neither a block nor quoted.
    """

    value: ScalarValue
    place: Place
    literal: bool = False
    plain: bool = False

    def place_of_line(self, line: int) -> Place:
        """Say where line ``line`` (from 0) of this text stands, or where the text begins."""
        if not self.literal:
            return self.place
        return replace(self.place, line=self.place.line + 1 + line, column=1)


@dataclass(frozen=True, slots=True)
class List:
    """A list, in its order."""

    items: tuple[Node, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Map:
    """A mapping in the order of the file.

    ``anchor_homes`` are the keys under which YAML anchors are defined; only a root knows them.
    """

    entries: Mapping[str, Entry]
    place: Place
    anchor_homes: frozenset[str] = frozenset()

    def get(self, key: str) -> Node | None:
        """Return the value of ``key``, or None when the key is not there."""
        entry = self.entries.get(key)
        return entry.value if entry else None

    def put(self, key: str, value: Node) -> Map:
        """Return this mapping with ``key`` set; a new key stands where the mapping stands."""
        old = self.entries.get(key)
        entry = replace(old, value=value) if old else Entry(Scalar(key, self.place), value)
        return replace(self, entries={**self.entries, key: entry})

    def without(self, key: str) -> Map:
        """Return this mapping without ``key``."""
        return replace(self, entries={k: e for k, e in self.entries.items() if k != key})


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a mapping with its value."""

    key: Scalar
    value: Node


Node: TypeAlias = Scalar | List | Map


def plain(node: Node) -> Plain:
    """Return ``node`` as Python's own lists, dictionaries and values."""
    match node:
        case Scalar(value):
            return value
        case List(items):
            return [plain(item) for item in items]
        case Map(entries):
            return {key: plain(entry.value) for key, entry in entries.items()}


def scalars(node: Node, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Scalar]]:
    """Yield every value below ``node`` with the way to it, keys not included."""
    match node:
        case Scalar():
            yield path, node
        case List(items):
            for index, item in enumerate(items):
                yield from scalars(item, (*path, index))
        case Map(entries):
            for key, entry in entries.items():
                yield from scalars(entry.value, (*path, key))


def find(node: Node, path: KeyPath) -> Node | None:
    """Return what stands at the end of ``path``, or None."""
    found: Node | None = node
    for part in path:
        match found:
            case Map() if isinstance(part, str):
                found = found.get(part)
            case List(items) if isinstance(part, int) and part < len(items):
                found = items[part]
            case _:
                return None
    return found


def place_of(root: Node, path: KeyPath) -> Place:
    """Return where ``path`` was written; for what is absent, the key it would stand under."""
    place = root.place
    for end in range(1, len(path) + 1):
        found = find(root, path[:end])
        if found is None:
            break
        place = found.place
        if end < len(path) and find(root, path[: end + 1]) is None:
            place = key_place(root, path[:end])
    return place


def key_place(root: Node, path: KeyPath) -> Place:
    """Return where the key at the end of ``path`` was written."""
    above = find(root, path[:-1])
    last = path[-1] if path else None
    if isinstance(above, Map) and isinstance(last, str) and last in above.entries:
        return above.entries[last].key.place
    return place_of(root, path)


def is_null(node: Node | None) -> bool:
    """Say whether ``node`` is there, and says nothing."""
    return isinstance(node, Scalar) and node.value is None


def put(root: Map, path: KeyPath, value: Node) -> Map:
    """Return ``root`` with ``value`` in the place of what stands at ``path``."""
    changed = _changed(root, path, value)
    return changed if isinstance(changed, Map) else root


def mend(root: Map, path: KeyPath) -> Map:
    """Return ``root`` with the bad value at ``path`` made null, or a bad null removed.

    A null means "the default", so what is mended can be read on.  A list keeps the number of
    its items, so that the places of the others stay right, or goes as a whole.
    """
    while path and find(root, path) is None:
        path = path[:-1]
    if not path:  # it went with something above it
        return root
    bad_null = is_null(find(root, path))
    if bad_null and isinstance(find(root, path[:-1]), List):
        return mend(root, path[:-1])
    value = None if bad_null else Scalar(None, place_of(root, path))
    changed = _changed(root, path, value)
    return changed if isinstance(changed, Map) else root


def _changed(node: Node, path: KeyPath, value: Node | None) -> Node | None:
    """Return ``node`` with ``value`` at ``path``, or without what stands there."""
    if not path:
        return value
    head, rest = path[0], path[1:]
    match node:
        case Map() if isinstance(head, str) and (inner := node.get(head)) is not None:
            changed = _changed(inner, rest, value)
            return node.put(head, changed) if changed else node.without(head)
        case List(items) if isinstance(head, int) and head < len(items):
            changed = _changed(items[head], rest, value)
            kept = (changed,) if changed else ()
            return replace(node, items=(*items[:head], *kept, *items[head + 1 :]))
    return node
