"""Which parts of a configuration are read and kept, but have no effect in this version yet.

The one visible list of them: what comes into effect is taken out here.
"""

from __future__ import annotations

from collections.abc import Iterator

from swapd.config.schema import Config
from swapd.config.server import Server


def pending(config: Config) -> Iterator[str]:
    """Yield the keys that ``config`` sets and that change nothing yet."""
    if config.server.fast_transport != Server().fast_transport:
        yield "server.fastTransport"
