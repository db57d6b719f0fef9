"""How many connections there may be at once, so that descriptors are left for all else."""

from __future__ import annotations

import resource
from contextlib import suppress

#: Descriptors that this process would like to have, if the system's hard limit lets it.
_WANTED = (65_536, 10_240)  # the second is all that macOS gives

#: Descriptors for models, their logs, bodies in files and the store.
_RESERVED = 128

#: A connection has one, and another one for its model's server.
_PER_CONNECTION = 2


def raise_descriptor_limit() -> None:
    """Have as many descriptors as the system's hard limit gives; many shells give few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in _WANTED:
        reachable = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        if soft == resource.RLIM_INFINITY or soft >= reachable:
            return
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (reachable, hard))
            return


def connections_at_once() -> int:
    """Return how many connections fit into the descriptors that this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return connections_within(max(_WANTED) if soft == resource.RLIM_INFINITY else soft)


def connections_within(descriptors: int) -> int:
    """Return how many connections fit into so many descriptors."""
    return max(1, (descriptors - min(_RESERVED, descriptors // 2)) // _PER_CONNECTION)
