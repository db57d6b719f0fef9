"""Reads YAML text into a tree whose values know their places.  Says nothing of meaning."""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from swapd.config.composer import COLLECTIONS, MAX_DEPTH, PLAIN, STR, Composer
from swapd.config.environment import has_uses, shielded, unshielded
from swapd.config.problems import Problems
from swapd.config.scalars import text_of, typed
from swapd.config.tree import Entry, KeyPath, List, Map, Node, Place, Scalar, ScalarValue

#: More values than any configuration has: an alias of aliases that multiplies without end.
_MAX_NODES = 100_000

_SURROGATE = re.compile("[\ud800-\udfff]")
_KINDS: dict[str, tuple[type, ...]] = {
    "tag:yaml.org,2002:int": (int,),
    "tag:yaml.org,2002:float": (float, int),
    "tag:yaml.org,2002:bool": (bool,),
    "tag:yaml.org,2002:null": (type(None),),
}


def read_document(text: str, file: str, problems: Problems) -> Map:
    """Return the mapping that ``text`` holds; an empty text is an empty mapping.

    Only the first document counts.  Problems (syntax, duplicate keys, unknown tags, a top
    level that is no mapping) go to ``problems``; what could be read is returned anyway.
    """
    empty = Map({}, Place(file, 1, 1))
    try:
        loader = Composer(shielded(text.lstrip("\ufeff")))
        root = loader.get_node() if loader.check_node() else None
        more = root is not None and _goes_on(loader)
        builder = _Builder(file, loader.anchors_at, problems)
        tree = builder.build(root, ()) if root is not None else None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        message = unshielded(_words_of_error(error))
        problems.add(_place_of_error(error, text, file), (), message)
        return empty
    if more:
        problems.warn(Place(file), (), "only the first of several YAML documents is read")
    return _as_mapping(tree, empty, problems)


def _goes_on(loader: Composer) -> bool:
    """Say whether anything follows the document that was read, be it YAML or not."""
    try:
        return loader.check_node()
    except yaml.YAMLError:
        return True


def _as_mapping(tree: Node | None, empty: Map, problems: Problems) -> Map:
    if isinstance(tree, Map):
        return tree
    if tree is not None and not (isinstance(tree, Scalar) and tree.value is None):
        problems.add(tree.place, (), "the configuration must be a mapping of keys to values")
    return empty


class _Builder:
    """Turns PyYAML's nodes into ours: aliases written out, merge keys merged."""

    def __init__(self, file: str, anchors_at: list[int], problems: Problems) -> None:
        self._file = file
        self._anchors_at = anchors_at
        self._problems = problems
        self._open: list[yaml.Node] = []
        self._count = 0

    def build(self, node: yaml.Node, path: KeyPath) -> Node | None:
        """Return our node for PyYAML's, or None for one that is refused."""
        self._count += 1
        place = self._place(node)
        if self._count > _MAX_NODES or len(self._open) > MAX_DEPTH:
            message = "the document contains excessive aliasing"
            raise yaml.composer.ComposerError(None, None, message, node.start_mark)
        if any(node is outer for outer in self._open):
            self._refuse(place, path, "an alias may not stand inside its own anchor")
            return None
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if node.tag not in COLLECTIONS:
            self._refuse(place, path, f"the tag {node.tag} is not supported")
            return None
        self._open.append(node)
        try:
            return self._collection(node, place, path)
        finally:
            self._open.pop()

    def _collection(self, node: yaml.Node, place: Place, path: KeyPath) -> Node:
        if isinstance(node, yaml.MappingNode):
            homes = self._anchor_homes(node) if not path else frozenset()
            return Map(self._entries(node, path), place, homes)
        items = (self.build(item, (*path, index)) for index, item in enumerate(node.value))
        return List(tuple(item or Scalar(None, place) for item in items), place)

    def _entries(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        merged: list[yaml.Node] = []
        for key_node, value_node in node.value:
            if _is_merge(key_node):
                merged.append(value_node)
                continue
            key = self._key(key_node, path)
            if key is None:
                continue
            name = text_of(key.value)
            if name in entries:
                first = entries[name].key.place
                message = f"this key is set twice, first in line {first.line}"
                self._problems.add(key.place, (*path, name), message)
                continue
            value = self.build(value_node, (*path, name)) or Scalar(None, key.place)
            entries[name] = Entry(key, value)
        for inherited in self._inherited(merged, path):
            entries = {**inherited, **entries}
        return entries

    def _inherited(self, nodes: list[yaml.Node], path: KeyPath) -> Iterator[dict[str, Entry]]:
        """Yield what each mapping under ``<<`` gives, the strongest first."""
        for node in nodes:
            sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
            for source in sources:
                tree = self.build(source, path)
                if isinstance(tree, Map):
                    yield dict(tree.entries)
                elif tree is not None:
                    message = "<< needs a mapping, or a list of mappings"
                    self._problems.add(self._place(node), (*path, "<<"), message)

    def _key(self, node: yaml.Node, path: KeyPath) -> Scalar | None:
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        self._refuse(self._place(node), path, "a key must be a single value")
        return None

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Scalar | None:
        place = self._place(node)
        text = _characters(unshielded(node.value))
        if text is None:
            self._refuse(place, path, "half of a surrogate pair is no character")
            return None
        if node.tag not in (PLAIN, STR, *_KINDS):
            self._refuse(place, path, f"the tag {node.tag} is not supported")
            return None
        value: ScalarValue = text if node.tag == STR else typed(text)
        later = has_uses(text)  # its type shows when the environment is known
        if node.tag in _KINDS and type(value) not in _KINDS[node.tag] and not later:
            self._refuse(place, path, f"this is no {node.tag.rpartition(':')[2]}")
            return None
        return Scalar(value, place, literal=node.style == "|", plain=node.tag != STR)

    def _refuse(self, place: Place, path: KeyPath, message: str) -> None:
        self._problems.add(place, path, message)

    def _anchor_homes(self, root: yaml.MappingNode) -> frozenset[str]:
        """Return the keys of ``root`` under which anchors are defined."""
        starts = [key.start_mark.index for key, _ in root.value]
        ends = [*starts, root.end_mark.index][1:]
        return frozenset(
            str(key.value)
            for (key, _), start, end in zip(root.value, starts, ends, strict=True)
            if any(start < at < end for at in self._anchors_at)
        )

    def _place(self, node: yaml.Node) -> Place:
        return Place(self._file, node.start_mark.line + 1, node.start_mark.column + 1)


def _characters(text: str) -> str | None:
    """Return ``text`` with the surrogate pairs of JSON's escapes made characters, if they are."""
    if not _SURROGATE.search(text):
        return text
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        return None


def _is_merge(key: yaml.Node) -> bool:
    return isinstance(key, yaml.ScalarNode) and key.tag == PLAIN and key.value == "<<"


def _place_of_error(error: Exception, text: str, file: str) -> Place:
    if isinstance(error, yaml.reader.ReaderError):
        before = text[: error.position]
        return Place(file, before.count("\n") + 1, error.position - before.rfind("\n"))
    mark = getattr(error, "problem_mark", None)
    return Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)


def _words_of_error(error: Exception) -> str:
    if not isinstance(error, yaml.YAMLError):  # a number that PyYAML did not expect so large
        return f"no YAML: {error}"
    if isinstance(error, yaml.reader.ReaderError):
        return f"the character U+{error.character:04X} is not allowed in YAML"
    problem = getattr(error, "problem", None) or str(error)
    context = getattr(error, "context", None)
    return f"{context}: {problem}" if context else str(problem)
