"""Other servers whose models swapd passes on: what the file says, and what swapd reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import AfterValidator, Field

from swapd.config.filters import Filters, FilterSettings
from swapd.config.formats import header_value, server_url, word
from swapd.config.section import Item, Section, Text
from swapd.config.timeouts import PeerTimeouts


class PeerSettings(Section):
    """What the file says under ``peers.<id>``."""

    proxy: Annotated[Text, AfterValidator(server_url)] = Field(
        default="", description="The URL of the server: http://, https:// or unix:/PATH. Required."
    )
    api_key: Annotated[Text, AfterValidator(header_value)] = Field(
        default="",
        description="The key that the server wants, sent in the place of the client's. "
        "Default: none.",
    )
    models: tuple[Annotated[Item, AfterValidator(word)], ...] = Field(
        default=(), description="The models that it serves, by its names. Required."
    )
    filters: FilterSettings = Field(
        default=FilterSettings(), description="What to change in the JSON of requests."
    )
    timeouts: PeerTimeouts = Field(
        default=PeerTimeouts(), description="How long to wait for the server."
    )


@dataclass(frozen=True, slots=True)
class Peer:
    """What swapd reads of one peer."""

    id: str
    proxy: str
    #: Sent in the place of the client's; empty to send none.
    api_key: str = field(repr=False)
    models: tuple[str, ...]
    filters: Filters
    timeouts: PeerTimeouts


@dataclass(frozen=True, slots=True)
class PeerModel:
    """One model of a peer: whom to ask, and for what."""

    peer: str
    model: str

    @property
    def name(self) -> str:
        """The name that is the model's alone."""
        return f"{self.peer}/{self.model}"


def full_names(bare: str, models: Iterable[PeerModel]) -> list[str]:
    """Return the full names of those of ``models`` that their peers call ``bare``, sorted."""
    return sorted({model.name for model in models if model.model == bare})
