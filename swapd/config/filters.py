"""What is changed in the JSON of a request before a server sees it.  Changes nothing itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from pydantic import Field, JsonValue

from swapd.config.section import Data, Section, Text

#: Values by keys, as JSON has them.
Params: TypeAlias = Mapping[str, JsonValue]

#: What no filter touches: it says who is asked.
_PROTECTED = "model"


class FilterSettings(Section):
    """What the file says under ``filters`` of a peer."""

    strip_params: Text = Field(
        default="",
        description="Keys to remove from requests, separated by commas; never `model`. "
        "Default: none.",
    )
    set_params: Data = Field(
        default_factory=dict,
        description="Keys to set in requests, with their values; never `model`. Default: none.",
    )
    set_params_by_id: dict[str, Data] = Field(
        default_factory=dict,
        alias="setParamsByID",
        description="The same for requests that name exactly this ID; set after `setParams`. "
        "Default: none.",
    )


class ModelFilterSettings(FilterSettings):
    """What the file says under ``filters`` of a model."""

    set_params_by_id: dict[str, Data] = Field(
        default_factory=dict,
        alias="setParamsByID",
        description="The same for requests that name exactly this ID, which becomes an alias of "
        "the model; set after `setParams`. Macros work in the IDs. Default: none.",
    )
    strip_params_old: Text = Field(
        default="",
        alias="strip_params",
        description="An old name of `stripParams`, which wins. Default: none.",
    )


@dataclass(frozen=True, slots=True)
class Filters:
    """What to change, in this order: remove, set, set for one ID.  Keys come sorted."""

    strip_params: tuple[str, ...] = ()
    set_params: Params = field(default_factory=dict)
    #: By the name that the client used.
    set_params_by_id: Mapping[str, Params] = field(default_factory=dict)


def filters_of(given: FilterSettings) -> Filters:
    """Return what ``given`` comes to: no key twice, none protected, all sorted."""
    strip = given.strip_params
    if isinstance(given, ModelFilterSettings):
        strip = strip or given.strip_params_old
    words = {word.strip() for word in strip.split(",")}
    return Filters(
        strip_params=tuple(sorted(words - {"", _PROTECTED})),
        set_params=_settable(given.set_params),
        set_params_by_id={
            name: _settable(given.set_params_by_id[name]) for name in given.set_params_by_id
        },
    )


def _settable(params: Params) -> Params:
    return {key: params[key] for key in sorted(params) if key != _PROTECTED}
