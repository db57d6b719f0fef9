"""What a request would come to now: it is played to a copy of the scheduler.  Changes nothing.

So the answer is that of the very rules that decide, not of others that resemble them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from swapd.ids import ModelId, Ticket
from swapd.policy.effects import Admit, Effect, Refuse, StartModel, StopModel
from swapd.policy.explaining import Explanation, listed, verdict
from swapd.policy.facts import RequestArrived
from swapd.policy.life import ModelState, Reason
from swapd.policy.scheduler import Scheduler

#: Later than any that there can be: who asks now is behind all who have asked.
_NEWEST = Ticket(2**62)


class Outcome(StrEnum):
    """What becomes of a request at once; a closed set that clients may rely on."""

    SERVED = "served"
    STARTS = "starts"  # its model is started, or those in its way are stopped
    JOINS = "joins"  # its model is starting already
    WAITS = "waits"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a request for ``model`` would come to."""

    model: ModelId
    state: ModelState
    explanation: Explanation
    outcome: Outcome
    #: Why it would be refused.
    refusal: str | None
    #: Who would be stopped for it at once.
    stops: tuple[ModelId, ...]
    #: Who must be gone or idle first, each with the reason why it is not.
    waits_for: Mapping[ModelId, str]
    #: Who else comes first, of those that it cannot run beside.
    ahead: tuple[ModelId, ...]


def outlook(scheduler: Scheduler, model: ModelId, now: float) -> Outlook:
    """Return what a request for ``model`` would come to at clock time ``now``."""
    imagined = scheduler.copy()
    effects = imagined.handle(RequestArrived(_NEWEST, model), now=now)
    explained = scheduler.explain(model)
    outcome = _outcome(scheduler.state(model), model, effects)
    waits = outcome is Outcome.WAITS
    blockers = dict(_blockers(scheduler, explained, now)) if waits else {}
    ahead = _ahead(imagined, model, now) if waits else []
    return Outlook(
        model,
        scheduler.state(model),
        explained,
        outcome,
        refusal=next(_refusals(effects), None),
        stops=tuple(_stops(effects)),
        waits_for=blockers,
        ahead=tuple(other for other in ahead if other not in blockers),
    )


def _outcome(state: ModelState, model: ModelId, effects: Sequence[Effect]) -> Outcome:
    if any(_refusals(effects)):
        return Outcome.REFUSED
    if any(isinstance(effect, Admit) and effect.ticket == _NEWEST for effect in effects):
        return Outcome.SERVED
    if state is ModelState.STARTING:
        return Outcome.JOINS
    starts = any(isinstance(effect, StartModel) and effect.model == model for effect in effects)
    return Outcome.STARTS if starts or any(_stops(effects)) else Outcome.WAITS


def _refusals(effects: Sequence[Effect]) -> Iterator[str]:
    for effect in effects:
        if isinstance(effect, Refuse) and effect.ticket == _NEWEST:
            yield effect.refusal.message


def _stops(effects: Sequence[Effect]) -> Iterator[ModelId]:
    for effect in effects:
        if isinstance(effect, StopModel) and effect.reason in {Reason.SWAP, Reason.ABORTED}:
            yield effect.model


def _blockers(
    scheduler: Scheduler, explained: Explanation, now: float
) -> Iterator[tuple[ModelId, str]]:
    for victim in explained.evict:
        match scheduler.state(victim):
            case ModelState.READY if scheduler.in_flight(victim):
                yield victim, f"serves {_requests(scheduler.in_flight(victim))}"
            case ModelState.READY:
                yield victim, "is ready, and serves first those who waited for it"
            case ModelState.STARTING:
                yield victim, f"is starting for {_requests(scheduler.waiting(victim))}"
            case ModelState.STOPPING:
                yield victim, "is stopping"
            case ModelState.STOPPED:
                yield victim, "is next: room is being made for it"
    model = explained.model
    if scheduler.state(model) is ModelState.STOPPING:
        yield model, "is stopping, and must be gone before it can start again"
    elif doomed_for := scheduler.doomed(now).get(model):
        yield doomed_for, f"is overdue: {model} makes way for it, and admits nobody else"
    elif scheduler.state(model) is ModelState.READY and not explained.evict:
        yield model, f"serves {_requests(scheduler.in_flight(model))}, and admits no more now"


def _requests(count: int) -> str:
    return "1 request" if count == 1 else f"{count} requests"


def _ahead(imagined: Scheduler, model: ModelId, now: float) -> list[ModelId]:
    """Return each model that is before ``model`` in the queue and cannot run beside it."""
    order = list(dict.fromkeys(place.want.model for place in imagined.queue(now)))
    before = order[: order.index(model)]
    return [other for other in before if imagined.clash(model, other)]


def told(expected: Outlook) -> str:
    """Return it in a few sentences."""
    model, evict = expected.model, expected.explanation.evict
    now = f"{model} is {expected.state}."
    match expected.outcome:
        case Outcome.SERVED:
            return f"{now} A request would be served at once."
        case Outcome.REFUSED:
            return f"{now} A request would be refused: {expected.refusal}."
        case Outcome.JOINS:
            return f"{now} A request would be served when it is ready."
        case Outcome.STARTS if not evict:
            return f"{now} A request would start it at once, and nothing is evicted."
        case Outcome.STARTS:
            return f"{now} {verdict(expected.explanation)}, at once."
    waits = [f"{other} {why}" for other, why in expected.waits_for.items()]
    if expected.ahead:
        waits.append(
            f"{listed(expected.ahead)} {'comes' if len(expected.ahead) == 1 else 'come'} first"
        )
    why = f": {'; '.join(waits)}" if waits else ""
    if evict:
        return f"{now} {verdict(expected.explanation)}. A request would wait{why}."
    return f"{now} A request would wait{why}."
