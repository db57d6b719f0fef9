"""What a model's server prints, made fit for the terminal of a person who reads it.

Rule 1: colours and what redraws the present line pass, for servers have progress bars.  Nothing
    else does that a terminal would obey: what a log holds was often written by strangers.
Rule 2: what does not pass is seen: a control character as the picture that Unicode has of it.
"""

from __future__ import annotations

import codecs
import re

#: A colour, or "erase this line"; else one control character.  Ends of lines and tabs are neither.
_CONTROLS = re.compile(r"(\x1b\[[0-9;:]*[mK])|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")

#: What may become a colour yet; no longer than one is.
_BEGUN = re.compile(r"\x1b(\[[0-9;:]{0,32})?\Z")

_PICTURES = 0x2400
_PICTURE_OF_DELETE = "\u2421"


class ForTerminal:
    """Takes a log piece by piece, wherever it is cut."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._begun = ""

    def take(self, data: bytes, *, is_last: bool = False) -> str:
        """Return what of ``data``, and of what was kept of the pieces before, can be shown."""
        text = self._begun + self._decoder.decode(data, is_last)
        begun = None if is_last else _BEGUN.search(text)
        self._begun = begun[0] if begun else ""
        return _CONTROLS.sub(_shown, text[: begun.start()] if begun else text)


def _shown(found: re.Match[str]) -> str:
    if found[1]:
        return found[1]
    code = ord(found[0])
    if code < 0x20:
        return chr(_PICTURES + code)
    return _PICTURE_OF_DELETE if code == 0x7F else "\N{REPLACEMENT CHARACTER}"
