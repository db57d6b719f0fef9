"""Decides for whom a request is: what the profile pins, then the selector, then the model."""

from __future__ import annotations

from collections.abc import Mapping

from swapd.config.selectors import Selector
from swapd.policy.naming import Names
from swapd.policy.profiles import Profiles
from swapd.policy.selectors import Destination, Selectors, StandingOf


class Directory:
    """Every name that a request may use, and what it means at this moment."""

    def __init__(
        self,
        names: Names,
        profiles: Profiles,
        choosing: Selectors,
        selectors: Mapping[str, Selector],
    ) -> None:
        self._names = names
        self._profiles = profiles
        self._choosing = choosing
        self._selectors = selectors

    def find(self, asked: str, standing_of: StandingOf) -> Destination:
        """Return for whom a request is that names ``asked``.

        Raises:
          UnknownModel: There is no such name, or the active profile disables it.
          ModelUnavailable: It is a selector whose targets are all being stopped.
        """
        return self._find(asked, standing_of, self._choosing)

    def peek(self, asked: str, standing_of: StandingOf) -> Destination:
        """Return what ``find`` would, and leave the turns of selectors as they are.

        Raises:
          UnknownModel: As ``find``.
          ModelUnavailable: As ``find``.
        """
        return self._find(asked, standing_of, self._choosing.copied())

    def _find(self, asked: str, standing_of: StandingOf, choosing: Selectors) -> Destination:
        name = self._profiles.meaning(asked)
        if selector := self._selectors.get(name):
            return choosing.choose(selector, standing_of)
        return Destination(name, self._names.target(name, self._profiles.pins))
