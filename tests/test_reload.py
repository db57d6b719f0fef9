"""Going over to a new configuration: what is touched, what is said."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

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
    new = config(
        BASE + "logToStdout: none\nserver: {shutdownGrace: 5, fastTransport: false, keepAlive: 1}"
    )
    assert list(only_at_start(config(), new)) == [
        *("logToStdout", "server.shutdownGrace", "server.fastTransport")
    ]
    assert not list(only_at_start(new, new))


async def test_ports_stay_with_their_models(nursery: trio.Nursery) -> None:
    texts = iter([with_models("b", "c"), with_models("A", "a", "b", "c")])
    apply, applied = trio.open_memory_channel[Config](10)
    first = config(with_models("a", "b"))

    def load(ports: Mapping[ModelId, int]) -> Config:
        return parse(next(texts), "c.yaml", ports=ports)

    reloader = Reloader(first, load, lambda new, _: apply.send_nowait(new))
    nursery.start_soon(reloader.run)
    assert first.ports == {"a": 5800, "b": 5801}
    with trio.fail_after(30):
        reloader.ask()
        assert (await applied.receive()).ports == {"b": 5801, "c": 5802}  # a may still run
        reloader.ask()
        again = await applied.receive()
    assert again.ports == {"a": 5800, "b": 5801, "c": 5802, "A": 5803}


async def test_a_reload_that_is_asked_for_during_a_reload_runs_after_it(
    nursery: trio.Nursery,
) -> None:
    apply, applied = trio.open_memory_channel[Config](10)
    news = iter([config(BASE.replace("60", str(ttl))) for ttl in (1, 2, 3)])
    loading, go_on = trio.Event(), threading.Event()

    def load(ports: Mapping[ModelId, int]) -> Config:
        trio.from_thread.run_sync(loading.set)
        go_on.wait(10)
        return next(news)

    reloader = Reloader(config(), load, lambda new, _: apply.send_nowait(new))
    nursery.start_soon(reloader.run)
    with trio.fail_after(30):
        reloader.ask()
        await loading.wait()
        for _ in range(5):
            reloader.ask()
        go_on.set()
        assert (await applied.receive()).models[A].ttl == 1
        assert (await applied.receive()).models[A].ttl == 2
        await wait_all_tasks_blocked()
    with pytest.raises(trio.WouldBlock):
        applied.receive_nowait()


async def test_a_configuration_with_problems_changes_nothing(
    nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    news = iter([None, config(BASE.replace("60", "1"))])
    apply, applied = trio.open_memory_channel[Config](10)

    def load(ports: Mapping[ModelId, int]) -> Config:
        if new := next(news):
            return new
        raise InvalidConfig(["c.yaml:1:1: models: no"])

    reloader = Reloader(config(), load, lambda new, _: apply.send_nowait(new))
    nursery.start_soon(reloader.run)
    with caplog.at_level(logging.ERROR, "swapd"), trio.fail_after(30):
        reloader.ask()
        await wait_all_tasks_blocked(0.1)
        reloader.ask()
        assert (await applied.receive()).models[A].ttl == 1  # the first that was applied
    assert "the old one stays:\nc.yaml:1:1: models: no" in caplog.text
