"""swapd's own HTTP server: what the file says, which is also what swapd reads."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from swapd.config.formats import host_name, origin
from swapd.config.section import OWN, Item, Seconds, Section, Switch, Whole

DEFAULT_IGNORE_PATH = r".*\.(js|json|css|png|gif|jpg|jpeg|ico|txt)$"


class Server(Section):
    """What the file says under ``server``."""

    max_body: Whole = Field(
        default=0,
        ge=0,
        description="Bytes that the body of a request may have; 0 is no limit. Default: 0.",
        json_schema_extra=OWN,
    )
    allowed_hosts: tuple[Annotated[Item, AfterValidator(host_name)], ...] = Field(
        default=(),
        description="Host names, beside those of the loopback, under which swapd is reached when "
        "it listens on the loopback; `*` is all. Default: none.",
        json_schema_extra=OWN,
    )
    header_timeout: Seconds = Field(
        default=30.0,
        description="Seconds that the head of a request may take, from its first byte; 0 is "
        "no limit. Default: 30.",
        json_schema_extra=OWN,
    )
    keep_alive: Seconds = Field(
        default=15.0,
        description="Seconds between comments in a stream that has nothing to say, so that nobody "
        "takes it for dead; 0 is none. Default: 15.",
        json_schema_extra=OWN,
    )
    shutdown_grace: Seconds = Field(
        default=30.0,
        description="Seconds that running requests may take to finish at shutdown. Default: 30.",
        json_schema_extra=OWN,
    )
    drain_timeout: Seconds = Field(
        default=300.0,
        description="Seconds that running requests may take to finish when a new configuration "
        "changes or removes their model. Default: 300.",
        json_schema_extra=OWN,
    )
    fast_transport: Switch = Field(
        default=True,
        description="Serve plain requests without Hypercorn's and h11's handling of HTTP, at half "
        "the cost; false is for the case that this goes wrong. Default: true.",
        json_schema_extra=OWN,
    )


class Cors(Section):
    """What the file says under ``cors``."""

    origins: tuple[Annotated[Item, AfterValidator(origin)], ...] = Field(
        default=(),
        description="Origins of web pages that may use swapd, as `https://app.example`; `*` is "
        "all. Default: none.",
        json_schema_extra=OWN,
    )


class UpstreamSettings(Section):
    """What the file says under ``upstream``."""

    ignore_paths: tuple[Item, ...] = Field(
        default=(),
        description="Regular expressions (RE2): a path under `/upstream/<model>` in which one is "
        "found does not load the model. Default: files of web pages, such as .js and .png.",
    )
