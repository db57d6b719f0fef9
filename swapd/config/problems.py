"""Collects all that is wrong with a configuration, so that one run names everything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from swapd.config.tree import KeyPath, Place
from swapd.errors import InvalidConfig


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that a person must mend, or (as a warning) should know."""

    place: Place
    path: KeyPath
    message: str

    def __str__(self) -> str:
        return ": ".join(filter(None, (str(self.place), dotted(self.path), self.message)))


class Problems:
    """What the passes of one load found; the first that complains of a path speaks for it.

    A value that one pass refused is mended to its default for the next passes; what those say
    about the same path would only repeat the first problem in other words.  And what stands
    behind an alias, or in a macro, is complained of once, however often it is used.
    """

    def __init__(self, *, lenient: bool = False) -> None:
        """Begin with nothing found; ``lenient`` lets unknown keys pass with a warning."""
        self._lenient = lenient
        self._found: list[Problem] = []
        self._warnings: list[Problem] = []
        self._paths: set[tuple[str, KeyPath]] = set()
        self._words: set[tuple[Place, str]] = set()

    def add(self, place: Place, path: KeyPath, message: str) -> None:
        """Record that ``path`` is wrong, unless that is known."""
        self.add_all(path, {message: place})

    def add_all(self, path: KeyPath, places: Mapping[str, Place]) -> None:
        """Record all that is wrong with ``path`` at once: messages, and where each is due."""
        told = {place.file for place in places.values() if (place.file, path) in self._paths}
        for message, place in places.items():
            if path and place.file in told:
                continue
            self._paths.add((place.file, path))
            if self._is_news(place, message):
                self._found.append(Problem(place, path, message))

    def excuse(self, place: Place, path: KeyPath) -> None:
        """Say that ``path`` cannot be right, for a reason that is recorded elsewhere."""
        self._paths.add((place.file, path))

    def is_told(self, path: KeyPath) -> bool:
        """Say whether something is wrong at ``path`` or below it."""
        return any(told[: len(path)] == path for _, told in self._paths)

    def unknown(self, place: Place, path: KeyPath, message: str) -> None:
        """Record that nobody knows the key ``path``; whether that is bad was said at the start."""
        tell = self.warn if self._lenient else self.add
        tell(place, path, message)

    def warn(self, place: Place, path: KeyPath, message: str) -> None:
        """Record what is accepted but probably not meant."""
        if self._is_news(place, message):
            self._warnings.append(Problem(place, path, message))

    def _is_news(self, place: Place, message: str) -> bool:
        """Say, the first time, that nothing like it was said of ``place``."""
        known = (place, message) in self._words
        self._words.add((place, message))
        return not known

    @property
    def warnings(self) -> tuple[str, ...]:
        """Every warning, sorted by place, one line each."""
        return tuple(_lines(self._warnings))

    def raise_if_any(self) -> None:
        """Raise what was found.

        Raises:
            InvalidConfig: There is at least one problem; it names them all, sorted by place.
        """
        if self._found:
            raise InvalidConfig(_lines(self._found))


def dotted(path: KeyPath) -> str:
    """Return ``path`` as people write it: ``models.a.env[0]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{_printable(part)}"
    return text.removeprefix(".")


def quoted(text: str) -> str:
    """Return ``text`` between quotes, short and on one line."""
    return f'"{_printable(text if len(text) <= 60 else text[:57] + "...")}"'


def did_you_mean(word: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """Return a hint at the known word that ``word`` resembles, from 0 to 1, or nothing."""
    by_lower = {name.lower(): name for name in known}
    close = get_close_matches(word.lower(), by_lower, n=1, cutoff=likeness)
    return f", did you mean {by_lower[close[0]]}?" if close else ""


def _lines(problems: Sequence[Problem]) -> list[str]:
    return [str(problem) for problem in sorted(problems, key=lambda problem: problem.place)]


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
