"""Going over to a new configuration: what is touched, what is said."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from swapd.config.changes import changed_processes, newly_preloaded, only_at_start
from swapd.config.load import parse
from swapd.config.schema import Config
from swapd.errors import InvalidConfig
from swapd.ids import ModelId
from swapd.reload import Reloader

A = ModelId("a")

BASE = """
models:
  a:
    cmd: server --port ${PORT}
    ttl: 60
    env: [X=1]
  b:
    cmd: server --port 1
    proxy: http://localhost:1
"""


def with_models(*names: str) -> str:
    return "models:\n" + "".join(f"  {name}:\n    cmd: s ${{PORT}}\n" for name in names)


def config(text: str = BASE) -> Config:
    return parse(text, "c.yaml")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("server --port ${PORT}", "server --verbose --port ${PORT}"),
        ("env: [X=1]", "env: [X=2]"),
        ("ttl: 60", "proxy: http://127.0.0.1:${PORT}"),
        ("models:", "startPort: 7000\nmodels:"),
    ],
)
def test_what_makes_another_process_changes_it(old: str, new: str) -> None:
    assert changed_processes(config(), config(BASE.replace(old, new))) == {A}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ttl: 60", "ttl: 90"),
        ("ttl: 60", "aliases: [x]"),
        ("ttl: 60", "useModelName: y"),
        ("ttl: 60", "cmdStop: stop"),
        ("ttl: 60", "unloadTimeout: 3"),
        ("ttl: 60", "checkEndpoint: /ready"),
        ("models:", "healthCheckTimeout: 300\nmodels:"),
        ("server --port ${PORT}", "server   --port  ${PORT}"),
        ("proxy: http://localhost:1", "proxy: http://localhost:1\n    aliases: [z]"),
    ],
)
def test_what_holds_for_the_running_process_leaves_it_alone(old: str, new: str) -> None:
    assert not changed_processes(config(), config(BASE.replace(old, new)))


def test_a_model_that_is_new_or_removed_is_no_changed_one() -> None:
    assert not changed_processes(config(), config(BASE.replace("  a:", "  c:")))


def test_only_what_is_newly_wanted_is_preloaded() -> None:
    hooks = "hooks: {on_startup: {preload: [%s]}}"
    old, new = (config(BASE + hooks % names) for names in ("a", "a, b"))
    assert newly_preloaded(old, new) == ("b",)


def test_what_takes_effect_at_the_next_start_is_named() -> None:
    new = config(BASE + "server: {shutdownGrace: 5}")
    assert list(only_at_start(config(), new)) == ["server.shutdownGrace"]
    assert not list(only_at_start(new, new))


async def test_ports_stay_with_their_models(nursery: trio.Nursery) -> None:
    texts = iter([with_models("b", "c"), with_models("a", "b", "c", "d")])
    applied: list[Config] = []
    first = config(with_models("a", "b"))

    def load(ports: Mapping[ModelId, int]) -> Config:
        return parse(next(texts), "c.yaml", ports=ports)

    reloader = Reloader(first, load, lambda new, _: applied.append(new))
    nursery.start_soon(reloader.run)
    for count in (1, 2):
        reloader.ask()
        with trio.fail_after(5):
            while len(applied) < count:
                await trio.lowlevel.checkpoint()
    assert first.ports == {"a": 5800, "b": 5801}
    assert applied[0].ports == {"b": 5801, "c": 5802}  # a may still run on 5800
    assert applied[1].ports == {"a": 5800, "b": 5801, "c": 5802, "d": 5803}


async def test_reloads_do_not_overlap_and_none_is_lost(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    applied: list[Config] = []
    news = iter([config(BASE.replace("60", str(ttl))) for ttl in (1, 2, 3)])
    reloader = Reloader(config(), lambda ports: next(news), lambda new, _: applied.append(new))
    nursery.start_soon(reloader.run)
    for _ in range(5):  # asked together: one runs, one runs after it
        reloader.ask()
    with trio.fail_after(5):
        while not applied:
            await trio.lowlevel.checkpoint()
    await wait_all_tasks_blocked()
    assert [new.models[A].ttl for new in applied] == [1]
    reloader.ask()
    with trio.fail_after(5):
        while len(applied) < 2:
            await trio.lowlevel.checkpoint()
    assert [new.models[A].ttl for new in applied] == [1, 2]


async def test_a_configuration_with_problems_changes_nothing(
    nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    def load(ports: Mapping[ModelId, int]) -> Config:
        raise InvalidConfig(["c.yaml:1:1: models: no"])

    def apply(new: Config, changed: frozenset[ModelId]) -> None:
        raise AssertionError("nothing may be applied")

    reloader = Reloader(config(), load, apply)
    nursery.start_soon(reloader.run)
    with caplog.at_level(logging.ERROR, "swapd"), trio.fail_after(5):
        reloader.ask()
        while "the old one stays" not in caplog.text:
            await trio.lowlevel.checkpoint()
    assert "c.yaml:1:1: models: no" in caplog.text
