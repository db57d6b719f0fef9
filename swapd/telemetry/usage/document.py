"""Reads what a whole JSON answer says of tokens.  No I/O."""

from __future__ import annotations

from swapd.telemetry.usage.effort import Effort
from swapd.telemetry.usage.said import Account
from swapd.telemetry.usage.scanner import Scanner

#: An answer up to this size is read at its end, in one go; a larger one while it comes.
SHORT_BYTES = 64 * 1024

_BLANKS = b" \t\r\n"


class Document:
    """One answer that is a JSON text, if it is one."""

    def __init__(self, account: Account, effort: Effort) -> None:
        """Have ``account`` told what is said."""
        self._account = account
        self._effort = effort
        self._pieces: list[bytes] = []
        self._size = 0
        self._scanner: Scanner | None = None
        self._is_json: bool | None = None  # nothing but blanks has come yet

    def feed(self, data: bytes) -> None:
        """Take the next piece."""
        if self._is_json is None:
            first = data.lstrip(_BLANKS)[:1]
            self._is_json = first in (b"{", b"[") if first else None
        if not self._is_json:
            return
        if self._scanner is not None:
            self._scanner.feed(data)
            return
        self._pieces.append(data)
        self._size += len(data)
        if self._size > SHORT_BYTES:
            self._scan()

    def finish(self) -> None:
        """Read what has come of a short one."""
        if self._pieces and not self._account.take_text(b"".join(self._pieces)):
            self._scan()  # an array, or what another parser may take for JSON

    def _scan(self) -> None:
        self._scanner = Scanner(self._account.take_member, self._effort)
        for piece in self._pieces:
            self._scanner.feed(piece)
        self._pieces.clear()
