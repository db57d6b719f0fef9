"""What swapd itself says in a stream, in the form that each API has for it.  No I/O.

Rule 1: it is said before the model's own opening events come, and must not be contradicted by
    them.  Chat chunks only ever add, so there it can be text.  The other APIs open a stream with
    an event that may come once and carries the answer's ID: nothing but comments, and the pings of
    Anthropic's API, can stand before that.
Rule 2: no role in a chat chunk: clients put the pieces of each member together, and the model's
    own first chunk has one.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from swapd.web.manner import Api

#: Says nothing, to everyone.  A blank line ends it, for readers that cut streams at those.
KEEP_ALIVE = b": keep-alive\n\n"

_PING = b'event: ping\ndata: {"type": "ping"}\n\n'

#: Above and below what is not the model's own; clients of llama-swap look for it.
_RULE = "━━━━━"


class Remarks(Protocol):
    """How the lines about one wait are put into its stream."""

    def opening(self, line: str) -> bytes:
        """Return the first line."""

    def line(self, line: str) -> bytes:
        """Return one more line."""

    def closing(self, line: str) -> bytes:
        """Return the last line."""


class ChatRemarks:
    """Reasoning, in chunks of chat completions."""

    def __init__(self, model: str, *, id_: str, created: int) -> None:
        """Speak as ``model``, since ``created`` in Unix seconds."""
        self._head = {
            "id": id_,
            "object": "chat.completion.chunk",
            "created": created,
            "model": model,
        }

    def opening(self, line: str) -> bytes:
        return self._chunk(f"{_RULE}\n{line}\n")

    def line(self, line: str) -> bytes:
        return self._chunk(f"{line}\n")

    def closing(self, line: str) -> bytes:
        return self._chunk(f"{line}\n{_RULE}\n \n")

    def _chunk(self, text: str) -> bytes:
        choice = {"index": 0, "delta": {"reasoning_content": text}, "finish_reason": None}
        return b"data: " + msgspec.json.encode({**self._head, "choices": [choice]}) + b"\n\n"


class Asides:
    """Comments, which every parser skips; with a ping behind each where the API has pings."""

    def __init__(self, api: Api) -> None:
        self._event = _PING if api is Api.ANTHROPIC else b""

    def opening(self, line: str) -> bytes:
        return self.line(line)

    def line(self, line: str) -> bytes:
        return f": {line}\n\n".encode() + self._event

    def closing(self, line: str) -> bytes:
        return self.line(line)
