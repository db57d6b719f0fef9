"""Parses the language of sets: ``(a | b) & +other``.  Knows no models.

``&`` binds tighter than ``|``.  A name is made of letters, digits, ``_``, ``-`` and ``.``;
``+name`` is another set.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from swapd.config.matrix import And, Expression, Or

_TOKEN = re.compile(r"\s*(?:(?P<name>[\w.-]+)|\+(?P<ref>[\w.-]+)|(?P<sign>[&|()])|(?P<bad>\S))")
_DEEPEST = 50
_WIDEST = 72

#: Makes an expression of a name that stands at an offset of the text.
Meaning = Callable[[str, int], Expression]


class BadSet(ValueError):
    """The text of a set cannot be understood at ``offset``."""

    def __init__(self, message: str, offset: int) -> None:
        """Remember what is wrong, and where."""
        super().__init__(message)
        self.offset = offset


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    offset: int


def parse_set(text: str, *, name: Meaning, ref: Meaning) -> Expression:
    """Return what ``text`` says.

    Args:
        text: The expression.
        name: What a name means.
        ref: What a reference to another set means.

    Raises:
        BadSet: The text follows no rule of the language.
    """
    tokens = _tokens(text)
    if tokens[0].kind == "end":
        raise BadSet("the set is empty", 0)
    return _Parser(tokens, name, ref).whole()


def pointed_out(message: str, text: str, offset: int) -> str:
    """Return ``message`` with the line of ``text`` below it, and a caret under ``offset``."""
    start = text.rfind("\n", 0, offset) + 1
    line = text[start:].partition("\n")[0]
    column = offset - start
    cut = max(0, column - _WIDEST // 2)
    shown = "".join(char if char.isprintable() else " " for char in line[cut : cut + _WIDEST])
    return f"{message}\n    {shown}\n    {' ' * (column - cut)}^"


def _tokens(text: str) -> list[_Token]:
    tokens = []
    at = 0
    while found := _TOKEN.match(text, at):
        kind = str(found.lastgroup)
        start, at = found.start(kind), found.end()
        if found["bad"] == "+":
            raise BadSet("+ must be followed by the name of a set", start)
        if found["bad"]:
            raise BadSet(f"unexpected character {found['bad']!r}", start)
        offset = start - 1 if kind == "ref" else start
        tokens.append(_Token(found["sign"] or kind, found[kind], offset))
    return [*tokens, _Token("end", "the end", len(text.rstrip()))]


class _Parser:
    """Reads tokens from the left to the right, each once."""

    def __init__(self, tokens: list[_Token], name: Meaning, ref: Meaning) -> None:
        self._tokens = iter(tokens)
        self._next = next(self._tokens)
        self._name = name
        self._ref = ref
        self._depth = 0

    def whole(self) -> Expression:
        expression = self._alternatives()
        if self._next.kind != "end":
            raise BadSet(f"unexpected {_words(self._next)}, & or | is missing", self._next.offset)
        return expression

    def _alternatives(self) -> Expression:
        parts = [self._together()]
        while self._next.kind == "|":
            self._take()
            parts.append(self._together())
        return Or(tuple(parts)) if len(parts) > 1 else parts[0]

    def _together(self) -> Expression:
        parts = [self._one()]
        while self._next.kind == "&":
            self._take()
            parts.append(self._one())
        return And(tuple(parts)) if len(parts) > 1 else parts[0]

    def _one(self) -> Expression:
        token = self._take()
        match token.kind:
            case "name":
                return self._name(token.text, token.offset)
            case "ref":
                return self._ref(token.text, token.offset)
            case "(":
                return self._inside(token)
            case _:
                raise BadSet(f"unexpected {_words(token)}, a model is missing", token.offset)

    def _inside(self, opening: _Token) -> Expression:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise BadSet("too many parentheses within each other", opening.offset)
        expression = self._alternatives()
        if self._next.kind == "end":
            raise BadSet("this parenthesis is never closed", opening.offset)
        if self._next.kind != ")":
            raise BadSet(f"unexpected {_words(self._next)}, & or | is missing", self._next.offset)
        self._take()
        self._depth -= 1
        return expression

    def _take(self) -> _Token:
        token = self._next
        self._next = next(self._tokens, token)
        return token


def _words(token: _Token) -> str:
    return "end" if token.kind == "end" else f'"{token.text}"'
