"""`swapd unload`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from swapd.cli.asking import as_json, run, with_server

if TYPE_CHECKING:
    from swapd.cli.client import Client


@click.command()
@click.argument("model", required=False)
@click.option("--all", "everything", is_flag=True, help="Unload all models.")
@click.option("--drain", is_flag=True, help="Let running requests finish first.")
@with_server
@as_json
def unload(
    model: str | None, everything: bool, drain: bool, url: str, api_key: str | None, as_json: bool
) -> None:
    """Unload MODEL, or all, now: running requests are cut.

    Returns when all of it is gone.  Ctrl-C ends the waiting; the unload goes on.
    """
    if everything == (model is not None):
        raise click.UsageError("name a model, or say --all")

    async def ask(client: Client) -> None:
        from swapd.cli.progress import shown

        running = await _running(client) if model is None else [model]
        async with shown(client, model):
            await client.unload(model, drain=drain)
        gone = [{"model": name, "state": "stopped"} for name in running]
        if as_json:
            click.echo(json.dumps(gone if model is None else gone[0]))
        else:
            click.echo("\n".join(f"{name} is stopped" for name in running) or "nothing was loaded")

    run(ask, url, api_key)


async def _running(client: Client) -> list[str]:
    from swapd.cli.messages import read_snapshot

    snapshot = read_snapshot(await client.snapshot())
    return [seen.model for seen in snapshot.models if seen.state != "stopped"]
