"""The whole configuration: what the file says (Settings), and what swapd reads (Config)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import AfterValidator, Field

from swapd.config.formats import api_key
from swapd.config.keys import NOT_YET_AT_TOP
from swapd.config.models import Model, ModelSettings
from swapd.config.section import Item, Seconds, Section, Switch, Text, Whole
from swapd.ids import ModelId

DEFAULT_START_PORT = 5800
DEFAULT_GROUP = "(default)"


class GroupSettings(Section):
    """What the file says under ``groups.<name>``."""

    swap: Switch = Field(
        default=True, description="Whether only one member runs at a time. Default: true."
    )
    exclusive: Switch = Field(
        default=True,
        description="Whether starting a member stops other groups' models. Default: true.",
    )
    persistent: Switch = Field(
        default=False, description="Whether other groups leave the members running. Default: false."
    )
    members: tuple[Item, ...] = Field(default=(), description="IDs of the members. Default: none.")


class OnStartup(Section):
    """What the file says under ``hooks.on_startup``."""

    preload: tuple[Item, ...] = Field(
        default=(), description="Models to load when swapd starts, in this order. Default: none."
    )


class Hooks(Section):
    """What the file says under ``hooks``."""

    on_startup: OnStartup = Field(
        default=OnStartup(), alias="on_startup", description="What to do when swapd starts."
    )


class Server(Section):
    """What the file says under ``server``, which is also what swapd reads."""

    shutdown_grace: Annotated[Seconds, Field(ge=0, allow_inf_nan=False)] = Field(
        default=30.0,
        description="Seconds that running requests may take to finish at shutdown. Default: 30.",
    )


class Settings(Section):
    """What the file says at its top level; macros are resolved, defaults of others not."""

    not_yet = NOT_YET_AT_TOP

    models: dict[str, ModelSettings] = Field(
        default_factory=dict, description="The models by their IDs. Default: none."
    )
    groups: dict[str, GroupSettings] = Field(
        default_factory=dict,
        description="Which models may run together. Default: all share one swapping group.",
    )
    hooks: Hooks = Field(default=Hooks(), description="What to do at certain moments.")
    server: Server = Field(default=Server(), description="swapd's own HTTP server.")
    api_keys: tuple[Annotated[Text, AfterValidator(api_key)], ...] = Field(
        default=(),
        description="Keys of which clients must bring one. Default: none, all may enter.",
    )
    health_check_timeout: Whole = Field(
        default=120, description="Seconds that a start may take, at least 15. Default: 120."
    )
    start_port: Whole = Field(
        default=DEFAULT_START_PORT,
        ge=1,
        le=65535,
        description="The first port that ${PORT} stands for. Default: 5800.",
    )
    global_ttl: Whole = Field(
        default=0,
        alias="globalTTL",
        ge=0,
        description="The ttl of models that set none, in seconds; 0 is never. Default: 0.",
    )
    unload_timeout: Whole = Field(
        default=10,
        ge=0,
        description="The unloadTimeout of models that set none, in seconds; 0 is 10. Default: 10.",
    )


@dataclass(frozen=True, slots=True)
class Group:
    """What swapd reads of one group."""

    #: One member runs at a time.
    swap: bool
    #: Starting a member stops the models of other groups.
    exclusive: bool
    #: Other groups cannot stop the members.
    persistent: bool
    members: tuple[ModelId, ...]


@dataclass(frozen=True, slots=True)
class Config:
    """What swapd reads: every value final, every name resolved, nothing left to check."""

    #: In the order of the file.
    models: Mapping[ModelId, Model]
    #: Whom each alias means.
    aliases: Mapping[str, ModelId]
    #: In the order of the file; the last is ``(default)``, of all models in no other group.
    groups: Mapping[str, Group]
    #: What to load at the start, in this order.
    preload: tuple[ModelId, ...]
    api_keys: tuple[str, ...] = field(repr=False)
    server: Server
    #: What a person should know though it is no mistake; same form as problems.
    warnings: tuple[str, ...]
