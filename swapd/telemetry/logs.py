"""What the models say: the newest output of each, and the last words of a life."""

from __future__ import annotations

import re

from swapd.ids import ModelId
from swapd.telemetry.ring import Ring

#: How much of a model's output is kept, over all its lives.
HISTORY_BYTES = 100 * 1024

#: How much of its last words an error message shows, so that it stays readable.
LAST_LINES = 10
LAST_BYTES = 2048

#: How many characters of a line about progress are shown.
PROGRESS_CHARS = 120

_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_PERCENTAGE = re.compile(r"(?<![\d.,])(?:100(?:\.0+)?|\d{1,2}(?:\.\d+)?) ?%")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class ModelLog:
    """One model's merged stdout and stderr."""

    def __init__(self) -> None:
        self._history = Ring(HISTORY_BYTES)
        self._life = Ring(8 * LAST_BYTES)  # escapes and progress bars are cut out later

    def begin(self) -> None:
        """Begin a new life: the last words of the one before are not its own."""
        self._life.clear()

    def write(self, data: bytes) -> None:
        """Keep ``data``, at the cost of the oldest."""
        self._history.write(data)
        self._life.write(data)

    def history(self) -> bytes:
        """Return the newest output, as it was written."""
        return self._history.read()

    def last_words(self) -> str:
        """Return the last lines of this life, without control characters.

        At most 10 lines and 2 KiB; of a line that was written over and over, as progress
        bars are, only the last state.
        """
        text = _ESCAPES.sub("", self._life.read().decode(errors="replace"))
        lines = [_visible(line) for line in text.split("\n")]
        words = "\n".join([line for line in lines if line][-LAST_LINES:])
        return words.encode()[-LAST_BYTES:].decode(errors="ignore")

    def progress(self) -> str | None:
        """Return the newest line of this life with a percentage, or None if there is none.

        It has no control characters, and 120 characters at most.
        """
        text = _ESCAPES.sub("", self._life.read().decode(errors="replace"))
        for line in reversed(re.split(r"[\r\n]+", text)):
            if _PERCENTAGE.search(line):
                return _CONTROLS.sub("", line).strip()[:PROGRESS_CHARS].rstrip()
        return None


class Logs:
    """The log of each model."""

    def __init__(self) -> None:
        self._logs: dict[ModelId, ModelLog] = {}

    def of(self, model: ModelId) -> ModelLog:
        """Return the log of ``model``, which is empty before its first start."""
        return self._logs.setdefault(model, ModelLog())


def _visible(line: str) -> str:
    return _CONTROLS.sub("", line.rstrip().rpartition("\r")[2]).rstrip()
