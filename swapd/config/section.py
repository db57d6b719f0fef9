"""What all sections of a configuration file share: their keys, and the types of their values.

Values follow the coercions of the configurations in use: numbers and booleans are welcome
where text is wanted, ``yes`` and ``no`` where a boolean is, and null means the default.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    Strict,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError, PydanticOmit

from swapd.config.problems import did_you_mean
from swapd.config.scalars import settled, text_of

_SWITCH_WORDS = {
    **dict.fromkeys(("y", "yes", "on"), True),
    **dict.fromkeys(("n", "no", "off"), False),
}
#: Marks the keys that swapd adds to those of the configurations in use.
OWN: dict[str, JsonValue] = {"x-swapd": True}


def is_private(key: str) -> bool:
    """Say whether ``key`` is a person's own, which swapd leaves alone."""
    return key.startswith("x-")


class Section(BaseModel):
    """One mapping of the file; its attributes are the file's keys in snake_case."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

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
        unknown = {
            key: f"unknown key{did_you_mean(key, known)}" for key in kept if key not in known
        }
        if unknown:
            raise PydanticCustomError("unknown_keys", "unknown keys", {"unknown": unknown})
        return {key: value for key, value in kept.items() if value is not None}


def _as_text(value: object) -> object:
    return text_of(value) if isinstance(value, str | bool | int | float) else value


def _as_value(value: object) -> object:
    return settled(value) if isinstance(value, str) else value


def _as_switch(value: object) -> object:
    value = _as_value(value)
    return _SWITCH_WORDS.get(value.lower(), value) if isinstance(value, str) else value


def without_null(value: object) -> object:
    """Drop an empty item of a list (``-`` alone), which is no item."""
    if value is None:
        raise PydanticOmit
    return value


def _as_data(value: object) -> object:
    """Return ``value`` as JSON could carry it.

    Raises:
        ValueError: There is a number in it that JSON does not have.
    """
    match value:
        case str():
            value = _as_value(value)
            return str(value) if isinstance(value, str) else value
        case float() if not math.isfinite(value):
            raise ValueError("holds .inf or .nan, which JSON does not have")
        case list():
            return [_as_data(item) for item in value]
        case dict():
            return {key: _as_data(item) for key, item in value.items()}
        case _:
            return value


def _as_mapping(value: object) -> object:
    return {} if value is None else _as_data(value)


Text = Annotated[str, BeforeValidator(_as_text, json_schema_input_type=str | float | bool)]
Whole = Annotated[int, Strict(), BeforeValidator(_as_value)]
Seconds = Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False), BeforeValidator(_as_value)]
Switch = Annotated[bool, Strict(), BeforeValidator(_as_switch)]

#: An item of a list.
Item = Annotated[Text, BeforeValidator(without_null)]

#: A mapping of anything that JSON can carry.
Data = Annotated[dict[str, JsonValue], BeforeValidator(_as_mapping)]

#: Values of macros.  They are read, and taken out of the tree, before settings are.
Macros = dict[str, str | int | float | bool]

Trimmed = Annotated[Text, AfterValidator(str.strip)]


def sections_below(section: type[Section], path: str = "") -> Iterator[tuple[str, type[Section]]]:
    """Yield each section inside ``section`` with the keys that lead there, ``*`` for any name."""
    for name, field in section.model_fields.items():
        key = f"{path}.{field.alias or name}".removeprefix(".")
        for inner, kind in _parts(field.annotation):
            if isinstance(kind, type) and issubclass(kind, Section):
                yield key + inner, kind
                yield from sections_below(kind, key + inner)


def _parts(annotation: object) -> Iterator[tuple[str, object]]:
    """Yield what stands in ``annotation``, and how the file reaches it."""
    yield "", annotation
    if get_origin(annotation) is dict:
        yield ".*", get_args(annotation)[1]
    elif get_origin(annotation) is not Annotated:
        yield from (("", inner) for inner in get_args(annotation))
