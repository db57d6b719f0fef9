"""One model: what the file says of it (ModelSettings), and what swapd reads (Model)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from swapd.config.formats import env_entry, health_path, http_url, without_nul
from swapd.config.keys import NOT_YET_IN_MODEL
from swapd.config.section import Item, Section, Switch, Text, Whole
from swapd.ids import ModelId

DEFAULT_PROXY = "http://localhost:${PORT}"


class ModelSettings(Section):
    """What the file says under ``models.<id>``; macros are resolved, defaults of others not."""

    not_yet = NOT_YET_IN_MODEL

    cmd: Annotated[Text, AfterValidator(without_nul)] = Field(
        "",
        description="The command that starts the model's server; not run by a shell. Required.",
    )
    cmd_stop: Annotated[Text, AfterValidator(without_nul)] = Field(
        "",
        description="The command that stops it; ${PID} is its process ID. Default: SIGTERM.",
    )
    proxy: Annotated[Text, AfterValidator(http_url)] = Field(
        DEFAULT_PROXY,
        description="The URL of the model's server. Default: http://localhost:${PORT}.",
    )
    aliases: tuple[Item, ...] = Field(
        (), description="Other names that clients may use for the model. Default: none."
    )
    env: tuple[Annotated[Item, AfterValidator(env_entry)], ...] = Field(
        (),
        description="NAME=VALUE entries added to the environment of its commands. Default: none.",
    )
    check_endpoint: Annotated[Text, AfterValidator(health_path)] = Field(
        "/health",
        description="Path that answers 200 when the model is ready, or none. Default: /health.",
    )
    ttl: Whole = Field(
        -1,
        ge=-1,
        description="Seconds without a request after which the model is unloaded; 0 is never, "
        "-1 is globalTTL. Default: -1.",
    )
    unload_timeout: Whole = Field(
        0,
        ge=0,
        description="Seconds that a stop may take before it is forced; 0 is the top level's "
        "unloadTimeout. Default: 0.",
    )
    concurrency_limit: Whole = Field(
        0,
        description="Requests at once, waiting ones included, above which new ones get 429; "
        "0 is no limit. Default: 0.",
    )
    name: Text = Field("", description="A name for people, shown in listings. Default: none.")
    description: Text = Field(
        "", description="A line for people, shown in listings. Default: none."
    )
    unlisted: Switch = Field(
        False, description="Leave the model out of listings; it stays usable. Default: false."
    )
    use_model_name: Text = Field(
        "", description="The model's name in requests to its server. Default: what the client sent."
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
