r"""Compiles regular expressions that were written for RE2 with Python's own engine.

What means the same in both passes, what only the notation differs in is translated
(``(?<name>``, ``\z``, ``[[:alpha:]]``), and what only one of the two has is refused.
"""

from __future__ import annotations

import re
import warnings

_PIECE = re.compile(
    r"""
      \\Q(?P<verbatim>.*?)(?:\\E|\Z)
    | (?P<escape>\\(?:x\{[0-9a-fA-F]+\}|[pP](?:\{\^?\w+\}|\w)|.))
    | (?P<set>\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\])
    | (?P<group>\(\?(?:P?<[=!]?|[=!>\#(:|]|[a-zA-Z-]*))
    | (?P<repeat>[*+?][+*])
    """,
    re.VERBOSE | re.DOTALL,
)
_SET_PIECE = re.compile(
    r"""
      \[:(?P<negated>\^?)(?P<name>\w+):\]
    | (?P<escape>\\.)
    | (?P<sign>[\[&|~])
    """,
    re.VERBOSE | re.DOTALL,
)
_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_GROUPS = ("(?:", "(?P<", "(?<")
_FLAGS = re.compile(r"\(\?[ims]*(-[ims]+)?")


def compiled(pattern: str) -> re.Pattern[str]:
    r"""Return ``pattern`` ready to search with; ASCII rules for ``\w``, ``\d`` and ``\b``.

    Raises:
        ValueError: It is no regular expression of RE2, or one that Python cannot express.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return re.compile(_PIECE.sub(_translated, pattern), re.ASCII)
    except (re.error, Warning, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"is no regular expression: {error}") from error


def _translated(piece: re.Match[str]) -> str:
    if piece["verbatim"] is not None:
        return re.escape(piece["verbatim"])
    if piece["escape"]:
        return _escape(piece["escape"])
    if piece["set"]:
        return piece["set"][0] + _SET_PIECE.sub(_in_set, piece["set"][1:])
    if piece["group"]:
        return _group(piece["group"])
    raise re.error(f"{piece['repeat']} repeats what is repeated already")


def _escape(text: str) -> str:
    kind = text[1]
    if kind == "z":
        return r"\Z"
    if text.startswith(r"\x{"):
        return re.escape(chr(int(text[3:-1], 16)))
    if kind in "123456789kg":
        raise re.error("a group cannot be referred to")
    if kind in "pPCXZ":
        raise re.error(f"{text} is not supported")
    return text


def _in_set(piece: re.Match[str]) -> str:
    if piece["name"]:
        if piece["negated"] or piece["name"] not in _CLASSES:
            raise re.error(f"{piece[0]} is not supported")
        return _CLASSES[piece["name"]]
    return _escape(piece["escape"]) if piece["escape"] else f"\\{piece['sign']}"


def _group(text: str) -> str:
    if text == "(?<":
        return "(?P<"
    if text in _GROUPS or _FLAGS.fullmatch(text):
        return text
    raise re.error(f"{text} is not supported")
