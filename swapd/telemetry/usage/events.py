"""Reads what a stream of events says of tokens.  No I/O.

Rule 1: what says nothing of them is searched for four words, and not looked at otherwise.
Rule 2: some servers count on in every event.  After the first few only the latest of each kind is
    read, and only when it is needed: the others said the same with smaller numbers.
Rule 3: what is kept is the line that is under way, those, and the piece that came last; no line
    that is long.
Rule 4: a stream is over when it says so: servers may take their time to end the answer then, and
    clients need not wait for that.
"""

from __future__ import annotations

import re

from swapd.telemetry.usage.document import SHORT_BYTES
from swapd.telemetry.usage.effort import Effort
from swapd.telemetry.usage.said import Account
from swapd.telemetry.usage.scanner import Scanner

_WANTED = re.compile(rb'"(usage|timings|metrics|error)"\s*+:\s*+[{"]')
_FIELD = b"data:"

#: The last words of OpenAI's streams, of Anthropic's, and of responses.
_DONE = (b"data: [DONE]", b"data:[DONE]")
_LAST = re.compile(
    rb"^(?:data:[ ]?\[DONE\]|event:[ ]?(?:message_stop|response\.(?:completed|incomplete)))\r?$"
    rb'|^data:[ ]?\{\s*+"type"\s*+:\s*+"(?:message_stop|response\.(?:completed|incomplete))"',
    re.MULTILINE,
)

#: What is not longer is no more than the end of an event.
_BLANK_BYTES = 2

#: What a line costs that is looked at.
_STEPS = 16

#: Of how many lines each is read, before only the latest ones are.
_EAGER = 8


class Events:
    """One answer that is a stream of events."""

    def __init__(self, account: Account, effort: Effort) -> None:
        """Have ``account`` told what is said."""
        self._account = account
        self._effort = effort
        self._line = b""  # that has begun
        self._scanner: Scanner | None = None  # of a line that is long
        self._eager = _EAGER
        self._latest: dict[bytes, bytes] = {}
        self._lines = b""  # that came last, with the beginning of what follows

    def feed(self, data: bytes) -> None:
        """Take the next piece."""
        if self._scanner is not None:
            end = data.find(b"\n")
            self._scanner.feed(data if end < 0 else data[:end])
            if end < 0:
                return
            self._scanner = None
            data = data[end + 1 :]
        elif self._line:
            data = self._line + data
        end = data.rfind(b"\n") + 1
        if end:
            self._read(data, end)
            if end > _BLANK_BYTES:
                self._lines = data
        self._line = data[end:]
        if len(self._line) > SHORT_BYTES:
            self._scan()

    def finish(self) -> None:
        """Read the last line, which nothing needs to end."""
        self._catch_up()
        self._read_line(self._line)

    def is_over(self) -> bool:
        """Tell whether the stream has said its last words, and nothing more has begun."""
        if self._scanner is not None or self._line:
            return self._line.rstrip() in _DONE
        return _LAST.search(self._lines) is not None

    def _read(self, data: bytes, end: int) -> None:
        """Read the lines before ``end`` that say something."""
        at = 0
        while (hit := _WANTED.search(data, at, end)) is not None:
            start = data.rfind(b"\n", at, hit.start()) + 1 or at
            at = data.find(b"\n", hit.end())
            self._effort.spend(_STEPS)
            if self._eager:
                self._eager -= 1
                self._read_line(data[start:at])
            else:
                self._latest.pop(hit[1], None)  # the order is that of coming
                self._latest[hit[1]] = data[start:at]

    def _catch_up(self) -> None:
        """Read what was left for later."""
        for line in self._latest.values():
            self._read_line(line)
        self._latest.clear()

    def _read_line(self, line: bytes) -> None:
        line = line.strip()
        if line.startswith(_FIELD):
            self._account.take_text(line[len(_FIELD) :])

    def _scan(self) -> None:
        self._catch_up()
        line, self._line = self._line.lstrip(), b""
        is_data = line.startswith(_FIELD)
        self._scanner = Scanner(self._account.take_member if is_data else _ignore, self._effort)
        self._scanner.feed(line[len(_FIELD) :])


def _ignore(name: bytes, text: bytes) -> None:
    """Let pass what a line that is no data says."""
