"""Finds the model that a path begins with.  A name may hold slashes: the longest one counts.

Rule 1: what the active profile pins goes before the models themselves.
Rule 2: what follows the name stays as it was written, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from swapd.config.selectors import Target
from swapd.errors import NoModelNamed, UnknownModel
from swapd.policy.naming import Names
from swapd.policy.profiles import Profiles


@dataclass(frozen=True, slots=True)
class Place:
    """A path below a model.

    Attributes:
      name: What the path begins with, decoded.
      target: The model that it means.
      rest: What follows it, as it is written: nothing, or what begins with a slash.
    """

    name: str
    target: Target
    rest: bytes


def find_in_path(path: bytes, names: Names, profiles: Profiles) -> Place:
    """Return the model with which ``path`` begins, and what follows.

    Args:
      path: Percent-encoded; ``author%2Fmodel`` is as good as ``author/model``.
      names: Of the models.
      profiles: Of which one may be active.

    Raises:
      NoModelNamed: The path is empty.
      UnknownModel: There is no such model, or the active profile disables it.
    """
    pins = profiles.pins
    reach = max(names.longest, max(map(len, pins), default=0))
    beginnings = list(_beginnings(path, reach))
    if not beginnings:
        raise NoModelNamed("the path names no model")
    for name, rest in reversed(beginnings):
        if name in pins:
            return Place(name, _model(profiles.meaning(name), names, pins), rest)
    for name, rest in reversed(beginnings):
        if name in names:
            return Place(name, _model(name, names, pins), rest)
    name, rest = beginnings[0]
    return Place(name, _model(name, names, pins), rest)


def _beginnings(path: bytes, reach: int) -> Iterator[tuple[str, bytes]]:
    """Yield each name of at most ``reach`` that ``path`` begins with, and at least one."""
    name, at = "", 0
    while at < len(path):
        end = path.find(b"/", at)
        end = len(path) if end < 0 else end
        if segment := path[at:end]:
            decoded = unquote(segment.decode("latin-1"))
            name = f"{name}/{decoded}" if name else decoded
            yield name, path[end:]
            if len(name) > reach:
                return
        at = end + 1


def _model(name: str, names: Names, pins: Mapping[str, str | None]) -> Target:
    if names.find(name) is None and name in names:
        raise UnknownModel(f"{name!r} is a selector: it stands for no one server, name a model")
    return names.target(name, pins)
