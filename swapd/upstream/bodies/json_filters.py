"""What filters change in the JSON of a request, in their fixed order."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from swapd.config.filters import Filters, Params
from swapd.upstream.bodies.body import Edit, Whole
from swapd.upstream.bodies.json_changes import Changing, Step

_MODEL = (Step("model"),)


def edits_of(body: Whole, *, model: str, filters: Filters, asked: str) -> Sequence[Edit]:
    """Return what is to be changed: the model, what is removed, what is set, what is set by name.

    Args:
      body: A JSON object that is known to be well formed.
      model: The new model; empty if it stays.
      filters: No key of theirs leads to the model or into it: that says who is asked.
      asked: The name by which filters may set something of its own.

    Raises:
      MalformedRequest: There is too much to look through.
    """
    by_name = filters.set_params_by_id.get(asked, {})
    if not (model or filters.strip_params or filters.set_params or by_name):
        return ()
    changing = Changing(body)
    if model:
        changing.put(_MODEL, msgspec.json.encode(model))
    for path in map(steps_of, filters.strip_params):
        if path[0].key != "model":
            changing.drop(path)
    _set(changing, filters.set_params)
    _set(changing, by_name)
    return list(changing.edits())


def _set(changing: Changing, params: Params) -> None:
    for key, value in params.items():
        path = steps_of(key)
        if path[0].key != "model":
            changing.put(path, msgspec.json.encode(value))


@lru_cache(maxsize=1024)
def steps_of(path: str) -> tuple[Step, ...]:
    r"""Return the steps of a path as the configuration has it.

    A dot leads into an object, or by a number into an array.  What follows a backslash means
    itself, and a colon before a number makes it the key of an object.
    """
    parts = [""]
    characters = iter(path)
    for character in characters:
        if character == ".":
            parts.append("")
        else:
            parts[-1] += character + (next(characters, "") if character == "\\" else "")
    return tuple(map(_step, parts))


def _step(part: str) -> Step:
    index = int(part) if part == "-1" or (part.isascii() and part.isdigit()) else None
    characters = iter(part.removeprefix(":"))
    key = "".join(next(characters, "") if char == "\\" else char for char in characters)
    return Step(key, index)
