"""How fast each model has generated of late, by the answers that are over.  No clock, no I/O."""

from __future__ import annotations

from collections import deque

from swapd.cli.messages import RequestStep

#: Seconds for which an answer counts; the last one counts until its model is stopped.
_LATELY = 60.0


class Speeds:
    """Tokens per second by model."""

    def __init__(self) -> None:
        """Know of no answer."""
        self._answers: dict[str, deque[tuple[float, int, float]]] = {}

    def note(self, step: RequestStep) -> None:
        """Take note of a request that is over, if its server has counted tokens."""
        tokens = step.usage.generated if step.usage else None
        if not step.usage or not tokens:
            return
        # Where its server does not tell the speed, what it took to read the prompt counts too.
        served = step.duration - step.queued - step.loaded
        speed = step.usage.generated_per_second
        seconds = tokens / speed if speed else served
        if seconds > 0:
            answers = self._answers.setdefault(step.model, deque())
            answers.append((step.time, tokens, seconds))
            while answers[0][0] < step.time - _LATELY:
                answers.popleft()

    def forget(self, model: str) -> None:
        """Let what another process has generated count no more."""
        self._answers.pop(model, None)

    def of(self, model: str, now: float) -> float | None:
        """Return how many tokens a second one answer of ``model`` came at, in the last minute.

        If there was none in it, that of the last one; None if there was none at all.
        """
        answers = self._answers.get(model)
        if not answers:
            return None
        lately = [each for each in answers if each[0] >= now - _LATELY] or [answers[-1]]
        return sum(tokens for _, tokens, _ in lately) / sum(seconds for *_, seconds in lately)
