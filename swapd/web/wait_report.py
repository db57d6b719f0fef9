"""What one client is told of its wait for a model, line by line.  No I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from swapd.ids import ModelId
from swapd.policy.life import ModelState

#: Seconds between two questions for news.
LOOK_EVERY = 1.0

#: Seconds after which the time is told, if there is no other news.
TIME_EVERY = 5.0

#: Seconds between two lines of which only the details differ, as a progress bar's do.
DETAILS_EVERY = 2.0


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known of those who wait for one model.

    Attributes:
      state: Where the model is in its life.
      position: Its place in the queue, the first being 1; None if nobody waits for it.
      waits_for: Who must be gone before it is served, and where each is in its life.
      overdue: Whether those must make way for it.
      yields_to: Whose turn comes before the model serves anybody else.
      progress: How far its start is, in the words of its own log.
    """

    state: ModelState
    position: int | None = None
    waits_for: tuple[tuple[ModelId, ModelState], ...] = ()
    overdue: bool = False
    yields_to: ModelId | None = None
    progress: str | None = None

    @property
    def is_wait(self) -> bool:
        """Whether a request has to wait, as far as is known."""
        return self.position is not None or self.state is not ModelState.READY


class Report:
    """The lines about one wait."""

    def __init__(
        self, model: ModelId, *, every: float = TIME_EVERY, is_another: bool = False
    ) -> None:
        """Report on the wait for ``model``, the first one or another.

        Args:
          model: What is awaited.
          every: Seconds without news after which the time is told.
          is_another: Whether its process has died under the request.
        """
        self._model = model
        self._is_another = is_another
        self._every = every
        self._told: tuple[str, str] | None = None
        self._told_at = 0.0

    @property
    def began(self) -> bool:
        """Whether anything was told."""
        return self._told is not None

    def opening(self) -> str:
        """Return the first line."""
        why = " (again: its process has ended)" if self._is_another else ""
        return f"swapd loading model: {self._model}{why}"

    def anew(self) -> Report:
        """Return the report on another wait of the same request."""
        return Report(self._model, every=self._every, is_another=True)

    def news(self, situation: Situation, waited: float) -> str | None:
        """Return what has changed, or how long it takes, if it is time to say so.

        Args:
          situation: What is known now.
          waited: Seconds since the request came.
        """
        known, before = _words(situation), self._told
        if waited - self._told_at < self._patience(known) - LOOK_EVERY / 2:
            return None  # there will be another question nearer to the time
        self._told, self._told_at = known, waited
        if before is None and known == (_LOADING, ""):
            return None  # the first line says it
        head, details = known
        time = f" ({waited:.0f} s)" if waited >= 1 else ""
        return f"{head}{time}{': ' if details else ''}{details}"

    def _patience(self, known: tuple[str, str]) -> float:
        """Return for how many seconds after the last line there is to be none that says this."""
        if self._told is None or known[0] != self._told[0]:
            return 0.0
        return self._every if known == self._told else min(self._every, DETAILS_EVERY)

    def closing(self, waited: float) -> str:
        """Return the last line, after ``waited`` s, when the model is ready."""
        return f"Done! ({waited:.2f}s)"


_LOADING = "Loading"

#: What is awaited of another model.
_FOR = {
    ModelState.STARTING: "{} is loaded first",
    ModelState.READY: "waiting for {} to finish",
    ModelState.STOPPING: "waiting for {} to end",
    ModelState.STOPPED: "{} is loaded first",  # its place is being made
}


def _words(situation: Situation) -> tuple[str, str]:
    if situation.state is ModelState.STARTING:
        return _LOADING, situation.progress or ""
    if situation.position is None:
        return _LOADING, ""  # it is not in the queue yet, or not any more
    return f"Queue position: #{situation.position}", "; ".join(_obstacles(situation))


def _obstacles(situation: Situation) -> Iterator[str]:
    if situation.yields_to is not None:
        yield f"{situation.yields_to} comes first"
    for model, state in situation.waits_for:
        yield _FOR[state].format(model)
    if situation.overdue and situation.waits_for:
        yield "nobody else is served there any more"
    if situation.state is ModelState.STOPPING:
        yield "waiting for its last process to end"
    elif situation.state is ModelState.READY and not (situation.waits_for or situation.yields_to):
        yield "its server is busy"
