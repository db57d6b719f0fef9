"""Finds and reads the files that make up a configuration.  Says nothing of what is in them."""

from __future__ import annotations

import codecs
import os.path
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from swapd.config.problems import Problems
from swapd.config.tree import Place

_ENDINGS = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Source:
    """The text of one file, and what to call it."""

    name: str
    text: str


def read_sources(paths: Sequence[Path], directory: Path | None, problems: Problems) -> list[Source]:
    """Return the files in the order in which they count.

    Args:
        paths: Files, in this order.
        directory: Its ``*.yaml`` and ``*.yml`` follow, in the byte order of their names.
        problems: Receives what cannot be found or read.
    """
    found = [*_given(paths, problems), *_fragments(paths, directory, problems)]
    if not paths and directory is None:
        problems.add(Place("configuration"), (), "no file and no directory is given")
    return [source for path in found if (source := _source(path, problems))]


def _given(paths: Sequence[Path], problems: Problems) -> Iterator[Path]:
    seen = set()
    for path in paths:
        if _absolute(path) in seen:
            problems.add(Place(str(path)), (), "this file is given twice")
            continue
        seen.add(_absolute(path))
        yield path


def _fragments(paths: Sequence[Path], directory: Path | None, problems: Problems) -> Iterator[Path]:
    """Yield the files of ``directory``; one that is given by itself too is a problem."""
    if directory is None:
        return
    try:
        inside = [path for path in directory.iterdir() if path.name.endswith(_ENDINGS)]
        inside = [path for path in inside if path.is_file() or not path.exists()]
    except OSError as error:
        problems.add(Place(str(directory)), (), error.strerror or str(error))
        return
    if not inside and not paths:
        problems.add(Place(str(directory)), (), "the directory holds no *.yaml or *.yml file")
    given = {_absolute(path) for path in paths}
    for path in sorted(inside, key=lambda path: os.fsencode(path.name)):
        if _absolute(path) in given:
            message = f"is in the directory {directory} too, give one of the two"
            problems.add(Place(str(path)), (), message)
        else:
            yield path


def _absolute(path: Path) -> str:
    return os.path.abspath(path)


def _source(path: Path, problems: Problems) -> Source | None:
    try:
        return Source(str(path), _decoded(path.read_bytes()))
    except OSError as error:
        message = error.strerror or str(error)
    except UnicodeDecodeError as error:
        message = f"byte {error.start} is not {error.encoding.upper()} text"
    problems.add(Place(str(path)), (), message)
    return None


def _decoded(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    return content.decode("utf-8-sig")
