"""The scheduler is told what the configuration says."""

from __future__ import annotations

from swapd.config.load import parse
from swapd.ids import ModelId
from swapd.policy.seats import Rules, Terms
from swapd.policy.terms import rules_of, terms_of

CONFIG = parse(
    """
    globalTTL: 5
    models:
      a: {cmd: 'x ${PORT}', aliases: [first], concurrencyLimit: 7, parallel: 2}
      b: {cmd: 'x ${PORT}', ttl: 9}
    routing:
      scheduler: {settings: {fifo: {priority: {first: 3}, maxWait: 12, maxQueue: 40}}}
    """,
    "c.yaml",
    environ={},
)


def test_each_model_has_its_own_terms() -> None:
    assert terms_of(CONFIG) == {
        ModelId("a"): Terms(ttl=5, concurrency_limit=7, parallel=2, priority=3),
        ModelId("b"): Terms(ttl=9),
    }


def test_the_queue_has_the_rules_of_the_file() -> None:
    assert rules_of(CONFIG) == Rules(max_wait=12, max_queue=40)
