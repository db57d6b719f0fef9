"""Loads a configuration: the passes in their order, from files to a frozen Config."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from swapd.config.document import read_document
from swapd.config.environment import with_environment
from swapd.config.expansion import resolve_macros
from swapd.config.merge import merged
from swapd.config.ports import Ports
from swapd.config.problems import Problems, did_you_mean, quoted
from swapd.config.reporting import Reporter
from swapd.config.resolve import resolve
from swapd.config.scalars import text_of
from swapd.config.schema import Config, Settings
from swapd.config.section import is_private
from swapd.config.sources import read_sources
from swapd.config.tree import Map, is_null
from swapd.config.validation import read_settings
from swapd.ids import ModelId

#: What is so like a known key is a slip of the fingers; ``defaults`` or ``common`` is no slip.
_SLIP = 0.8


def load(
    paths: Sequence[Path],
    directory: Path | None = None,
    *,
    lenient: bool = False,
    environ: Mapping[str, str] | None = None,
    ports: Mapping[ModelId, int] | None = None,
) -> Config:
    """Read a configuration from its files.

    Args:
        paths: Files, in the order in which they count.
        directory: Its ``*.yaml`` and ``*.yml`` follow them, sorted by name.
        lenient: Unknown keys are warnings, not problems.
        environ: What ``${env.NAME}`` stands for; by default the environment of this process.
        ports: What ``${PORT}`` stands for in models that have a port already; no other gets it.

    Raises:
        InvalidConfig: It has problems, and names them all.
    """
    problems = Problems(lenient=lenient)
    sources = read_sources(paths, directory, problems)
    problems.raise_if_any()
    documents = [read_document(source.text, source.name, problems) for source in sources]
    environ = os.environ if environ is None else environ
    return assemble(documents, environ, problems, Ports(ports or {}))


def parse(
    text: str,
    name: str,
    *,
    lenient: bool = False,
    environ: Mapping[str, str] | None = None,
    ports: Mapping[ModelId, int] | None = None,
) -> Config:
    """Read a configuration from ``text``, calling it ``name`` where it has problems.

    Raises:
        InvalidConfig: It has problems, and names them all.
    """
    problems = Problems(lenient=lenient)
    document = read_document(text, name, problems)
    environ = os.environ if environ is None else environ
    return assemble([document], environ, problems, Ports(ports or {}))


def assemble(
    documents: Sequence[Map], environ: Mapping[str, str], problems: Problems, ports: Ports
) -> Config:
    """Return what ``documents`` come to together, telling ``problems`` all that is wrong.

    Raises:
        InvalidConfig: There are problems, of these documents or from before.
    """
    written = merged([_own(document, environ, problems) for document in documents], problems)
    tree = resolve_macros(written, ports, problems)
    settings, tree = read_settings(tree, problems)
    config = resolve(settings, ports.given, Reporter(tree, written, problems))
    problems.raise_if_any()
    return config


def _own(document: Map, environ: Mapping[str, str], problems: Problems) -> Map:
    """Return what one document says to swapd; only macros are left to put in."""
    _warn_of_likely_slips(document, problems)
    tree = with_environment(_without_private_keys(document), environ, problems)
    _report_odd_ids(tree, problems)
    _report_no_keys(tree, problems)
    return tree


def _report_odd_ids(tree: Map, problems: Problems) -> None:
    """Report model IDs that YAML does not read as text: nobody could say what they are."""
    models = tree.get("models")
    for name, entry in models.entries.items() if isinstance(models, Map) else ():
        if not isinstance(entry.key.value, str):
            message = f"a model ID must be text: write {quoted(text_of(entry.key.value))}"
            problems.add(entry.key.place, ("models", name), message)


def _report_no_keys(tree: Map, problems: Problems) -> None:
    """Report ``apiKeys`` that holds nothing: whoever writes it means to keep people out."""
    keys = tree.get("apiKeys")
    if is_null(keys) and keys:
        message = "holds no key; write apiKeys: [] to let all enter"
        problems.add(keys.place, ("apiKeys",), message)


def _warn_of_likely_slips(tree: Map, problems: Problems) -> None:
    """Warn of keys that seem to exist only for their anchors, but look like a known one."""
    for key in tree.entries.keys() & _mere_homes(tree):
        hint = did_you_mean(key, Settings.known_keys(), _SLIP)
        if hint and not is_private(key):
            message = f"is read for its anchors only{hint}"
            problems.warn(tree.entries[key].key.place, (key,), message)


def _without_private_keys(tree: Map) -> Map:
    """Drop the top-level keys that are a person's own, or exist only to define anchors."""
    homes = _mere_homes(tree)
    for key in tree.entries:
        if is_private(key) or key in homes:
            tree = tree.without(key)
    return tree


def _mere_homes(tree: Map) -> frozenset[str]:
    return tree.anchor_homes - {*Settings.known_keys()}
