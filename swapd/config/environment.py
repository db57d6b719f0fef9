"""Puts environment variables into a tree.  What they hold is data: it never becomes structure.

Rule 1: a variable is put into a value or key that is parsed already, never into YAML text.
Rule 2: where nothing is quoted and nothing else stands, YAML's rules type what comes; where
there are quotes, or other text that would not survive it, the result is text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from swapd.config.commands import COMMANDS, comments_blanked, outside_comments
from swapd.config.problems import Problems
from swapd.config.scalars import Unquoted, text_of, typed
from swapd.config.tree import Entry, KeyPath, List, Map, Node, Place, Scalar, ScalarValue

_NAME = r"env\.([a-zA-Z_][a-zA-Z0-9_]*)"
_USE = re.compile(rf"\$\{{{_NAME}\}}")
#: What stands for ``${`` and ``}`` while YAML is parsed, as long as they are, so that each
#: place stays right: braces would begin a mapping in ``[${env.KEY}]``.
_SHIELD = ("\ue000\ue001", "\ue002")
_SHIELDED = re.compile(f"{_SHIELD[0]}{_NAME}{_SHIELD[1]}")
_UNFIT = re.compile("[\n\r\0\x85\u2028\u2029\ud800-\udfff]")


def shielded(text: str) -> str:
    """Return YAML ``text`` whose uses of the environment are plain words to any parser."""
    return _USE.sub(rf"{_SHIELD[0]}env.\1{_SHIELD[1]}", text)


def unshielded(text: str) -> str:
    """Return ``text`` as it was before it was shielded."""
    return _SHIELDED.sub(r"${env.\1}", text)


def has_uses(text: str) -> bool:
    """Say whether the environment is used in ``text``."""
    return bool(_USE.search(text))


def with_environment(tree: Map, environ: Mapping[str, str], problems: Problems) -> Map:
    """Return ``tree`` with every ``${env.NAME}`` replaced, in values and in keys.

    A variable that is not set, or that holds a line break, is told to ``problems``.
    """
    filled = _Environment(environ, problems).fill(tree, ())
    assert isinstance(filled, Map)
    return filled


class _Environment:
    """The variables, and who wants to know of those that cannot be used."""

    def __init__(self, environ: Mapping[str, str], problems: Problems) -> None:
        self._environ = environ
        self._problems = problems

    def fill(self, node: Node, path: KeyPath) -> Node:
        """Return ``node``, which stands at ``path``, with every variable filled in."""
        match node:
            case Scalar(str() as text) if _USE.search(text):
                return replace(node, value=self._value(node, text, path))
            case Scalar():
                return node
            case List(items):
                filled = (self.fill(item, (*path, index)) for index, item in enumerate(items))
                return replace(node, items=tuple(filled))
            case Map():
                return replace(node, entries=self._entries(node, path))

    def _entries(self, node: Map, path: KeyPath) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        for name, entry in node.entries.items():
            key = self._key(entry.key, (*path, name))
            filled = text_of(key.value)
            if filled in entries:
                first = entries[filled].key.place
                message = f"this key is set twice, first in line {first.line}"
                self._problems.add(key.place, (*path, filled), message)
                continue
            entries[filled] = Entry(key, self.fill(entry.value, (*path, filled)))
        return entries

    def _key(self, key: Scalar, path: KeyPath) -> Scalar:
        if not isinstance(key.value, str):
            return key
        self._report(key, key.value, path)
        return replace(key, value=self._text(key.value))

    def _value(self, node: Scalar, text: str, path: KeyPath) -> ScalarValue:
        if len(path) == 3 and path[0] == "models" and path[2] in COMMANDS:
            self._report(node, comments_blanked(text), path)
            return outside_comments(text, self._text)
        self._report(node, text, path)
        filled = self._text(text)
        if not node.plain:
            return filled
        return _typed_later(filled, alone=bool(_USE.fullmatch(text)))

    def _text(self, text: str) -> str:
        """Return ``text`` with each variable in it that can be used."""

        def value_of(use: re.Match[str]) -> str:
            return use[0] if self._objection(use[1]) else self._environ[use[1]]

        return _USE.sub(value_of, text)

    def _objection(self, name: str) -> str | None:
        """Return why the variable ``name`` cannot be used, None if it can."""
        value = self._environ.get(name)
        if value is None:
            return f"the environment variable {name} is not set"
        if _UNFIT.search(value):
            return f"the environment variable {name} holds newlines or is no text"
        return None

    def _report(self, node: Scalar, text: str, path: KeyPath) -> None:
        """Report each variable that cannot be used in the ``text`` of ``node``."""
        places: dict[str, Place] = {}
        for use in _USE.finditer(text):
            objection = self._objection(use[1])
            if objection:
                line = text.count("\n", 0, use.start())
                places.setdefault(objection, node.place_of_line(line))
            else:
                self._warn_of_nesting(node, use[1], path)
        self._problems.add_all(path, places)

    def _warn_of_nesting(self, node: Scalar, name: str, path: KeyPath) -> None:
        if has_uses(self._environ[name]):
            message = f"the environment variable {name} uses another one, which stays as it is"
            self._problems.warn(node.place, path, message)


def _typed_later(text: str, *, alone: bool) -> ScalarValue:
    """Return plain ``text``, typed by where it lands; unless it is no more than a part of it."""
    value = typed(text)
    if not text or (alone and value is None):
        return None
    return Unquoted(text) if alone or text_of(value) == text else text
