"""Every eviction policy by its name.  A new one is a file of its own and an entry here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from swapd.config.routing import Router
from swapd.config.schema import Config
from swapd.policy.eviction import EvictionPolicy, GroupEviction
from swapd.policy.matrix.eviction import MatrixEviction


def policy_of(config: Config) -> EvictionPolicy:
    """Return the policy that ``routing.router.use`` names."""
    return POLICIES[config.routing.router](config)


def _by_groups(config: Config) -> EvictionPolicy:
    return GroupEviction(config.groups)


def _by_matrix(config: Config) -> EvictionPolicy:
    matrix = config.routing.matrix
    if matrix is None:
        raise ValueError("the router is the matrix, but there is none")
    return MatrixEviction(matrix, config.models)


#: How each policy is made, by the word for it in a configuration (`config/routing.py`).
POLICIES: Mapping[str, Callable[[Config], EvictionPolicy]] = MappingProxyType(
    {Router.GROUP: _by_groups, Router.MATRIX: _by_matrix}
)
