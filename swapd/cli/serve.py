"""`swapd serve`."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from swapd.cli.sources import Sources, exit_on_error, sources_of, with_sources

if TYPE_CHECKING:
    from swapd.config.schema import Config
    from swapd.telemetry.logs import Logs
    from swapd.telemetry.own_log import OwnLog
    from swapd.watch import Watch
    from swapd.web.certificate import Certificate
    from swapd.web.listener import Listener

DEFAULT_LISTEN = "127.0.0.1:8080"

#: The descriptor of standard output.
_STDOUT = 1


@click.command()
@with_sources
@click.option(
    "--listen",
    default=DEFAULT_LISTEN,
    metavar="ADDRESS",
    help="Where to listen: HOST:PORT, [IPV6]:PORT, :PORT for every interface, or unix:PATH.",
)
@click.option(
    "--tls-cert-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Serve HTTPS with this certificate (PEM, with its chain).  SIGHUP reads it anew.",
)
@click.option(
    "--tls-key-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The private key of the certificate (PEM, not encrypted).",
)
@click.option("--watch-config", is_flag=True, help="Reload when a configuration file changes.")
@click.option(
    "--log-format",
    type=click.Choice(["console", "json"]),
    default="console",
    help="How swapd's own log is written: for people, or as one JSON object per line.",
)
def serve(
    config: tuple[Path, ...],
    config_dir: Path | None,
    lenient: bool,
    listen: str,
    tls_cert_file: Path | None,
    tls_key_file: Path | None,
    watch_config: bool,
    log_format: str,
) -> None:
    """Serve the models of a configuration until SIGINT or SIGTERM.

    The first signal lets running requests finish, the second cuts them, the third kills
    the models.  SIGHUP reloads the configuration.
    """
    import trio

    from swapd.web.capacity import raise_descriptor_limit
    from swapd.web.listener import bind

    sources = sources_of(config, config_dir, lenient=lenient)
    with exit_on_error():
        watch = _watch(sources) if watch_config else None
        loaded = sources.load()
        for warning in loaded.warnings:
            click.echo(f"warning: {warning}", err=True)
        raise_descriptor_limit()
        certificate = _certificate(tls_cert_file, tls_key_file)
        with bind(listen, certificate) as listener, _logs(loaded, log_format) as logs:
            trio.run(_serve, loaded, sources, listener, watch, *logs)


async def _serve(
    config: Config,
    sources: Sources,
    listener: Listener,
    watch: Watch | None,
    logs: Logs,
    own_log: OwnLog,
) -> None:
    import logging
    from functools import partial

    import trio

    from swapd.app import App

    app, bound = App(config, sources.load, listener, logs, own_log), listener.bound
    log = logging.getLogger("swapd")
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(app.run, watch=watch))
        _rest_from_collecting()
        here = f"swapd listens on {bound.url}, models: {', '.join(config.models) or 'none'}"
        log.info("%s", here)
        if not _is_shown(config):
            click.echo(here)  # whoever has started swapd wants to know, and may not look elsewhere
        if bound.is_exposed and not config.api_keys:
            click.echo(
                "warning: every host that reaches this machine can use swapd: set apiKeys,"
                f" or use --listen 127.0.0.1:{listener.port}",
                err=True,
            )


def _rest_from_collecting() -> None:
    """Look for garbage less often, and never among what is there from the start.

    Requests leave little that only the collector finds; that it looked cost them a tenth of their
    time.  What was in use when it looked it sees again after five more looks: until then, that is
    memory which nobody has and nobody gets.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 5, 10)


@contextmanager
def _logs(config: Config, form: str) -> Iterator[tuple[Logs, OwnLog]]:
    """Have swapd's own log written, and give it and all logs, for the length of the block."""
    from swapd.telemetry.log_lines import LogFormat
    from swapd.telemetry.log_output import Output
    from swapd.telemetry.logs import Logs
    from swapd.telemetry.own_log import OwnLog

    with Output(_STDOUT) as output:
        logs = Logs(config.logging.to_stdout, output.write)
        own_log = OwnLog(LogFormat(form), config, logs.say)
        logs.hide = own_log.without_keys
        with own_log.installed():
            yield logs, own_log


def _is_shown(config: Config) -> bool:
    """Tell whether what swapd says of its doings goes to standard output."""
    from swapd.config.observing import LogLevel, LogTo

    shows_ours = config.logging.to_stdout in {LogTo.PROXY, LogTo.BOTH}
    return shows_ours and config.logging.level in {LogLevel.DEBUG, LogLevel.INFO}


def _certificate(certificate: Path | None, key: Path | None) -> Certificate | None:
    from swapd.errors import CannotStart
    from swapd.web.certificate import Certificate

    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        given, missing = ("key", "cert") if key else ("cert", "key")
        raise CannotStart(f"--tls-{given}-file needs --tls-{missing}-file beside it")
    return Certificate(certificate, key)


def _watch(sources: Sources) -> Watch:
    from swapd.watch import Watch

    return Watch(sources.watched)
