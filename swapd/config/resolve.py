"""Turns settings into the final configuration: inherited values filled in, names resolved."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from swapd.config import choices, routes
from swapd.config.model_values import Models
from swapd.config.namespace import namespace
from swapd.config.observing import (
    PERFORMANCE_EVERY,
    TIME_FORMATS,
    Logging,
    LogLevel,
    Performance,
)
from swapd.config.patterns import compiled
from swapd.config.problems import did_you_mean
from swapd.config.reporting import Reporter
from swapd.config.schema import Config, Settings
from swapd.config.server import DEFAULT_IGNORE_PATH
from swapd.ids import ModelId

_MIB = 1024 * 1024
_METRICS = 1000


def resolve(settings: Settings, ports: Mapping[ModelId, int], reporter: Reporter) -> Config:
    """Return what ``settings`` come to, telling ``reporter`` what does not fit together."""
    names = namespace(settings, reporter)
    models = Models(settings, names, reporter).all()
    routing, groups = routes.routing_of(settings, names, reporter)
    routes.check_ports(models, routes.together_by(routing.matrix, groups), reporter)
    _warn_of_idle_keys(settings, reporter)
    _check_store(settings, reporter)
    rivalry = choices.Rivalry(routing.matrix, groups)
    return Config(
        models=MappingProxyType(models),
        ports=MappingProxyType(dict(ports)),
        aliases=MappingProxyType(dict(names.aliases)),
        groups=groups,
        routing=routing,
        preload=choices.preload_of(settings, names, reporter),
        api_keys=settings.api_keys,
        server=settings.server,
        cors=settings.cors,
        peers=choices.peers_of(settings, reporter),
        peer_models=MappingProxyType(dict(names.peer_models)),
        selectors=choices.selectors_of(settings, names, rivalry, reporter),
        profiles=choices.profiles_of(settings, names, reporter),
        ignore_paths=tuple(_ignore_paths(settings, reporter)),
        include_aliases_in_list=settings.include_aliases_in_list,
        logging=_logging(settings, reporter),
        metrics_max_in_memory=_metrics(settings, reporter),
        capture_buffer_bytes=_MIB
        * reporter.at_least(("captureBuffer",), settings.capture_buffer, 0),
        store=settings.store,
        performance=_performance(settings, reporter),
        session_headers=settings.ui.activity.session_id,
        warnings=reporter.warnings(),
    )


def _ignore_paths(settings: Settings, reporter: Reporter) -> Iterator[re.Pattern[str]]:
    for index, pattern in enumerate(settings.upstream.ignore_paths or (DEFAULT_IGNORE_PATH,)):
        try:
            yield compiled(pattern)
        except ValueError as error:
            reporter.report(("upstream", "ignorePaths", index), str(error))


def _logging(settings: Settings, reporter: Reporter) -> Logging:
    level = settings.log_level.strip().lower()
    if level not in set(LogLevel):
        hint = did_you_mean(level, LogLevel)
        reporter.warn(("logLevel",), f"must be one of {', '.join(LogLevel)}{hint}; info is used")
        level = LogLevel.INFO
    time_format = settings.log_time_format.strip().lower()
    if time_format and time_format not in TIME_FORMATS:
        hint = did_you_mean(time_format, TIME_FORMATS)
        reporter.warn(("logTimeFormat",), f"unknown format{hint}; no time is written")
        time_format = ""
    return Logging(LogLevel(level), time_format, settings.log_to_stdout)


def _metrics(settings: Settings, reporter: Reporter) -> int:
    if settings.metrics_max_in_memory > 0:
        return settings.metrics_max_in_memory
    reporter.warn(("metricsMaxInMemory",), f"is no number of requests, {_METRICS} is used")
    return _METRICS


def _performance(settings: Settings, reporter: Reporter) -> Performance:
    given = settings.performance
    if given.every == 0:
        reporter.warn(("performance", "every"), f"0 is too low, {PERFORMANCE_EVERY:g}s is used")
        return given.model_copy(update={"every": PERFORMANCE_EVERY})
    if given.every < PERFORMANCE_EVERY:
        message = f"must be at least {PERFORMANCE_EVERY:g}s"
        reporter.report(("performance", "every"), message)
    return given


def _warn_of_idle_keys(settings: Settings, reporter: Reporter) -> None:
    """Warn of what is accepted for the sake of old files, and does nothing."""
    if settings.log_requests is not None:
        reporter.warn(("logRequests",), "has no effect")
    for name, model in settings.models.items():
        if model.health_check_timeout is not None:
            message = "has no effect, the top level's healthCheckTimeout counts"
            reporter.warn(("models", name, "healthCheckTimeout"), message)


def _check_store(settings: Settings, reporter: Reporter) -> None:
    """Report a store that could not be written when swapd starts."""
    if settings.store is None:
        return
    path = ("store", "path")
    if not settings.store.path:
        reporter.require(path, "a store needs a path, the file to write")
    elif "\0" in settings.store.path:
        reporter.report(path, "must not contain a NUL character")
    elif obstacle := _obstacle(Path(settings.store.path)):
        reporter.report(path, obstacle)


def _obstacle(file: Path) -> str | None:
    """Return why ``file`` cannot be written, None if it can."""
    try:
        mode = file.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        folder = file.parent
        if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
            return None
        return f"the directory {folder} is not there or not writable"
    except OSError as error:
        return f"cannot be written: {error.strerror}"
    if stat.S_ISDIR(mode):
        return "is a directory, not a file"
    return None if os.access(file, os.W_OK) else "is not writable"
