"""What the lifecycle websocket says, as values.  Members that we do not know are passed over.

Members that have a default need not be there: another version of swapd may not tell them.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from swapd.errors import CannotReach


class ModelSeen(msgspec.Struct, kw_only=True):
    """One model.  Times are Unix seconds, durations seconds."""

    model: str
    state: str
    since: float
    pid: int | None = None
    in_flight: int = 0
    waiting: int = 0
    #: Why its last life ended by itself, or what is wrong with this one.
    error: str | None = None
    #: For whom it drains.
    doomed_for: str | None = None
    #: How long it will not be started, after failures.
    backoff: float | None = None
    #: What of it cannot be killed.
    stuck: str | None = None


class Place(msgspec.Struct, kw_only=True):
    """One place in the queue; ``waited`` is in seconds."""

    model: str
    reason: str
    waited: float
    position: int | None = None
    overdue: bool = False
    waits_for: list[str] = []


class Snapshot(msgspec.Struct, kw_only=True, tag_field="type", tag="snapshot"):
    """Everything at one moment, after the transition ``seq``: at first, and after a reload."""

    instance: str
    seq: int
    models: list[ModelSeen]
    queue: list[Place]
    #: Whether transitions are missing before it.
    gap: bool = False


class Queue(msgspec.Struct, kw_only=True, tag_field="type", tag="queue"):
    """Who waits from now on, and who is served."""

    queue: list[Place]
    #: Who must make way, and for whom.
    doomed: dict[str, str] = {}
    in_flight: dict[str, int] = {}
    #: For how many seconds each that has failed may not be started.
    backoff: dict[str, float] = {}


class Transition(msgspec.Struct, kw_only=True, tag_field="type", tag="transition"):
    """One change of a model's state."""

    seq: int
    time: float
    model: str
    old: str
    new: str
    reason: str
    pid: int | None = None
    exit_code: int | None = None
    detail: str | None = None

    @property
    def failed(self) -> bool:
        """Whether nobody wanted this: its detail then is what went wrong."""
        return self.reason in _FAILURES


class RequestSeen(msgspec.Struct, kw_only=True):
    """A request that is under way, since a moment in Unix seconds."""

    id: int
    model: str
    method: str = ""
    path: str = ""
    client: str | None = None
    since: float = 0.0
    phase: str = "waiting"


class Requests(msgspec.Struct, kw_only=True, tag_field="type", tag="requests"):
    """All requests that are under way."""

    requests: list[RequestSeen]


class Tokens(msgspec.Struct, kw_only=True):
    """What the model's server said of one answer."""

    generated: int | None = None
    generated_per_second: float | None = None


class RequestStep(msgspec.Struct, kw_only=True, tag_field="type", tag="request"):
    """What happens to a request: it has begun, is admitted, or is finished."""

    event: str
    time: float
    id: int | None
    model: str
    method: str = ""
    path: str = ""
    client: str | None = None
    usage: Tokens | None = None
    duration: float = 0.0
    queued: float = 0.0
    loaded: float = 0.0


Message: TypeAlias = Snapshot | Queue | Transition | Requests | RequestStep

#: Reasons that nobody gave.
_FAILURES = {"crash", "hung", "start_failed"}

_KINDS = {"snapshot", "queue", "transition", "requests", "request"}


class _Typed(msgspec.Struct):
    type: str


def read(message: bytes) -> Message | None:
    """Return what ``message`` says, or None if it is of a kind that we do not know.

    Raises:
      CannotReach: It is nothing that a swapd says.
    """
    try:
        if msgspec.json.decode(message, type=_Typed).type not in _KINDS:
            return None
        said: Message = msgspec.json.decode(message, type=Message)
        return said
    except msgspec.MsgspecError as error:
        raise CannotReach(f"what was said on the websocket is not swapd's: {error}") from None


def read_snapshot(message: bytes) -> Snapshot:
    """Return the snapshot that ``message`` is.

    Raises:
      CannotReach: It is nothing that a swapd says first.
    """
    match read(message):
        case Snapshot() as snapshot:
            return snapshot
        case _:
            raise CannotReach("what was said first on the websocket is no snapshot")
