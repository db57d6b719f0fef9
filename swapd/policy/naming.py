"""Which model a name means.  Exact and case-sensitive: an ID first, then an alias."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from swapd.errors import UnknownModel
from swapd.ids import ModelId

#: Longer names are cut in messages, and not compared: nobody mistypes so much.
LONGEST_NAME = 200


class Names:
    """Every name that a client may use for a model."""

    def __init__(self, aliases: Mapping[ModelId, Sequence[str]]) -> None:
        """Know each model's aliases; a model's own ID beats any alias."""
        self._models = {alias: model for model, all_of in aliases.items() for alias in all_of}
        self._models.update({str(model): model for model in aliases})

    def resolve(self, name: str) -> ModelId:
        """Return the model that ``name`` means.

        Raises:
          UnknownModel: If there is none; says which names come near.
        """
        if name in self._models:
            return self._models[name]
        raise UnknownModel(self._unknown(name))

    def _unknown(self, name: str) -> str:
        if len(name) > LONGEST_NAME:
            return f"there is no model {name[:LONGEST_NAME]!r}…"
        near = get_close_matches(name, self._models, n=3)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        return f"there is no model {name!r}{hint}"
