"""What a name means.  Exact and case-sensitive.

Rule 1: swapd's own models go before those of peers: an ID first, then an alias.
Rule 2: a peer's model has a full name that nothing else has; its bare name means it where
    only one peer has it and nothing of swapd's own is called so.
Rule 3: a selector is no model: who it stands for is chosen anew for each request.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set
from difflib import get_close_matches
from functools import lru_cache
from types import MappingProxyType

from swapd.config.peers import PeerModel, full_names
from swapd.config.schema import Config
from swapd.config.selectors import Target
from swapd.errors import UnknownModel
from swapd.ids import ModelId

#: Longer names are cut in messages, and not compared: nobody mistypes so much.
LONGEST_NAME = 200

#: How many names that come near are told.
_SUGGESTED = 3

#: Wrong names to remember what comes near of: a client that has one asks again and again, and to
#: compare it with some hundred names takes milliseconds.
_REMEMBERED = 64

_NO_PINS: Mapping[str, str | None] = MappingProxyType({})


class Names:
    """Every name that a client may use for a model."""

    def __init__(
        self,
        models: Iterable[ModelId],
        aliases: Mapping[str, ModelId],
        *,
        peer_models: Mapping[str, PeerModel],
        selectors: Collection[str],
    ) -> None:
        """Know every name; ``peer_models`` holds bare names only where one peer has them."""
        self._local = {**aliases, **{str(model): model for model in models}}
        self._remote = peer_models
        self._selectors = selectors
        self._near = lru_cache(_REMEMBERED)(self._find_near)
        #: How long a name may be that means anything.
        self.longest = max(map(len, (*self._local, *peer_models, *selectors)), default=0)

    def __contains__(self, name: str) -> bool:
        """Tell whether ``name`` means a model or a selector."""
        return self.find(name) is not None or name in self._selectors

    def find(self, name: str) -> Target | None:
        """Return the model, swapd's own or a peer's, that ``name`` means, if there is one."""
        return self._local.get(name) or self._remote.get(name)

    def target(self, name: str, pins: Mapping[str, str | None] = _NO_PINS) -> Target:
        """Return the model, swapd's own or a peer's, that ``name`` means.

        Raises:
          UnknownModel: If there is none; says which names come near, those of ``pins`` too, and
            none that they disable.
        """
        if found := self.find(name):
            return found
        raise UnknownModel(self._unknown(name, pins))

    def resolve(self, name: str) -> ModelId:
        """Return the model that swapd runs and that ``name`` means.

        Raises:
          UnknownModel: If there is none; says which names come near.
        """
        match self.find(name):
            case None if name in self._selectors:
                raise UnknownModel(f"{name!r} is a selector: name one of its targets")
            case None:
                raise UnknownModel(self._unknown(name, own=True))
            case PeerModel(peer):
                message = f"{name!r} is a model of the peer {peer!r}, not one of swapd's own"
                raise UnknownModel(message)
            case model:
                return model

    def _unknown(
        self, name: str, pins: Mapping[str, str | None] = _NO_PINS, *, own: bool = False
    ) -> str:
        if len(name) > LONGEST_NAME:
            return f"model not found: {name[:LONGEST_NAME]!r}…"
        several = full_names(name, self._remote.values())
        if len(several) > 1:  # or it would mean the one
            return f"{name!r} is a model of several peers: {' or '.join(map(repr, several))}"
        near = self._near(name, own, frozenset(pins.items()))
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        return f"model not found: {name!r}{hint}"

    def _find_near(self, name: str, own: bool, pins: Set[tuple[str, str | None]]) -> list[str]:
        """Return what comes near ``name``: of swapd's ``own`` models, or of all names.

        Capital or small is no difference here, though it makes another name.
        """
        pinned = dict(pins)
        others = () if own else (*self._remote, *self._selectors)
        spellings: dict[str, list[str]] = {}
        for known in dict.fromkeys([*self._local, *others, *sorted(pinned)]):
            if pinned.get(known, known):
                spellings.setdefault(known.casefold(), []).append(known)
        near = get_close_matches(name.casefold(), spellings, n=_SUGGESTED)
        return [known for folded in near for known in spellings[folded]][:_SUGGESTED]


def names_of(config: Config) -> Names:
    """Return every name that clients of ``config`` may use."""
    return Names(
        config.models,
        config.aliases,
        peer_models=config.peer_models,
        selectors=config.selectors,
    )


def full_name(target: Target) -> str:
    """Return the name that is ``target``'s alone."""
    return target.name if isinstance(target, PeerModel) else target
