"""Watches configuration files, and says when one has changed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

import trio
from watchfiles import awatch

_log = logging.getLogger("swapd")

#: Seconds after which it looks at the latest, where the system does not tell of changes.
LOOK_EVERY = 1.0


#: Seconds for which nothing may change before a change counts as whole.
SETTLE = 0.3

#: What counts in a folder, as where the configuration is read.
SUFFIXES = frozenset({".yaml", ".yml"})


class Watch:
    """Sees every change to some files from its making on, however it is written."""

    def __init__(self, paths: Iterable[Path]) -> None:
        """Watch files, and folders that stand for the files in them.

        Make it before the files are read: then no change falls between.
        """
        self._paths = [path.absolute() for path in paths]
        self._seen = self._look()

    async def run(self, changed: Callable[[], None], *, stop: trio.Event) -> None:
        """Call ``changed`` once for changes that come together, until ``stop`` is set.

        The folder of a file is watched, not the file: editors and configuration managers
        replace files, or the symlink by which they are found. Where the system does not tell, as
        when others have taken all that it has for that, the files are looked at instead.
        """
        folders = {path if path.is_dir() else path.parent for path in self._paths}
        try:
            async for _ in awatch(
                *folders,
                stop_event=stop,
                recursive=False,
                rust_timeout=int(LOOK_EVERY * 1000),
                yield_on_timeout=True,
            ):
                await self._tell(changed)
        except* (OSError, RuntimeError) as group:  # the latter is its word for too many of us
            _log.warning(
                "the system does not tell of changes to the configuration, so it is looked at every"
                " %g s: %s",
                LOOK_EVERY,
                _first(group),
            )
            while not stop.is_set():
                await self._tell(changed)
                with trio.move_on_after(LOOK_EVERY):
                    await stop.wait()

    async def _tell(self, changed: Callable[[], None]) -> None:
        seen, settling = self._seen, self._look()
        while settling != self._seen:  # a file may be half written: wait until it is whole
            self._seen = settling
            await trio.sleep(SETTLE)
            settling = self._look()
        if self._seen != seen:
            changed()

    def _look(self) -> list[object]:
        return [_state(path) for path in self._paths]


def _state(path: Path) -> object:
    """Return something that differs when what ``path`` leads to has changed."""
    try:
        if path.is_dir():
            entries = sorted(entry for entry in path.iterdir() if entry.suffix in SUFFIXES)
            return [(entry.name, _state(entry)) for entry in entries]
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _first(error: BaseException) -> BaseException:
    """Return what is wrong, of what is wrong with several tasks."""
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
