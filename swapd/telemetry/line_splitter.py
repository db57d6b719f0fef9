"""Makes lines of bytes that come in pieces.  No I/O."""

from __future__ import annotations

import codecs


class LineSplitter:
    """One source, of which each piece may end amid a line, or amid a character."""

    def __init__(self, longest: int) -> None:
        """Give out what goes on for more than ``longest`` characters in several lines."""
        self._longest = longest
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""
        self._was_cut = False

    def take(self, data: bytes) -> list[str]:
        """Return the lines that ``data`` ends, without their ends."""
        *lines, self._rest = (self._rest + self._decoder.decode(data)).split("\n")
        if lines:
            if self._was_cut and not lines[0].rstrip("\r"):
                del lines[0]  # nothing but the end of what was given out before it came
            self._was_cut = False
        if len(self._rest) > self._longest:
            lines.append(self._rest)
            self._rest, self._was_cut = "", True
        return lines

    def finish(self) -> list[str]:
        """Return a last line that nothing has ended, if there is one."""
        rest, self._rest = self._rest + self._decoder.decode(b"", final=True), ""
        return [rest] if rest else []
