"""Which models may run together, and who comes first: what the file says, and what swapd reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pydantic import Field

from swapd.config.matrix import Matrix
from swapd.config.section import OWN, Item, Seconds, Section, Switch, Text, Whole
from swapd.ids import ModelId


class Router(StrEnum):
    """What decides which models may run together."""

    GROUP = "group"
    MATRIX = "matrix"


class Order(StrEnum):
    """What decides who comes first."""

    FIFO = "fifo"


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


class MatrixSettings(Section):
    """What the file says under ``matrix``."""

    vars: dict[str, Text] = Field(
        default_factory=dict,
        description="Short names for model IDs, to use in `sets`: 1 to 32 of a-z, A-Z, 0-9, - "
        "and `.`. Default: none.",
    )
    evict_costs: dict[str, Whole] = Field(
        default_factory=dict,
        alias="evict_costs",
        description="What it costs to stop a model, by its ID or variable, at least 1; the "
        "cheapest way is taken. Default: 1 each.",
    )
    sets: dict[str, Text] = Field(
        default_factory=dict,
        description="Models that may run together, by the name of the set: IDs or variables "
        "joined by `&` (together) and `|` (one of them), parentheses, and `+name` for another "
        "set. Required.",
    )


class RouterChoices(Section):
    """What the file says under ``routing.router.settings``."""

    groups: dict[str, GroupSettings] = Field(
        default_factory=dict,
        description="Groups by their names. Default: all models share one swapping group.",
    )
    matrix: MatrixSettings | None = Field(
        default=None, description="Sets of models that may run together. Default: none."
    )


class RouterSettings(Section):
    """What the file says under ``routing.router``."""

    use: Router | None = Field(
        default=None,
        description="`group` or `matrix`; the settings of the other rest. Default: group.",
    )
    settings: RouterChoices = Field(default=RouterChoices(), description="The settings of each.")


class FifoSettings(Section):
    """What the file says under ``routing.scheduler.settings.fifo``."""

    priority: dict[str, Whole] = Field(
        default_factory=dict,
        description="A model's priority by its ID or alias; higher is served first. "
        "Default: 0 each.",
    )
    max_wait: Seconds = Field(
        default=30.0,
        description="Seconds after which a waiting request goes before all newer ones; 0 is never. "
        "Default: 30.",
        json_schema_extra=OWN,
    )
    max_queue: Whole = Field(
        default=512,
        ge=0,
        description="Requests that may wait, for all models together; 0 is no limit. Default: 512.",
        json_schema_extra=OWN,
    )
    restore_on_failure: Switch = Field(
        default=True,
        description="Whether models that were stopped for one that then failed to start are "
        "started again. Default: true.",
        json_schema_extra=OWN,
    )


class OrderSettings(Section):
    """What the file says under ``routing.scheduler.settings``."""

    fifo: FifoSettings = Field(default=FifoSettings(), description="First come, first served.")


class SchedulerSettings(Section):
    """What the file says under ``routing.scheduler``."""

    use: Order = Field(default=Order.FIFO, description="`fifo`, the only one. Default: fifo.")
    settings: OrderSettings = Field(default=OrderSettings(), description="The settings of each.")


class RoutingSettings(Section):
    """What the file says under ``routing``."""

    router: RouterSettings = Field(
        default=RouterSettings(), description="Which models may run together."
    )
    scheduler: SchedulerSettings = Field(
        default=SchedulerSettings(), description="Which request comes first."
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
class Routing:
    """What swapd reads of who may run together, and who comes first."""

    router: Router
    #: With the router ``matrix``; the groups of the configuration are then empty.
    matrix: Matrix | None
    #: Higher is served first; a model that is not here has 0.
    priority: Mapping[ModelId, int]
    #: Seconds after which a waiting request is overdue; 0 is never.
    max_wait: float
    #: Requests that may wait; 0 is no limit.
    max_queue: int
    restore_on_failure: bool
