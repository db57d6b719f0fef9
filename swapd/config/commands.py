r"""Cuts a command into arguments as a POSIX shell would, without expanding anything.

Lines may be joined by a ``\`` at their end, and a line that begins with ``#`` is a comment;
both only outside quotes.  No variables, globs, pipes or redirections: every other character
is an argument's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

#: The keys of a model that hold commands.
COMMANDS = ("cmd", "cmdStop")

_PIECE = re.compile(
    r"""
      (?P<space>[ \t\n]+)
    | \\ (?P<escaped>.?)
    | '  (?P<single>[^']*+) '
    | "  (?P<double>(?:[^"\\]|\\.)*+) "
    | (?P<bare>[^ \t\n\\'"]++)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE_IN_DOUBLE = re.compile(r'\\(?:([$`"\\])|\n)')


class UnterminatedQuote(ValueError):
    """A quote opens in line ``line`` (from 0) of a command and never closes."""

    def __init__(self, quote: str, line: int) -> None:
        """Remember which quote it is, and where it opens."""
        super().__init__(f"the quote {quote} that opens in line {line + 1} never closes")
        self.line = line


def split(command: str) -> tuple[str, ...]:
    """Return the arguments of ``command``; none if it holds only blanks and comments.

    Raises:
        UnterminatedQuote: A quote never closes.
    """
    return tuple(_words(_joined(command)))


def without_comments(command: str) -> str:
    """Return ``command`` without its comment lines; a ``#`` inside quotes is none."""
    lines = _scanned(command)
    return "\n".join(line for line, _, comment in lines if not comment)


def comments_blanked(command: str) -> str:
    """Return ``command`` with its comment lines emptied, so that each line keeps its number."""
    return "\n".join("" if comment else line for line, _, comment in _scanned(command))


def outside_comments(command: str, change: Callable[[str], str]) -> str:
    """Return ``command`` with ``change`` made to each line that is no comment."""
    return "\n".join(line if comment else change(line) for line, _, comment in _scanned(command))


def _joined(command: str) -> str:
    """Return ``command`` with comments blanked and continued lines ended by a space."""
    lines: list[str] = []
    for line, quote, comment in _scanned(command):
        end = line.rstrip()
        if comment:
            lines.append("")
        elif not quote and end.endswith("\\"):
            lines.append(end[:-1] + " ")
        else:
            lines.append(line)
    return "\n".join(lines)


def _scanned(command: str) -> Iterator[tuple[str, str, bool]]:
    """Yield each line with the quote that is open at its end, and whether it is a comment."""
    quote = ""
    for line in command.split("\n"):
        comment = not quote and line.lstrip().startswith("#")
        if not comment:
            quote = _quote_after(line, quote)
        yield line, quote, comment


def _quote_after(line: str, quote: str) -> str:
    escaped = False
    for char in line:
        if escaped:
            escaped = False
        elif char == "\\" and quote != "'":
            escaped = True
        elif quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
    return quote


def _words(text: str) -> Iterator[str]:
    word: list[str] | None = None
    at = 0
    while at < len(text):
        found = _PIECE.match(text, at)
        if not found:
            raise UnterminatedQuote(text[at], text.count("\n", 0, at))
        at = found.end()
        if found["space"] is None:
            word = [*(word or ()), _unescaped(found)]
        elif word is not None:
            yield "".join(word)
            word = None
    if word is not None:
        yield "".join(word)


def _unescaped(piece: re.Match[str]) -> str:
    if piece["double"] is not None:
        return _ESCAPE_IN_DOUBLE.sub(r"\1", piece["double"])
    return piece["escaped"] or piece["single"] or piece["bare"] or ""
