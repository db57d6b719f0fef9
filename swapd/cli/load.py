"""`swapd load`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from swapd.cli.asking import as_json, run, with_server

if TYPE_CHECKING:
    from swapd.cli.client import Client


@click.command()
@click.argument("model")
@click.option(
    "--wait", is_flag=True, help="Return when it is ready, and fail if it does not start."
)
@with_server
@as_json
def load(model: str, wait: bool, url: str, api_key: str | None, as_json: bool) -> None:
    """Load MODEL without a request.  It evicts like a request.

    Ctrl-C ends the waiting; the load goes on.
    """

    async def ask(client: Client) -> None:
        import msgspec

        from swapd.cli.progress import shown

        if wait:
            async with shown(client, model):
                told = await client.load(model, wait=True)
        else:
            told = await client.load(model, wait=False)
        if as_json:
            click.echo(msgspec.json.encode(told).decode())
        else:
            click.echo(f"{told.model} is {told.state or 'being loaded'}")

    run(ask, url, api_key)
