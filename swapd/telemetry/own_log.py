"""swapd's own log: whatever is said by ``logging`` in this process goes one way, through here.

Rule 1: no key that the configuration holds is ever written, whoever says it; but for the shortest,
    for other words would be taken for those.
Rule 2: what other libraries say is written from a warning on: some would tell what they handle.
Rule 3: what happens often is written a moment later, many lines at once, which costs half; but
    before whatever is said after it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import msgspec
import structlog
import trio

from swapd.config.observing import LogLevel
from swapd.config.schema import Config
from swapd.telemetry.log_lines import Happened, LogFormat, lines_of

_log = logging.getLogger("swapd.log")

#: Above it everything is ours.
_OURS = "swapd"

_LEVELS = {
    LogLevel.DEBUG: logging.DEBUG,
    LogLevel.INFO: logging.INFO,
    LogLevel.WARN: logging.WARNING,
    LogLevel.ERROR: logging.ERROR,
}

#: The words for levels, by the ones that ``logging`` has.
_WORDS = {"WARNING": "WARN", "CRITICAL": "ERROR"}

#: Seconds for which what happens often may wait.
_PAUSE = 0.01

#: Shorter keys are parts of words.
_SHORTEST_SECRET = 8


class OwnLog:
    """Takes what is logged while it is ``installed``, and says it in lines."""

    def __init__(self, form: LogFormat, config: Config, say: Callable[[bytes], None]) -> None:
        """Call ``say`` with each line, or several, in Trio's thread if there is one.

        Args:
          form: How lines are written.
          config: Says what is written, how lines say the time, and what no line may hold.
          say: Must not block, nor log.
        """
        self._form = form
        self._say = say
        self._token: trio.lowlevel.TrioToken | None = None
        self.handler = _Handler(self._take)
        self.reconfigure(config)

    def reconfigure(self, config: Config) -> None:
        """Go by ``config`` from now on."""
        self.handler.settle()
        self.handler.lines = lines_of(self._form, config.logging.time_format)
        keys = (*config.api_keys, *(peer.api_key for peer in config.peers.values()))
        secrets = {form for key in keys if len(key) >= _SHORTEST_SECRET for form in _forms(key)}
        # The longest first: of a key that begins with another nothing must be left over.
        self._secrets = sorted(secrets, key=len, reverse=True)
        logging.getLogger(_OURS).setLevel(_LEVELS[config.logging.level])

    def enter_trio(self) -> None:
        """Have all lines said in this thread, whichever they come from."""
        self._token = trio.lowlevel.current_trio_token()

    def happened(self, what: Happened) -> None:
        """Say ``what``, soon if ``run`` runs, else now; in Trio's thread only."""
        self.handler.happened(what)

    async def run(self) -> None:
        """Write what happens often now and then, until cancelled (rule 3)."""
        handler = self.handler
        handler.may_wait = True
        try:
            while True:
                await handler.news.wait()
                await trio.sleep(_PAUSE)
                handler.news = trio.Event()
                handler.settle()
        finally:
            handler.may_wait = False
            handler.settle()

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Take what is logged, for the length of the block."""
        root = logging.getLogger()
        root.setLevel(logging.WARNING)
        root.addHandler(self.handler)
        try:
            yield
        finally:
            root.removeHandler(self.handler)

    def without_keys(self, text: str) -> str:
        """Return ``text`` with ``***`` in place of every key of the configuration."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, "***")
        return text

    def _take(self, lines: str) -> None:
        data = self.without_keys(lines).encode(errors="backslashreplace")
        if self._token is None or trio.lowlevel.in_trio_run():
            self._say(data)
            return
        try:
            self._token.run_sync_soon(self._say_in_turn, data)
        except trio.RunFinishedError:
            self._say(data)

    def _say_in_turn(self, data: bytes) -> None:
        self.handler.settle()  # rule 3
        self._say(data)


def _forms(key: str) -> Iterator[str]:
    """Yield how ``key`` may stand in a line: as it is, between quotes, and both in JSON."""
    yield key
    quoted = key.replace("\\", "\\\\").replace('"', '\\"')
    yield quoted
    for said in (key, quoted):
        yield msgspec.json.encode(said).decode()[1:-1]


class _Handler(logging.Handler):
    """Makes a line of each record, most by way of structlog."""

    def __init__(self, take: Callable[[str], None]) -> None:
        super().__init__()
        self.lines = lines_of(LogFormat.CONSOLE, "")
        #: Whether what happened may wait for ``settle``.
        self.may_wait = False
        #: Set when something waits.
        self.news = trio.Event()
        self._waiting: list[tuple[float, Happened]] = []
        self._take = take
        self.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                foreign_pre_chain=[
                    structlog.stdlib.add_logger_name,
                    structlog.stdlib.ExtraAdder(),
                    structlog.processors.format_exc_info,
                ],
                processors=[self._line],
            )
        )

    def emit(self, record: logging.LogRecord) -> None:
        if self._waiting and trio.lowlevel.in_trio_run():
            self.settle()
        try:
            self._take(self.format(record))
        except Exception:  # noqa: BLE001  as every handler does: a line must not end what it is about
            self.handleError(record)

    def happened(self, what: Happened) -> None:
        """Have ``what`` written, soon if that may wait."""
        self._waiting.append((time.time(), what))  # noqa: TID251  shown
        self.news.set()
        if not self.may_wait:
            self.settle()

    def settle(self) -> None:
        """Write what waits; in Trio's thread only."""
        waiting, self._waiting = self._waiting, []
        try:
            if lines := "".join(self._happened(when, what) for when, what in waiting):
                self._take(lines)
        except Exception as error:  # noqa: BLE001  a line must not end what it is about
            _log.error("%d lines of the log are lost for a bug", len(waiting), exc_info=error)

    def _happened(self, when: float, what: Happened) -> str:
        """Return the line of ``what``; none, but word of it, if that cannot be made."""
        try:
            return self.lines.happened("INFO", when, what)
        except Exception as error:  # noqa: BLE001  nor take others with it
            _log.error("a line of the log is lost for a bug", exc_info=error)
            return ""

    def _line(self, logger: object, name: str, event: MutableMapping[str, Any]) -> str:
        record = event.pop("_record")
        event.pop("_from_structlog")
        event.pop("message", None)  # of another handler's formatter: ``event`` says it
        level = _WORDS.get(record.levelname, record.levelname)
        return self.lines.line(level, record.created, str(event.pop("event")), event)
