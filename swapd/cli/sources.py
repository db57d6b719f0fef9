"""Where the configuration comes from: the options that all commands share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from swapd.errors import SwapdError

if TYPE_CHECKING:
    from swapd.config.schema import Config
    from swapd.ids import ModelId

E = TypeVar("E", bound=Exception)


@dataclass(frozen=True, slots=True)
class Sources:
    """The files of one configuration; with ``lenient``, unknown keys are warnings."""

    paths: tuple[Path, ...]
    directory: Path | None
    lenient: bool

    @property
    def watched(self) -> list[Path]:
        """What must be watched to see a change."""
        return [*self.paths, *([self.directory] if self.directory else [])]

    def load(self, ports: Mapping[ModelId, int] | None = None) -> Config:
        """Read the configuration.

        Args:
          ports: What models have already, if it is read anew: they keep them.

        Raises:
          InvalidConfig: It has problems, and names them all.
        """
        from swapd.config.load import load

        return load(self.paths, self.directory, lenient=self.lenient, ports=ports)


_OPTIONS = (
    click.option(
        "--config",
        type=click.Path(readable=False, path_type=Path),  # load says what is wrong
        multiple=True,
        metavar="FILE",
        help="A configuration file, in YAML; may be given several times.",
    ),
    click.option(
        "--config-dir",
        type=click.Path(readable=False, path_type=Path),  # load says what is wrong
        metavar="DIR",
        help="A folder whose *.yaml and *.yml files are read too, sorted by name.",
    ),
    click.option("--lenient", is_flag=True, help="Take unknown keys as warnings, not as errors."),
)


def with_sources(command: Callable[..., None]) -> Callable[..., None]:
    """Give ``command`` the options that ``sources_of`` reads."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def sources_of(config: tuple[Path, ...], config_dir: Path | None, *, lenient: bool) -> Sources:
    """Return where the options say that the configuration is.

    Raises:
      UsageError: They say nothing.
    """
    if not config and config_dir is None:
        raise click.UsageError("name a configuration: --config FILE or --config-dir DIR")
    return Sources(config, config_dir, lenient)


@contextmanager
def exit_on_error() -> Iterator[None]:
    """End with exit code 1 and the reason on stderr when something cannot be done."""
    problem: SwapdError | None = None
    try:
        yield
    except* SwapdError as group:
        problem = next(leaves(group))
    if problem is not None:
        click.echo(str(problem), err=True)
        sys.exit(1)


def leaves(group: BaseExceptionGroup[E]) -> Iterator[E]:
    """Yield the exceptions in ``group``, however deep."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error
