"""Writes the tables of docs/configuration.md from the settings: python -m tests.config.key_tables.

A table stands between the marks ``<!-- keys: PATH -->`` and ``<!-- end -->``; the rest of the
document is written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from swapd.config.schema import Settings
from swapd.config.section import Section, sections_below

DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"
_MARKED = re.compile(r"(<!-- keys: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)
_KINDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "array": "list",
    "object": "mapping",
}


def rewritten(document: str) -> str:
    """Return ``document`` with each of its tables made anew."""
    return _MARKED.sub(lambda found: found[1] + table(found[2]) + found[3], document)


def marked(document: str) -> set[str]:
    """Return the paths of the tables that ``document`` has."""
    return {found[2] for found in _MARKED.finditer(document)}


def every_section() -> dict[str, type[Section]]:
    """Return each section with the path that leads there; the top level is ``top level``."""
    below = {path.replace("*", "<name>"): section for path, section in sections_below(Settings)}
    return {"top level": Settings, **below}


def table(path: str) -> str:
    """Return the table of the section at ``path``, or of all that swapd adds of its own."""
    rows = list(_own() if path == "own" else _rows(every_section()[path]))
    return "\n".join(["| key | value | default | meaning |", "|---|---|---|---|", *rows, ""])


def _rows(section: type[Section], prefix: str = "", *, own: bool = False) -> Iterator[str]:
    """Yield a line per key, or per key that only swapd has."""
    schema = section.model_json_schema()
    for name, field in section.model_fields.items():
        key = field.alias or name
        meaning, default = _words(field)
        kind = _kind(schema["properties"][key], schema.get("$defs", {}))
        if not own or (_is_own(field) and kind != "section"):
            yield f"| `{prefix}{key}` | {kind} | {default} | {meaning} |"


def _own() -> Iterator[str]:
    for path, section in every_section().items():
        prefix = "" if path == "top level" else f"{path}."
        yield from _rows(section, prefix, own=True)


def _is_own(field: FieldInfo) -> bool:
    extra = field.json_schema_extra
    return isinstance(extra, dict) and "x-swapd" in extra


def _words(field: FieldInfo) -> tuple[str, str]:
    """Return what a key means, and what holds without it."""
    words = (field.description or "").replace("|", "\\|")
    meaning, _, default = words.partition(" Default: ")
    if meaning.endswith(" Required."):
        return meaning.removesuffix(" Required."), "required"
    return meaning, default.removesuffix(".") or "as below"


def _kind(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    first = schema["anyOf"][0] if "anyOf" in schema else schema
    if "$ref" in first:
        inner = definitions[first["$ref"].rpartition("/")[2]]
        return "word" if "enum" in inner else "section"
    return _KINDS[first["type"]]


if __name__ == "__main__":
    DOCUMENT.write_text(rewritten(DOCUMENT.read_text()))
