"""Tells problems of settings by their path; the trees know where that was written."""

from __future__ import annotations

from collections.abc import Mapping

from swapd.config.problems import Problems
from swapd.config.tree import KeyPath, Map, Scalar, find, key_place, place_of


class Reporter:
    """What the checks of settings tell problems to."""

    def __init__(self, tree: Map, written: Map, problems: Problems) -> None:
        """Know where everything is.

        Args:
            tree: What the settings were read from.
            written: The same before macros were put in, with all its lines.
            problems: Receives what is told.
        """
        self._tree = tree
        self._written = written
        self._problems = problems

    def report(self, path: KeyPath, message: str) -> None:
        """Record a problem where the value at ``path`` was written."""
        self._problems.add(place_of(self._tree, path), path, message)

    def report_key(self, path: KeyPath, message: str) -> None:
        """Record a problem where the key at the end of ``path`` was written."""
        self._problems.add(key_place(self._tree, path), path, message)

    def report_line(self, path: KeyPath, line: int, message: str) -> None:
        """Record a problem in line ``line`` (from 0) of the text as it was written at ``path``."""
        self.report_lines(path, {message: line})

    def report_lines(self, path: KeyPath, lines: Mapping[str, int]) -> None:
        """Record several problems at once, by their messages, as ``report_line`` records one."""
        written, place = self.written(path), place_of(self._tree, path)
        places = {
            message: written.place_of_line(line) if written else place
            for message, line in lines.items()
        }
        self._problems.add_all(path, places)

    def written(self, path: KeyPath) -> Scalar | None:
        """Return what the file says at ``path``, None if it came from somewhere else."""
        final, written = find(self._tree, path), find(self._written, path)
        if isinstance(written, Scalar) and final and written.place == final.place:
            return written
        return None

    def require(self, path: KeyPath, message: str) -> None:
        """Record that the value at ``path`` is needed, but absent or empty."""
        if self._problems.is_told(path):  # it is not empty, but nothing of it can be used
            return
        if find(self._tree, path):
            self.report(path, message)
        else:
            self.report_key(path[:-1], message)

    def warn(self, path: KeyPath, message: str) -> None:
        """Record a warning where the value at ``path`` was written."""
        self._problems.warn(place_of(self._tree, path), path, message)

    def at_least(self, path: KeyPath, value: int, least: int) -> int:
        """Return ``value``, or with a warning ``least`` if that is more."""
        if value < least:
            self.warn(path, f"{value} is too low, {least} is used")
        return max(value, least)

    def warnings(self) -> tuple[str, ...]:
        """Return every warning so far, one line each."""
        return self._problems.warnings
