"""What all sections of a configuration file share: their keys, and the types of their values.

Values follow the coercions of the configurations in use: numbers and booleans are welcome
where text is wanted, ``yes`` and ``no`` where a boolean is, and null means the default.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Strict, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError, PydanticOmit

from swapd.config.keys import complaint, is_private
from swapd.config.scalars import text_of

_SWITCH_WORDS = {
    **dict.fromkeys(("y", "yes", "on"), True),
    **dict.fromkeys(("n", "no", "off"), False),
}


class Section(BaseModel):
    """One mapping of the file; its attributes are the file's keys in snake_case."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

    not_yet: ClassVar[Collection[str]] = ()

    @classmethod
    def known_keys(cls) -> list[str]:
        """Return the keys of this section, as the file spells them."""
        return [field.alias or name for name, field in cls.model_fields.items()]

    @model_validator(mode="before")
    @classmethod
    def _only_known_keys(cls, given: object) -> object:
        if given is None:
            return {}
        if not isinstance(given, dict):
            return given
        known = cls.known_keys()
        kept = {key: value for key, value in given.items() if not is_private(key)}
        unknown = {key: complaint(key, known, cls.not_yet) for key in kept if key not in known}
        if unknown:
            raise PydanticCustomError("unknown_keys", "unknown keys", {"unknown": unknown})
        return {key: value for key, value in kept.items() if value is not None}


def _as_text(value: object) -> object:
    return text_of(value) if isinstance(value, bool | int | float) else value


def _as_switch(value: object) -> object:
    return _SWITCH_WORDS.get(value.lower(), value) if isinstance(value, str) else value


def _without_null(value: object) -> object:
    if value is None:
        raise PydanticOmit
    return value


Text = Annotated[str, BeforeValidator(_as_text, json_schema_input_type=str | float | bool)]
Whole = Annotated[int, Strict()]
Seconds = Annotated[float, Strict()]
Switch = Annotated[bool, Strict(), BeforeValidator(_as_switch)]

#: An item of a list; an empty item (``-`` alone) is no item.
Item = Annotated[Text, BeforeValidator(_without_null)]
