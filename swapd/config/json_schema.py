"""Gives editors the JSON Schema of a configuration file, made from the settings themselves."""

from __future__ import annotations

from typing import cast

from pydantic import JsonValue

from swapd.config.schema import Settings

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
#: Where a number or a switch is wanted, a macro may stand for one.
_MACRO = r"\$\{[A-Za-z0-9_.-]+\}"
_SWITCH = r"[yY]([eE][sS])?|[nN][oO]?|[oO]([nN]|[fF][fF])"
_NOT_TEXT = {"integer", "number", "boolean"}
_NULL: JsonValue = {"type": "null"}
_NOT_FOR_EDITORS = ("title",)

JsonObject = dict[str, JsonValue]


def json_schema() -> JsonObject:
    """Return the schema of a whole file.

    It knows the keys and the types of their values.  What depends on other values (names,
    macros, files) is for ``swapd check``.
    """
    schema = cast(JsonObject, _relaxed(Settings.model_json_schema()))
    homes: JsonValue = {"type": ["object", "array"]}  # of anchors, under a name of one's own
    return {"$schema": _DIALECT, "title": "swapd", **schema, "additionalProperties": homes}


def _relaxed(node: JsonValue) -> JsonValue:
    """Return ``node`` with all that a file may write in the place of a value."""
    if isinstance(node, list):
        return [_relaxed(item) for item in node]
    if not isinstance(node, dict):
        return node
    relaxed = _simple({key: value for key, value in node.items() if key not in _NOT_FOR_EDITORS})
    for key in ("$defs", "properties"):
        if isinstance(inner := relaxed.get(key), dict):
            relaxed[key] = {name: _relaxed(value) for name, value in inner.items()}
    for key in ("items", "additionalProperties", "anyOf"):
        if key in relaxed:
            relaxed[key] = _relaxed(relaxed[key])
    return _with_optional_keys(_with_macros(relaxed))


def _simple(node: JsonObject) -> JsonObject:
    """Return ``node`` without a choice where that says nothing more."""
    rest = {key: value for key, value in node.items() if key != "anyOf"}
    match node.get("anyOf"):
        case [{"$ref": ref}, {"type": "null"}]:  # every section may be null
            return {**rest, "$ref": ref}
        case list(choices) if all(isinstance(one, dict) and [*one] == ["type"] for one in choices):
            types = [one["type"] for one in choices if isinstance(one, dict)]
            return {**rest, "type": types}
        case _:
            return node


def _with_macros(node: JsonObject) -> JsonObject:
    kinds = node.get("type")
    types = kinds if isinstance(kinds, list) else [kinds]
    if "enum" in node:
        return {"anyOf": [node, {"type": ["string", "null"], "pattern": f"^{_MACRO}$"}]}
    if "string" in types or not _NOT_TEXT.intersection(map(str, types)):
        return node
    words = f"^({_MACRO}|{_SWITCH})$" if "boolean" in types else f"^{_MACRO}$"
    return {**node, "type": [*types, "string"], "pattern": words}


def _with_optional_keys(node: JsonObject) -> JsonObject:
    """Return the mapping ``node`` whose keys may be null, and where ``x-`` begins private ones."""
    properties, others = node.get("properties"), node.get("additionalProperties")
    if isinstance(others, dict):
        node = {**node, "additionalProperties": _nullable(others)}
    if not isinstance(properties, dict):
        return node
    required: list[JsonValue] = [key for key, value in properties.items() if _is_required(value)]
    return {
        **{key: value for key, value in node.items() if key != "description"},
        "type": ["object", "null"],
        "properties": {key: _nullable(value) for key, value in properties.items()},
        "patternProperties": {"^x-": {}},
        **({"required": required} if required else {}),
    }


def _is_required(node: JsonValue) -> bool:
    return isinstance(node, dict) and str(node.get("description")).endswith("Required.")


def _nullable(node: JsonValue) -> JsonValue:
    """Return ``node`` for a value that may also be null, which means the default."""
    if not isinstance(node, dict) or _is_required(node):
        return node
    match node:
        case {"type": list(types)}:
            return {**node, "type": [*types, "null"]} if "null" not in types else node
        case {"type": kind}:
            return {**node, "type": [kind, "null"]}
        case {"$ref": _}:
            return {key: value for key, value in node.items() if key != "default"}
        case {"anyOf": list(choices)} if _NULL not in choices:
            return {**node, "anyOf": [*choices, _NULL]}
        case _:
            return node
