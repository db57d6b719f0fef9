"""The logs: each model's, those of all models, swapd's own, and all of it in one.

A model's log also knows the last words of a life.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from swapd.config.observing import LogTo
from swapd.ids import ModelId
from swapd.telemetry.feed import Feed
from swapd.telemetry.log_stream import LogStream
from swapd.telemetry.ring import Ring

#: How much of its last words an error message shows, so that it stays readable.
LAST_LINES = 10
LAST_BYTES = 2048

#: How many characters of a line about progress are shown.
PROGRESS_CHARS = 120

_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_PERCENTAGE = re.compile(r"(?<![\d.,])(?:100(?:\.0+)?|\d{1,2}(?:\.\d+)?) ?%")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class ModelLog(LogStream):
    """One model's merged stdout and stderr, over all its lives."""

    def __init__(
        self,
        told: Callable[[bytes], None] = lambda _: None,
        hide: Callable[[str], str] = lambda text: text,
    ) -> None:
        """Begin with an empty log.

        Args:
          told: Called with all that is added.
          hide: Takes what nobody may read out of what becomes part of errors.
        """
        super().__init__()
        self._told = told
        self._hide = hide
        self._life = Ring(8 * LAST_BYTES)  # escapes and progress bars are cut out later
        self._is_amid_line = False

    def begin(self) -> None:
        """Begin a new life: the last words of the one before are not its own, nor its last line."""
        if self._is_amid_line:
            self.write(b"\n")
        self._life.clear()

    def write(self, data: bytes) -> None:
        """Add ``data``; whoever has to be told is told."""
        super().write(data)
        self._is_amid_line = not data.endswith(b"\n")
        self._life.write(data)
        self._told(data)

    def last_words(self) -> str:
        """Return the last lines of this life, without control characters.

        At most 10 lines and 2 KiB; of a line that was written over and over, as progress
        bars are, only the last state.
        """
        text = _ESCAPES.sub("", self._life.read().decode(errors="replace"))
        lines = [_visible(line) for line in text.split("\n")]
        words = self._hide("\n".join([line for line in lines if line][-LAST_LINES:]))
        return words.encode()[-LAST_BYTES:].decode(errors="ignore")

    def progress(self) -> str | None:
        """Return the newest line of this life with a percentage, or None if there is none.

        It has no control characters, and 120 characters at most.
        """
        text = _ESCAPES.sub("", self._life.read().decode(errors="replace"))
        for line in reversed(re.split(r"[\r\n]+", text)):
            if _PERCENTAGE.search(line):
                shown = self._hide(_CONTROLS.sub("", line).strip())
                return shown[:PROGRESS_CHARS].rstrip()
        return None


class Confluence(LogStream):
    """A log of several sources, of which none goes on amid a line of another."""

    def __init__(self) -> None:
        """Begin with an empty log."""
        super().__init__()
        self._outlet = _Outlet(self.write)

    def pour(self, source: object, data: bytes) -> None:
        """Add what ``source`` says."""
        self._outlet.pour(source, data)


class _Outlet:
    """Where what several sources say is written; a line is ended before another source has one."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._latest: object = None
        self._is_amid_line = False

    def pour(self, source: object, data: bytes) -> None:
        if self._is_amid_line and source is not self._latest:
            data = b"\n" + data
        self._latest = source
        self._is_amid_line = not data.endswith(b"\n")
        self._write(data)


class Logs:
    """All logs.  Each can be listened to: ``with logs.proxy.subscribe() as pieces: …``.

    Attributes:
      proxy: What swapd itself says, in whole lines.
      upstream: What the models say, all of them.
      everything: Both.
      news: Each piece as it comes, with its source: a model's ID, or ``proxy``.
      hide: Takes what nobody may read out of the last words of models, which become part of errors.
    """

    def __init__(
        self, to_stdout: LogTo = LogTo.NONE, write: Callable[[bytes], None] = lambda _: None
    ) -> None:
        """Begin with empty logs; call ``write`` with what ``to_stdout`` says."""
        self.proxy = LogStream()
        self.upstream = Confluence()
        self.everything = Confluence()
        self._outlet = _Outlet(write)
        self._shows_proxy = to_stdout in {LogTo.PROXY, LogTo.BOTH}
        self._shows_upstream = to_stdout in {LogTo.UPSTREAM, LogTo.BOTH}
        self.news: Feed[tuple[str, bytes]] = Feed()
        self.hide: Callable[[str], str] = lambda text: text
        self._models: dict[ModelId, ModelLog] = {}

    def of(self, model: ModelId) -> ModelLog:
        """Return the log of ``model``, which is empty before its first start."""
        if model not in self._models:
            self._models[model] = ModelLog(
                lambda data: self._take(model, data), lambda text: self.hide(text)
            )
        return self._models[model]

    def say(self, line: bytes) -> None:
        """Add a line of swapd's own, or several, with their ends."""
        self.proxy.write(line)
        self.everything.pour(self.proxy, line)
        if self._shows_proxy:
            self._outlet.pour(self.proxy, line)
        self.news.tell(("proxy", line))

    def close(self) -> None:
        """End whatever is being read; writing goes on."""
        for log in (self.proxy, self.upstream, self.everything, *self._models.values()):
            log.close()

    def _take(self, model: ModelId, data: bytes) -> None:
        self.upstream.pour(model, data)
        self.everything.pour(model, data)
        if self._shows_upstream:
            self._outlet.pour(model, data)
        self.news.tell((model, data))


def _visible(line: str) -> str:
    return _CONTROLS.sub("", line.rstrip().rpartition("\r")[2]).rstrip()
