"""What swapd writes down of its work and shows: what the file says, and what swapd reads."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    model_validator,
)

from swapd.config.formats import duration
from swapd.config.section import OWN, Item, Section, Switch, Trimmed, Whole

SESSION_HEADERS = ("X-Session-ID", "X-Litellm-Session-Id")
PERFORMANCE_EVERY = 5.0


class LogLevel(StrEnum):
    """What is worth a line."""

    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


class LogTo(StrEnum):
    """Whose lines go to standard output."""

    PROXY = "proxy"
    UPSTREAM = "upstream"
    BOTH = "both"
    NONE = "none"


#: The layouts of a line's time that have a name; none but these is known.
TIME_FORMATS = (
    *("ansic", "unixdate", "rubydate", "rfc822", "rfc822z", "rfc850", "rfc1123", "rfc1123z"),
    *("rfc3339", "rfc3339nano", "kitchen", "stamp", "stampmilli", "stampmicro", "stampnano"),
)


class Store(Section):
    """What the file says under ``store``, and what swapd reads."""

    path: Trimmed = Field(
        default="", description="The SQLite file that remembers requests. Required."
    )
    max_rows: Whole = Field(
        default=0,
        ge=0,
        description="Requests to remember, the oldest go; 0 is no limit. Default: 0.",
        json_schema_extra=OWN,
    )
    max_days: Whole = Field(
        default=0,
        ge=0,
        description="Days to remember requests; 0 is no limit. Default: 0.",
        json_schema_extra=OWN,
    )


class Performance(Section):
    """What the file says under ``performance``, and what swapd reads."""

    disabled: Switch = Field(
        default=False, description="Do not measure the machine. Default: false."
    )
    every: Annotated[
        float,
        Field(allow_inf_nan=False),
        BeforeValidator(duration, json_schema_input_type=str),
        PlainSerializer(lambda seconds: f"{seconds}s", return_type=str),
    ] = Field(
        default=PERFORMANCE_EVERY,
        description="Time between measurements, as `5s` or `1m30s`, at least `5s`. Default: 5s.",
        json_schema_extra={"default": "5s"},
    )


def _headers(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return ``names`` without blanks, each once, as it is spelled first."""
    first: dict[str, str] = {}
    for name in names:
        if name.strip():
            first.setdefault(name.strip().lower(), name.strip())
    return tuple(first.values())


class ActivitySettings(Section):
    """What the file says under ``ui.activity``."""

    session_id: Annotated[tuple[Item, ...], AfterValidator(_headers)] = Field(
        default=SESSION_HEADERS,
        alias="session_id",
        description="Headers of requests that name a session, the first that is there counts; an "
        "empty list turns it off. Default: X-Session-ID, X-Litellm-Session-Id.",
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_no_header(cls, given: object) -> object:
        if isinstance(given, dict) and "session_id" in given and given["session_id"] is None:
            return {**given, "session_id": ()}
        return given


class UiSettings(Section):
    """What the file says under ``ui``."""

    activity: ActivitySettings = Field(
        default=ActivitySettings(), description="The page of requests."
    )


@dataclass(frozen=True, slots=True)
class Logging:
    """What swapd reads of its own log."""

    level: LogLevel
    #: One of TIME_FORMATS, empty for lines without a time.
    time_format: str
    to_stdout: LogTo
