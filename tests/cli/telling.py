"""What a swapd tells, as a test writes it."""

from __future__ import annotations

import json

from swapd.cli.messages import (
    Message,
    ModelSeen,
    Place,
    RequestStep,
    Snapshot,
    Tokens,
    Transition,
)

#: A moment that tests take for now, in Unix seconds.
NOW = 1_800_000_000.0


def seen(model: str = "a", state: str = "stopped", age: float = 0.0, **others: object) -> ModelSeen:
    """Return a model that has been in ``state`` for ``age`` seconds."""
    known = ModelSeen(model=model, state=state, since=NOW - age)
    for name, value in others.items():
        setattr(known, name, value)
    return known


def place(
    model: str = "a", waited: float = 0.0, *, overdue: bool = False, behind: str = ""
) -> Place:
    """Return a request in the queue; ``behind`` lists whom it waits for."""
    return Place(
        model=model, reason="request", waited=waited, overdue=overdue, waits_for=behind.split()
    )


def snapshot(
    *models: ModelSeen, seq: int = 0, instance: str = "one", queue: tuple[Place, ...] = ()
) -> Snapshot:
    """Return a snapshot of ``models``."""
    return Snapshot(instance=instance, seq=seq, models=[*models], queue=[*queue])


def change(seq: int, new: str, model: str = "a", failed: str | None = None) -> Transition:
    """Return a transition of ``seq`` seconds ago; ``failed`` is what went wrong, if it did."""
    return Transition(
        seq=seq,
        time=NOW - seq,
        model=model,
        old="old",
        new=new,
        reason="crash" if failed else "request",
        detail=failed,
    )


def begun(number: int, model: str = "a") -> RequestStep:
    """Return the begin of a request, ``number`` seconds ago."""
    return RequestStep(
        event="begun",
        time=NOW - number,
        id=number,
        model=model,
        method="POST",
        path="/v1/x",
        client="10.0.0.1",
    )


def finished(
    model: str,
    generated: int | None,
    speed: float | None = None,
    *,
    number: int = 1,
    ago: float = 0.0,
    took: float = 0.0,
) -> RequestStep:
    """Return the end of a request of ``ago`` seconds before, which ``took`` some after waiting."""
    return RequestStep(
        event="finished",
        time=NOW - ago,
        id=number,
        model=model,
        usage=Tokens(generated=generated, generated_per_second=speed),
        duration=took + 5,
        queued=2,
        loaded=3,
    )


def as_told(message: Message, **others: object) -> bytes:
    """Return ``message`` as it comes, with ``others`` that we do not know."""
    import msgspec

    return json.dumps({**json.loads(msgspec.json.encode(message)), **others}).encode()
