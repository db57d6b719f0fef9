"""Decides what a name means while a profile is active.  At most one is, and at first none.

Rule 1: a pin is about the very word that a client wrote: an alias of a pinned model is not
    pinned with it.
Rule 2: pins do not chain: what a pin leads to is a model or a selector, whatever is pinned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from swapd.config.profiles import Profile
from swapd.errors import UnknownModel, UnknownProfile
from swapd.policy.naming import LONGEST_NAME


class Profiles:
    """The profiles of a configuration, and which of them is active."""

    def __init__(self, profiles: Mapping[str, Profile]) -> None:
        """Begin with none active."""
        self._profiles = profiles
        self.active: str | None = None

    def reconfigure(self, profiles: Mapping[str, Profile]) -> None:
        """Go over to ``profiles``; the active one stays active if it is among them."""
        self._profiles = profiles
        if self.active not in profiles:
            self.active = None

    def __iter__(self) -> Iterator[Profile]:
        """Yield every profile, sorted by name."""
        for name in sorted(self._profiles):
            yield self._profiles[name]

    def activate(self, name: str | None) -> None:
        """Make ``name`` the active profile; nothing to have none.

        Raises:
          UnknownProfile: There is no such profile; the active one stays so.
        """
        if name and name not in self._profiles:
            raise UnknownProfile(f'profile "{_shown(name)}" not found')
        self.active = name or None

    @property
    def pins(self) -> Mapping[str, str | None]:
        """Return what the active profile pins: names to names, None for those it disables."""
        return self._profiles[self.active].pins if self.active else {}

    def meaning(self, name: str) -> str:
        """Return the name that ``name`` stands for now, mostly itself.

        Raises:
          UnknownModel: The active profile disables it.
        """
        target = self.pins.get(name, name)
        if target is None:
            raise UnknownModel(f"{name!r} is disabled by the active profile {self.active!r}")
        return target

    def aside(self, name: str) -> str:
        """Return what to add where no model is called ``name``: that requests know it."""
        if not (target := self.pins.get(name)):
            return ""
        return f"; to requests alone it means {target!r}, by the active profile {self.active!r}"


def _shown(name: str) -> str:
    """Return ``name``, whatever a client has sent as one, so that it fits into a line."""
    cut = "…" if len(name) > LONGEST_NAME else ""
    return repr(name[:LONGEST_NAME])[1:-1] + cut
