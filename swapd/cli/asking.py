"""What the commands share that ask a swapd which runs: where it is, and how they end."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from swapd.cli.sources import exit_on_error, leaves

if TYPE_CHECKING:
    from swapd.cli.client import Client

DEFAULT_URL = "http://127.0.0.1:8080"

#: The exit code of what was interrupted, as shells have it.
INTERRUPTED = 130

_OPTIONS = (
    click.option(
        "--url",
        envvar="SWAPD_URL",
        show_envvar=True,
        default=DEFAULT_URL,
        metavar="URL",
        help="Where swapd is: http://…, https://… or unix:/path.",
    ),
    click.option(
        "--api-key",
        envvar="SWAPD_API_KEY",
        show_envvar=True,
        metavar="KEY",
        help="One of its keys, if it has any.",
    ),
)


def with_server(command: Callable[..., None]) -> Callable[..., None]:
    """Give ``command`` the options that ``client_of`` reads."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


as_json = click.option("--json", "as_json", is_flag=True, help="Print it as JSON, for programs.")


def run(main: Callable[[Client], Awaitable[None]], url: str, api_key: str | None) -> None:
    """Run ``main`` with a client of the swapd that the options name.

    Exits with 1 and the reason on stderr when it cannot be done, and with 130 on Ctrl-C.
    """
    import trio

    from swapd.cli.address import parse
    from swapd.cli.client import Client

    if sys.stdout is None:  # whoever started us has closed it, and wants to see nothing
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  until we end
    with exit_on_error(), _exit_when_interrupted():
        trio.run(main, Client(parse(url), api_key))


@contextmanager
def _exit_when_interrupted() -> Iterator[None]:
    """End as shells expect on Ctrl-C, and when what is printed has nowhere to go."""
    interrupted = broken = False
    why = ""
    try:
        yield
    except* KeyboardInterrupt:
        interrupted = True
    except* BrokenPipeError:
        broken = True
    except* OSError as group:  # of the network's ``Client`` tells
        from swapd.upstream.dial import reason_of

        why = reason_of(next(leaves(group)))
    if why:
        sys.stdout = None  # or Python tries once more, and says so
        click.echo(f"cannot write what there is to show: {why}", err=True)
        sys.exit(1)
    if interrupted:
        sys.exit(INTERRUPTED)
    if broken:
        raise BrokenPipeError(errno.EPIPE, "nobody reads any more")  # click knows what to do
