"""Which keys are known, which are still to come, and what to say of the others."""

from __future__ import annotations

from collections.abc import Collection

from swapd.config.problems import did_you_mean

#: Keys that a configuration may bring and that swapd does not obey yet.  Each is reported:
#: a key that is silently ignored would promise what does not happen.
NOT_YET_AT_TOP = frozenset(
    {
        "captureBuffer",
        "includeAliasesInList",
        "logLevel",
        "logRequests",
        "logTimeFormat",
        "logToStdout",
        "macros",
        "matrix",
        "metricsMaxInMemory",
        "peers",
        "performance",
        "profiles",
        "routing",
        "selectors",
        "sendLoadingState",
        "store",
        "ui",
        "upstream",
    }
)
NOT_YET_IN_MODEL = frozenset(
    {
        "capabilities",
        "compat",
        "filters",
        "healthCheckTimeout",
        "macros",
        "metadata",
        "sendLoadingState",
        "timeouts",
    }
)


def is_private(key: str) -> bool:
    """Say whether ``key`` is a person's own, which swapd leaves alone."""
    return key.startswith("x-")


def complaint(key: str, known: Collection[str], not_yet: Collection[str]) -> str:
    """Say what is wrong with ``key``, which is not among the ``known``."""
    if key in not_yet:
        return "is not supported yet"
    return f"unknown key{did_you_mean(key, [*known, *not_yet])}"
