"""`swapd schema`."""

from __future__ import annotations

import json

import click


@click.command()
def schema() -> None:
    """Print the JSON Schema of the configuration, for editors."""
    from swapd.config.json_schema import json_schema

    click.echo(json.dumps(json_schema(), indent=2))
