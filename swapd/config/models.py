"""One model: what the file says of it (ModelSettings), and what swapd reads (Model)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue

from swapd.config.filters import Filters, ModelFilterSettings
from swapd.config.formats import env_entry, health_path, server_url, without_nul
from swapd.config.section import (
    OWN,
    Data,
    Item,
    Macros,
    Seconds,
    Section,
    Switch,
    Text,
    Whole,
    without_null,
)
from swapd.config.timeouts import Timeouts
from swapd.ids import ModelId

DEFAULT_PROXY = "http://localhost:${PORT}"


#: This model speaks ComfyUI's protocol: many small requests, and an endless websocket.
COMFYUI = "comfyui_auto"
COMFYUI_REQUESTS = 50


class Modality(StrEnum):
    """What goes into a model, or comes out."""

    TEXT = "text"
    AUDIO = "audio"
    IMAGE = "image"


_Modality = Annotated[Modality, BeforeValidator(without_null)]


class Capabilities(Section):
    """What the file says under ``capabilities`` of a model, and what swapd shows of it."""

    in_: tuple[_Modality, ...] = Field(
        default=(), alias="in", description="What goes in: text, audio, image. Default: not said."
    )
    out: tuple[_Modality, ...] = Field(
        default=(), description="What comes out: text, audio, image. Default: not said."
    )
    tools: Switch = Field(
        default=False, description="Whether the model calls tools. Default: false."
    )
    reranker: Switch = Field(
        default=False, description="Whether the model reranks. Default: false."
    )
    context: Whole = Field(
        default=0, ge=0, description="The size of the context in tokens; 0 is not said. Default: 0."
    )

    @property
    def is_empty(self) -> bool:
        """Whether nothing is said."""
        return self == Capabilities()


class Compat(Section):
    """What the file says under ``compat`` of a model."""

    ignore_websockets: Switch = Field(
        default=False,
        description="Let websockets pass without counting as requests: they neither load the "
        "model nor keep it. Default: false.",
    )


class Liveness(Section):
    """What the file says under ``liveness`` of a model, and what swapd reads."""

    every: Seconds = Field(
        default=0.0,
        description="Seconds between health checks of a ready model; 0 is none. Default: 0.",
        json_schema_extra=OWN,
    )
    failures: Whole = Field(
        default=3,
        ge=1,
        description="Failed checks in a row after which the model is restarted. Default: 3.",
        json_schema_extra=OWN,
    )


class ModelSettings(Section):
    """What the file says under ``models.<id>``; macros are resolved, defaults of others not."""

    cmd: Annotated[Text, AfterValidator(without_nul)] = Field(
        default="",
        description="The command that starts the model's server; not run by a shell. Required.",
    )
    cmd_stop: Annotated[Text, AfterValidator(without_nul)] = Field(
        default="",
        description="The command that stops it; ${PID} is its process ID. Default: SIGTERM.",
    )
    proxy: Annotated[Text, AfterValidator(server_url)] = Field(
        default=DEFAULT_PROXY,
        description="The URL of the model's server: http://, https:// or unix:/PATH. "
        "Default: http://localhost:${PORT}.",
    )
    aliases: tuple[Item, ...] = Field(
        default=(), description="Other names that clients may use for the model. Default: none."
    )
    env: tuple[Annotated[Item, AfterValidator(env_entry)], ...] = Field(
        default=(),
        description="NAME=VALUE entries added to the environment of its commands. Default: none.",
    )
    check_endpoint: Annotated[Text, AfterValidator(health_path)] = Field(
        default="/health",
        description="Path that answers 200 when the model is ready. `none` asks nothing: the "
        "model counts as ready as soon as it runs, and requests fail until it listens. "
        "Default: /health.",
    )
    ttl: Whole = Field(
        default=-1,
        ge=-1,
        description="Seconds without a request after which the model is unloaded; 0 is never, "
        "-1 is globalTTL. Default: -1.",
    )
    unload_timeout: Whole = Field(
        default=0,
        ge=0,
        description="Seconds that a stop may take before it is forced; 0 is the top level's "
        "unloadTimeout. Default: 0.",
    )
    concurrency_limit: Whole = Field(
        default=0,
        description="Requests at once, waiting ones included, above which new ones get 429; "
        "0 is no limit. Default: 0.",
    )
    name: Text = Field(
        default="", description="A name for people, shown in listings. Default: none."
    )
    description: Text = Field(
        default="", description="A line for people, shown in listings. Default: none."
    )
    unlisted: Switch = Field(
        default=False,
        description="Leave the model out of listings; it stays usable. Default: false.",
    )
    use_model_name: Text = Field(
        default="",
        description="The model's name in requests to its server. Default: what the client sent.",
    )
    filters: ModelFilterSettings = Field(
        default=ModelFilterSettings(), description="What to change in the JSON of requests."
    )
    macros: Macros = Field(
        default_factory=dict,
        description="Macros of this model; one hides the global one of its name. Default: none.",
    )
    metadata: Data = Field(
        default_factory=dict,
        description="Anything, to be shown with the model in listings. Default: none.",
    )
    capabilities: Capabilities = Field(
        default=Capabilities(), description="What the model can do, shown in listings."
    )
    send_loading_state: Switch | None = Field(
        default=None,
        description="Tell streaming clients that the model is being loaded. "
        "Default: the top level's `sendLoadingState`.",
    )
    timeouts: Timeouts = Field(
        default=Timeouts(), description="How long to wait for the model's server."
    )
    compat: Compat = Field(default=Compat(), description="Ways around what some servers need.")
    health_check_timeout: Whole | None = Field(
        default=None,
        description="Without effect: the top level's `healthCheckTimeout` counts. Default: none.",
    )
    parallel: Whole = Field(
        default=0,
        ge=0,
        description="Requests that are served at once, the others wait; 0 is no limit. Default: 0.",
        json_schema_extra=OWN,
    )
    liveness: Liveness = Field(
        default=Liveness(),
        description="Health checks of a model that is ready, to find one that hangs.",
        json_schema_extra=OWN,
    )


@dataclass(frozen=True, slots=True)
class Model:
    """What swapd reads of one model: every value final.  Durations are in seconds."""

    id: ModelId
    #: The command, for people: macros resolved, comments gone.
    cmd: str
    argv: tuple[str, ...]
    #: Empty means SIGTERM; ``${PID}`` stands verbatim in it.
    stop_argv: tuple[str, ...]
    proxy: str
    #: NAME=VALUE entries; a later one of a name wins.
    env: tuple[str, ...]
    aliases: tuple[str, ...]
    #: Path and query of the health check, None to do without.
    check_endpoint: str | None
    #: Idle time after which the model is unloaded; 0 is never.
    ttl: int
    #: How long a stop may take before SIGKILL.
    unload_timeout: int
    #: How long a start may take.
    start_timeout: int
    #: Requests at once; 0 is no limit.
    concurrency_limit: int
    name: str
    description: str
    unlisted: bool
    #: The name to send upstream, empty to leave the client's.
    use_model_name: str
    filters: Filters = field(default_factory=Filters)
    #: Anything, as JSON has it.
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)
    capabilities: Capabilities = field(default_factory=Capabilities)
    send_loading_state: bool = False
    timeouts: Timeouts = field(default_factory=Timeouts)
    #: Websockets neither load the model nor keep it.
    ignore_websockets: bool = False
    #: Requests that are served at once, the others wait; 0 is no limit.
    parallel: int = 0
    liveness: Liveness = field(default_factory=Liveness)
