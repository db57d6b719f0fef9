"""Reads a tree into typed settings.  Every misfit is reported and mended, so that all show."""

from __future__ import annotations

import math
import re

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from swapd.config.problems import Problems, did_you_mean
from swapd.config.schema import Settings
from swapd.config.tree import KeyPath, Map, Scalar, find, key_place, mend, place_of, plain, put

_WANTED = {
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "model_type": "must be a mapping",
    "string_type": "must be text",
    "tuple_type": "must be a list",
}


def read_settings(tree: Map, problems: Problems) -> tuple[Settings, Map]:
    """Return what ``tree`` says, and the tree with its misfits mended.

    What does not fit goes to ``problems`` and counts as absent: the passes that follow can
    still look at everything else.
    """
    while True:
        try:
            return Settings.model_validate(plain(tree)), tree
        except ValidationError as error:
            given = tree
            for detail in error.errors(include_url=False):
                tree = _mended(tree, given, detail, problems)


def _mended(tree: Map, given: Map, detail: ErrorDetails, problems: Problems) -> Map:
    """Return ``tree`` with one misfit mended that was found in the tree ``given``."""
    path = detail["loc"]
    if detail["type"] == "unknown_keys":
        return _without_unknown(tree, path, detail["ctx"]["unknown"], problems)
    place = place_of(given, path)
    value = detail["input"]
    if detail["type"] == "int_type" and isinstance(value, float) and math.isfinite(value):
        if not value.is_integer():
            problems.warn(place, path, f"must be a whole number: {value} is read as {int(value)}")
        return put(tree, path, Scalar(int(value), place))
    problems.add(place, path, _message(detail))
    return mend(tree, path)


def _without_unknown(tree: Map, path: KeyPath, unknown: dict[str, str], problems: Problems) -> Map:
    section = find(tree, path)
    assert isinstance(section, Map)
    for key, message in unknown.items():
        problems.unknown(key_place(tree, (*path, key)), (*path, key), message)
        section = section.without(key)
    return put(tree, path, section)


def _message(detail: ErrorDetails) -> str:
    """Return the misfit in our words, which never repeat the value: it may be a secret."""
    kind, context = detail["type"], detail.get("ctx", {})
    match kind:
        case "greater_than_equal":
            return f"must be at least {context['ge']:g}"
        case "less_than_equal":
            return f"must be at most {context['le']:g}"
        case "finite_number":
            return "must be a finite number"
        case "value_error":
            return str(context["error"])
        case "enum":
            return f"must be {context['expected'].replace(chr(39), '')}{_hint(detail)}"
        case _ if kind in _WANTED:
            return f"{_WANTED[kind]}, not {_kind(detail['input'])}"
        case _:
            return detail["msg"]


def _hint(detail: ErrorDetails) -> str:
    words = re.findall(r"'(\w+)'", detail["ctx"]["expected"])
    return did_you_mean(str(detail["input"]), words)


def _kind(value: object) -> str:
    match value:
        case None:
            return "empty"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str() if value.strip().lstrip("+-").replace(".", "", 1).isdigit():
            return "text; remove the quotes"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "a mapping"
