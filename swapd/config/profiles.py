"""Names that mean something else while a profile is active: what the file says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field

from swapd.config.section import Section, Text


class ProfileSettings(Section):
    """What the file says under ``profiles.<name>``."""

    description: Text = Field(default="", description="A line for people. Default: none.")
    pins: dict[str, Text | None] = Field(
        default_factory=dict,
        description="What a name means while the profile is active: a model, an alias, a peer's "
        "model or a selector; nothing, so that the name is unknown. Required.",
    )


@dataclass(frozen=True, slots=True)
class Profile:
    """What swapd reads of one profile."""

    name: str
    description: str
    #: What each name means, as it is written; None to disable the name.
    pins: Mapping[str, str | None]
