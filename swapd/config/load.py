"""Loads a configuration: the passes in their order, from files to a frozen Config."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from pathlib import Path

from swapd.config.document import read_document
from swapd.config.keys import NOT_YET_AT_TOP
from swapd.config.ports import resolve_macros
from swapd.config.problems import Problems, quoted
from swapd.config.resolve import resolve
from swapd.config.scalars import text_of
from swapd.config.schema import Config, Settings
from swapd.config.tree import Map
from swapd.config.validation import read_settings
from swapd.errors import InvalidConfig


def load(paths: Sequence[Path]) -> Config:
    """Read a configuration from its files.

    Raises:
        InvalidConfig: It has problems, and names them all.
    """
    if not paths:
        raise InvalidConfig(["no configuration file is given"])
    if len(paths) > 1:
        message = "several configuration files are not supported yet"
        raise InvalidConfig([f"{path}: {message}" for path in paths[1:]])
    return parse(_text(paths[0]), str(paths[0]))


def parse(text: str, name: str) -> Config:
    """Read a configuration from ``text``, calling it ``name`` where it has problems.

    Raises:
        InvalidConfig: It has problems, and names them all.
    """
    problems = Problems()
    tree = read_document(text, name, problems)
    _report_odd_ids(tree, problems)
    tree = resolve_macros(_without_anchor_homes(tree), problems)
    settings, tree = read_settings(tree, problems)
    config = resolve(settings, tree, problems)
    problems.raise_if_any()
    return config


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return content.decode("utf-16")
        return content.decode("utf-8-sig")
    except OSError as error:
        raise InvalidConfig([f"{path}: {error.strerror or error}"]) from error
    except UnicodeDecodeError as error:
        message = f"byte {error.start} is not {error.encoding.upper()} text"
        raise InvalidConfig([f"{path}: {message}"]) from error


def _report_odd_ids(tree: Map, problems: Problems) -> None:
    """Report model IDs that YAML does not read as text: nobody could say what they are."""
    models = tree.get("models")
    for name, entry in models.entries.items() if isinstance(models, Map) else ():
        if not isinstance(entry.key.value, str):
            message = f"a model ID must be text: write {quoted(text_of(entry.key.value))}"
            problems.add(entry.key.place, ("models", name), message)


def _without_anchor_homes(tree: Map) -> Map:
    """Drop the top-level keys that exist only to define anchors."""
    for key in tree.anchor_homes - {*Settings.known_keys(), *NOT_YET_AT_TOP}:
        tree = tree.without(key)
    return tree
