"""Tells on one screen what a configuration would run.  Pure text, and no secrets in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from swapd.config.models import Model
from swapd.config.peers import Peer
from swapd.config.routing import Group
from swapd.config.schema import Config

_MOST_ROWS = 20


def summary(config: Config) -> str:
    """Return what swapd would run: models, what runs together, and what else it answers to."""
    sections = [
        _table("Models", [_model(model) for model in config.models.values()]) or "No models",
        _table("Groups", [_group(name, group) for name, group in _groups(config)]),
        _sets(config),
        _table("Peers", [_peer(peer) for peer in config.peers.values()]),
        _table(
            "Selectors",
            [
                (name, selector.strategy, ", ".join(selector.targets))
                for name, selector in config.selectors.items()
            ],
        ),
        _table(
            "Profiles",
            [
                (name, _counted(len(profile.pins), "pin"), profile.description)
                for name, profile in config.profiles.items()
            ],
        ),
        "\n".join(_notes(config)),
    ]
    return "\n\n".join(filter(None, sections))


def _table(title: str, rows: Sequence[Sequence[str]]) -> str:
    """Return ``rows`` in columns below ``title``; nothing for no rows, and not too many."""
    if not rows:
        return ""
    shown = rows[:_MOST_ROWS]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    lines = [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in shown
    ]
    more = len(rows) - len(shown)
    lines += [f"  and {more} more"] if more else []
    return "\n".join([title, *map(str.rstrip, lines)])


def _model(model: Model) -> tuple[str, ...]:
    ttl = f"unloaded after {model.ttl} s" if model.ttl else "stays loaded"
    aliases = f"also {', '.join(model.aliases)}" if model.aliases else ""
    program = model.argv[0]  # its arguments may hold secrets
    return model.id, _address(model.proxy), program, ttl, aliases


def _address(url: str) -> str:
    """Return host and port of ``url``, or its socket, without a password that may stand in it."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] or f"{parts.scheme}:{parts.path}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _groups(config: Config) -> Iterator[tuple[str, Group]]:
    return ((name, group) for name, group in config.groups.items() if group.members)


def _group(name: str, group: Group) -> tuple[str, ...]:
    words = [
        "one at a time" if group.swap else "all together",
        "stops other groups" if group.exclusive else "leaves other groups alone",
        *(["stopped by none"] if group.persistent else []),
    ]
    return name, ", ".join(group.members), "; ".join(words)


def _sets(config: Config) -> str:
    matrix = config.routing.matrix
    if matrix is None:
        return ""
    rows = [(found.name, " ".join(found.text.split())) for found in matrix.sets.values()]
    costs = ", ".join(f"{model} {cost}" for model, cost in matrix.evict_costs.items())
    return _table("Sets", [*rows, ("costs", costs)] if costs else rows)


def _peer(peer: Peer) -> tuple[str, ...]:
    key = "with a key" if peer.api_key else "without a key"
    return peer.id, _address(peer.proxy), ", ".join(peer.models), key


def _notes(config: Config) -> Iterator[str]:
    if config.preload:
        yield f"Loaded at the start: {', '.join(config.preload)}"
    keys = len(config.api_keys)
    yield f"API keys: {keys}" if keys else "API keys: none, all may enter"
    yield f"Requests are remembered in {config.store.path if config.store else 'memory'}"
