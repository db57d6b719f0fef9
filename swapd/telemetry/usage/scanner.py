"""Finds what a server says of tokens in a JSON text of any size, as it comes.  No I/O.

Rule 1: what is kept is some hundred bytes and the objects that are looked for, never the text.
Rule 2: only members of the outermost object count (of each, if the text is an array of objects),
    and those of its ``response`` and ``message``: a prompt may quote any words.
Rule 3: however the text is cut, the same is found.  A text that is no JSON does no harm.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from swapd.telemetry.usage.effort import Effort

#: The members that are looked for, where they are objects.
WANTED = frozenset({b"usage", b"timings", b"metrics", b"error"})

#: Members that may hold them as the outermost object does.
_NESTS = frozenset({b"response", b"message"})

#: The largest object that is kept.
_MOST_BYTES = 16 * 1024

#: What one thing costs that is looked at by itself; a bracket that is passed over costs one step.
_STEPS = 8

#: A string that is longer, and not yet at its end, is no name that is looked for.
_NAME_BYTES = 64

# None of these has to go back: nothing that ends one part of them can be in the part before.
# Possessive quantifiers would say so, but some releases of Python 3.11 get those wrong.
_STRING_REST = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_TOKEN = re.compile(
    rb'[^"{}\[\]]*(?:"([^"\\]*(?:\\.[^"\\]*)*)"|([{}\[\]]))',
    re.DOTALL,
)
_TO_BRACKET = re.compile(
    rb'[^"{}\[\]]*(?:"[^"\\]*(?:\\.[^"\\]*)*"[^"{}\[\]]*)*',
    re.DOTALL,
)


class Scanner:
    """Reads one JSON text piece by piece."""

    def __init__(self, found: Callable[[bytes, bytes], None], effort: Effort) -> None:
        """Have ``found`` told the name and the text of each object that is looked for."""
        self._found = found
        self._effort = effort
        self._rest = b""  # of a token that was cut
        self._in_string = False
        self._depth = 0
        #: The depths of the objects whose members are read, from the outside.
        self._objects: list[int] = []
        #: While what is not read is passed over: the depth at which that ends.
        self._floor: int | None = None
        self._key: bytes | None = None
        self._kept: bytearray | None = None

    def feed(self, data: bytes) -> None:
        """Take the next piece of the text, of some 64 KiB at most.

        Raises:
          TooDense: There is so little in it beside brackets and names that it takes too long.
        """
        if self._rest:
            data, self._rest = self._rest + data, b""
        at = 0
        while at < len(data) and not self._rest:
            self._effort.spend(_STEPS)
            end = self._step(data, at)
            if self._kept is not None:
                self._keep(data[at:end])
            at = end

    def _step(self, data: bytes, at: int) -> int:
        """Take what begins at ``at`` as far as it is one thing; return where that ends."""
        if self._in_string:
            return self._end_string(data, at)
        if self._floor is not None:
            return self._pass_over(data, at)
        return self._read_member(data, at)

    def _keep(self, data: bytes) -> None:
        """Keep a piece of an object; show the object if that was the last one."""
        assert self._kept is not None
        self._kept += data if self._kept else data[-1:]  # the first piece ends with its bracket
        if self._floor is None:
            assert self._key is not None
            self._found(self._key, bytes(self._kept))
        if self._floor is None or len(self._kept) > _MOST_BYTES:
            self._kept = None

    def _end_string(self, data: bytes, at: int) -> int:
        rest = _STRING_REST.match(data, at)
        assert rest is not None
        end = rest.end()
        if end == len(data):
            return end
        if data[end] == ord('"'):
            self._in_string = False
            return end + 1
        self._rest = data[end:]  # a backslash, whose second half is still to come
        return end

    def _pass_over(self, data: bytes, at: int) -> int:
        """Go on to the end of what is not read."""
        assert self._floor is not None
        size, depth, floor = len(data), self._depth, self._floor
        match, brackets = _TO_BRACKET.match, 0
        while depth > floor:
            brackets += 1
            passed = match(data, at)
            assert passed is not None
            at = passed.end()
            if at == size:
                break
            if (mark := data[at]) == 0x22:  # a quote, and its string is cut
                self._in_string = True
                at += 1
                break
            depth += 1 if mark in b"{[" else -1
            at += 1
        else:
            self._floor = None
        self._depth = depth
        self._effort.spend(brackets)
        return at

    def _read_member(self, data: bytes, at: int) -> int:
        token = _TOKEN.match(data, at)
        if token is None:
            return self._await_token(data, at)
        name, mark = token.groups()
        if name is not None:  # a value may be, too: it is followed by a name before any bracket
            self._key = name
        elif mark in b"{[":
            self._open(mark)
        else:
            self._close()
        return token.end()

    def _await_token(self, data: bytes, at: int) -> int:
        """Keep the beginning of a token that is cut; pass over it if it is too long for a name."""
        start = data.find(b'"', at)
        if start < 0:
            return len(data)
        if len(data) - start <= _NAME_BYTES:
            self._rest = data[start:]
            return start
        self._in_string, self._key = True, None
        return start + 1

    def _open(self, mark: bytes) -> None:
        self._depth += 1
        if mark == b"{":
            is_nest = len(self._objects) == 1 and self._key in _NESTS
            if not self._objects or is_nest:
                self._objects.append(self._depth)
                self._key = None
                return
            if self._key in WANTED:
                self._kept = bytearray()
        elif self._depth == 1:
            return  # the text is an array
        self._floor = self._depth - 1

    def _close(self) -> None:
        self._depth = max(0, self._depth - 1)
        self._key = None
        if self._objects:
            self._objects.pop()
