"""Names that stand for one of several models: what the file says, and what swapd reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from pydantic import Field, JsonValue

from swapd.config.peers import PeerModel
from swapd.config.section import Data, Item, Section, Switch, Text, Whole
from swapd.ids import ModelId


class Strategy(StrEnum):
    """How a selector chooses."""

    #: Always the first.
    PIN = "pin"
    #: The first that is ready, else the first that starts, else the first.
    WARM = "warm"
    #: The least busy, and one more when all are busy.
    SPILLOVER = "spillover"


class SelectorChoices(Section):
    """What the file says under ``selectors.<id>.settings``."""

    spillover: Whole = Field(
        default=1,
        ge=0,
        description="With `spillover`: requests that each target has before another one is "
        "loaded, at least 1. Default: 1.",
    )


class SelectorSettings(Section):
    """What the file says under ``selectors.<id>``."""

    strategy: Strategy | None = Field(
        default=None,
        description="`pin` takes the first target, `warm` the first that is loaded, `spillover` "
        "the least busy and loads the next when all are busy. Required.",
    )
    targets: tuple[Item, ...] = Field(
        default=(), description="Models, by ID, alias or a peer's name, the best first. Required."
    )
    settings: SelectorChoices = Field(
        default=SelectorChoices(), description="The settings of the strategy."
    )
    name: Text = Field(
        default="", description="A name for people, shown in listings. Default: none."
    )
    description: Text = Field(
        default="", description="A line for people, shown in listings. Default: none."
    )
    unlisted: Switch = Field(
        default=False,
        description="Leave the selector out of listings; it stays usable. Default: false.",
    )
    metadata: Data = Field(
        default_factory=dict,
        description="Anything, to be shown with the selector in listings. Default: none.",
    )


#: What a name means in the end.
Target: TypeAlias = ModelId | PeerModel


@dataclass(frozen=True, slots=True)
class Selector:
    """What swapd reads of one selector."""

    id: str
    strategy: Strategy
    #: As they are written: a request goes on under this name, so that an alias keeps its filters.
    targets: tuple[str, ...]
    #: What each of the targets means.
    resolved: tuple[Target, ...]
    #: Requests that each target has before another one is loaded.
    spillover: int
    name: str
    description: str
    unlisted: bool
    metadata: Mapping[str, JsonValue]
