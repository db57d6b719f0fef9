"""`swapd watch`."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from swapd.cli.asking import as_json, run, with_server

if TYPE_CHECKING:
    from swapd.cli.client import Client
    from swapd.cli.messages import Message


#: Terminals on which nothing can be drawn.
_DUMB = {"dumb", "unknown"}


@click.command()
@click.argument("address", metavar="[URL]", required=False)
@click.option(
    "--topics",
    metavar="A,B",
    help="With --json: what to hear of, of lifecycle (the default), queue, requests, logs and"
    " activity.",
)
@with_server
@as_json
def watch(
    address: str | None, topics: str | None, url: str, api_key: str | None, as_json: bool
) -> None:
    """Show live what the models do, who waits, and what happened last.

    Goes on through restarts of swapd.  Without a terminal each transition is a line; with
    --json each message of the websocket is one.  Ctrl-C ends it.
    """
    main: Callable[[Client], Awaitable[None]]
    if as_json:
        main = partial(_print_messages, "lifecycle" if topics is None else topics)
    elif topics is not None:
        raise click.UsageError("--topics says what --json prints; say that too")
    elif sys.stdout.isatty() and os.environ.get("TERM") not in _DUMB:
        main = _draw
    else:
        main = _print_transitions
    run(main, address or url, api_key)


async def _print_messages(topics: str, client: Client) -> None:
    def heard(said: bytes, _: Message | None) -> None:
        click.echo(said.decode())

    await _print(client, heard, f"topics={quote(topics, safe=',')}")


async def _print_transitions(client: Client) -> None:
    from swapd.cli.cells import transition_line
    from swapd.cli.messages import Snapshot, Transition

    def heard(_: bytes, message: Message | None) -> None:
        match message:
            case Transition():
                click.echo(transition_line(message))
            case Snapshot(gap=True):
                click.echo("some transitions were missed", err=True)

    await _print(client, heard)


async def _print(
    client: Client, heard: Callable[[bytes, Message | None], None], topics: str = ""
) -> None:
    from swapd.cli.board import Board
    from swapd.cli.following import follow

    told = ""

    def linked(trouble: str | None) -> None:
        nonlocal told
        tell = f"trying again: {trouble}" if trouble else "connected"
        if tell != told:
            click.echo(tell, err=True)
        told = tell

    following = partial(follow, client, Board(), topics=topics, heard=heard, linked=linked)
    await _until_interrupted(following)


async def _draw(client: Client) -> None:
    from swapd.cli.live import draw

    await _until_interrupted(partial(draw, client))


async def _until_interrupted(forever: Callable[[], Awaitable[object]]) -> None:
    """Run ``forever`` until Ctrl-C or SIGTERM, which is how one ends what has no end."""
    import signal

    import trio

    from swapd.cli.reader import while_somebody_reads

    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(while_somebody_reads, forever)
            await anext(signals)
            nursery.cancel_scope.cancel(reason="interrupted")
