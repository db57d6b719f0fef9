"""`swapd ps`."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

import click

from swapd.cli.asking import as_json, run, with_server
from swapd.cli.columns import columns, fitting

if TYPE_CHECKING:
    from swapd.cli.client import Client
    from swapd.cli.messages import Snapshot


@click.command()
@with_server
@as_json
def ps(url: str, api_key: str | None, as_json: bool) -> None:
    """Show every model with its state, and who waits."""

    async def show(client: Client) -> None:
        from swapd.cli.messages import read_snapshot

        said = await client.snapshot()
        snapshot = read_snapshot(said)
        if as_json:
            click.echo(json.dumps(_with_queue(json.loads(said)), indent=2))
            return
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        for line in lines_of(snapshot, width):
            click.echo(line if width is None else fitting(line, width))

    run(show, url, api_key)


def _with_queue(snapshot: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the models as they were told, each with who waits for it."""
    return [
        {**seen, "queue": [place for place in snapshot["queue"] if place["model"] == seen["model"]]}
        for seen in snapshot["models"]
    ]


def lines_of(snapshot: Snapshot, width: int | None) -> list[str]:
    """Return what is printed of ``snapshot``, before it is cut to the ``width`` of a terminal."""
    import time

    from swapd.cli.board import by_weight
    from swapd.cli.cells import MODEL_HEAD, PLACE_HEAD, model_cells, place_cells

    if not snapshot.models:
        return ["no models"]
    now = time.time()  # noqa: TID251  swapd tells since when in Unix seconds
    models = [model_cells(seen, now) for seen in by_weight(snapshot.models)]
    lines = columns(_with_room([MODEL_HEAD, *models], width))
    if snapshot.queue:
        places = [place_cells(place, number) for number, place in enumerate(snapshot.queue, 1)]
        lines += ["", *columns(_with_room([PLACE_HEAD, *places], width))]
    return lines


def _with_room(table: list[tuple[str, ...]], width: int | None) -> list[tuple[str, ...]]:
    """Return ``table``, its head the first row, with the columns that there is room for."""
    from swapd.cli.cells import LEAST, NARROW

    if width is None or width >= NARROW:
        return table
    kept = [at for at, name in enumerate(table[0]) if name not in LEAST]
    return [tuple(row[at] for at in kept) for row in table]
