"""The whole configuration: what the file says (Settings), and what swapd reads (Config)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import AfterValidator, Field

from swapd.config.formats import api_key
from swapd.config.models import Model, ModelSettings
from swapd.config.observing import Logging, LogTo, Performance, Store, UiSettings
from swapd.config.peers import Peer, PeerModel, PeerSettings
from swapd.config.ports import DEFAULT_START_PORT, HIGHEST_PORT
from swapd.config.profiles import Profile, ProfileSettings
from swapd.config.routing import Group, GroupSettings, MatrixSettings, Routing, RoutingSettings
from swapd.config.section import OWN, Item, Macros, Section, Switch, Text, Whole
from swapd.config.selectors import Selector, SelectorSettings
from swapd.config.server import Cors, Server, UpstreamSettings
from swapd.ids import ModelId

__all__ = ["DEFAULT_GROUP", "Config", "Group", "Settings"]

DEFAULT_GROUP = "(default)"


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


class Settings(Section):
    """What the file says at its top level; macros are resolved, defaults of others not."""

    models: dict[str, ModelSettings] = Field(
        default_factory=dict, description="The models by their IDs. Default: none."
    )
    macros: Macros = Field(
        default_factory=dict,
        description="Values by name, to write as `${name}` in any value. Default: none.",
    )
    health_check_timeout: Whole = Field(
        default=120, description="Seconds that a start may take, at least 15. Default: 120."
    )
    start_port: Whole = Field(
        default=DEFAULT_START_PORT,
        ge=1,
        le=HIGHEST_PORT,
        description="The first port that `${PORT}` stands for. Default: 5800.",
    )
    global_ttl: Whole = Field(
        default=0,
        alias="globalTTL",
        ge=0,
        description="The `ttl` of models that set none, in seconds; 0 is never. Default: 0.",
    )
    unload_timeout: Whole = Field(
        default=10,
        ge=0,
        description="The `unloadTimeout` of models that set none, in seconds; 0 is 10. "
        "Default: 10.",
    )
    send_loading_state: Switch = Field(
        default=False,
        description="Tell streaming clients that a model is being loaded, where the model says "
        "nothing else. Default: false.",
    )
    include_aliases_in_list: Switch = Field(
        default=False, description="List aliases beside the models. Default: false."
    )
    api_keys: tuple[Annotated[Text, AfterValidator(api_key)], ...] = Field(
        default=(),
        description=(
            "Keys of which clients must bring one; `[]` is none, and nothing at all an error. "
            "Default: none, all may enter."
        ),
    )
    routing: RoutingSettings = Field(
        default=RoutingSettings(), description="Which models may run together, and who comes first."
    )
    groups: dict[str, GroupSettings] = Field(
        default_factory=dict,
        description="The same as `routing.router.settings.groups`, with the router `group`. "
        "Default: none.",
    )
    matrix: MatrixSettings | None = Field(
        default=None,
        description="The same as `routing.router.settings.matrix`, with the router `matrix`. "
        "Default: none.",
    )
    hooks: Hooks = Field(default=Hooks(), description="What to do at certain moments.")
    peers: dict[str, PeerSettings] = Field(
        default_factory=dict,
        description="Servers whose models swapd passes on, by name. Default: none.",
    )
    selectors: dict[str, SelectorSettings] = Field(
        default_factory=dict,
        description="Names that stand for one of several models. Default: none.",
    )
    profiles: dict[str, ProfileSettings] = Field(
        default_factory=dict,
        description="Names that mean something else while a profile is active. Default: none.",
    )
    upstream: UpstreamSettings = Field(
        default=UpstreamSettings(),
        description="The way to a model's own pages, `/upstream/<model>`.",
    )
    log_level: Text = Field(
        default="info", description="`debug`, `info`, `warn` or `error`. Default: info."
    )
    log_time_format: Text = Field(
        default="",
        description="How lines of the log say the time: ansic, unixdate, rubydate, rfc822, "
        "rfc822z, rfc850, rfc1123, rfc1123z, rfc3339, rfc3339nano, kitchen, stamp, stampmilli, "
        "stampmicro or stampnano. Default: not at all.",
    )
    log_to_stdout: LogTo = Field(
        default=LogTo.PROXY,
        description="Whose lines go to standard output: `proxy` (swapd's own), `upstream` (the "
        "models'), `both` or `none`. Default: proxy.",
    )
    log_requests: Switch | None = Field(default=None, description="Without effect. Default: none.")
    metrics_max_in_memory: Whole = Field(
        default=1000,
        description="Requests to remember while there is no `store`. Default: 1000.",
    )
    capture_buffer: Whole = Field(
        default=0,
        description="MiB of requests and responses to keep in memory for the page of requests; "
        "0 is none, for they are private. Default: 0.",
    )
    store: Store | None = Field(
        default=None, description="Where to remember requests over restarts. Default: in memory."
    )
    performance: Performance = Field(
        default=Performance(), description="Measurements of the machine, kept for an hour."
    )
    ui: UiSettings = Field(default=UiSettings(), description="swapd's web pages.")
    server: Server = Field(
        default=Server(), description="swapd's own HTTP server.", json_schema_extra=OWN
    )
    cors: Cors = Field(
        default=Cors(), description="Web pages of others that may use swapd.", json_schema_extra=OWN
    )


@dataclass(frozen=True, slots=True)
class Config:
    """What swapd reads: every value final, every name resolved, nothing left to check."""

    #: In the order of the file.
    models: Mapping[ModelId, Model]
    #: What ``${PORT}`` stands for, in the models whose command uses it.
    ports: Mapping[ModelId, int]
    #: Whom each alias means.
    aliases: Mapping[str, ModelId]
    #: In the order of the file; the last is ``(default)``, of all models in no other group.
    #: With a matrix there are none.
    groups: Mapping[str, Group]
    routing: Routing
    #: What to load at the start, in this order.
    preload: tuple[ModelId, ...]
    api_keys: tuple[str, ...] = field(repr=False)
    server: Server
    cors: Cors
    peers: Mapping[str, Peer]
    #: By the full name ``peer/model``, and by the bare name where only one peer has it.
    #: Models, aliases and selectors of the same name go before.
    peer_models: Mapping[str, PeerModel]
    selectors: Mapping[str, Selector]
    profiles: Mapping[str, Profile]
    #: A path under ``/upstream/<model>`` in which one is found does not load the model.
    ignore_paths: tuple[re.Pattern[str], ...]
    include_aliases_in_list: bool
    logging: Logging
    #: Requests to remember while there is no store.
    metrics_max_in_memory: int
    #: What bodies may take in memory; 0 is not to keep any.
    capture_buffer_bytes: int
    #: None to remember requests in memory.
    store: Store | None
    performance: Performance
    #: Headers that name a session; the first that is there counts.
    session_headers: tuple[str, ...]
    #: What a person should know though it is no mistake; same form as problems.
    warnings: tuple[str, ...]
