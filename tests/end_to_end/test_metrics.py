"""What Prometheus gets from a swapd that runs."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path

import pytest
import trio

from swapd.testing.running import Running, configuration, fake, run_swapd
from tests.telemetry.metrics.scraped import Scraped

pytestmark = pytest.mark.real_process

ONE_AT_A_TIME = {"a": fake("a"), "b": fake("b")}


async def scrape(swapd: Running, path: str = "/metrics") -> Scraped:
    answer = await swapd.ask("GET", path)
    assert answer.status == 200
    return Scraped(answer.body)


async def test_requests_loads_and_swaps_are_counted(tmp_path: Path) -> None:
    async with run_swapd(tmp_path, configuration(ONE_AT_A_TIME)) as swapd:
        for model in ("a", "a", "b", "nobody"):
            await swapd.chat(model)
        found = await scrape(swapd)
    by = {"route": "/v1/chat/completions", "status": "200"}
    assert found.value("swapd_requests_total", model="a", **by) == 2
    assert found.value("swapd_requests_total", model="b", **by) == 1
    assert found.value("swapd_unnamed_requests_total") == 1
    assert found.value("swapd_model_swaps_total", model="a") == 1
    assert found.value("swapd_model_load_seconds_count", model="b") == 1
    assert found.value("swapd_model_state", model="b", state="ready") == 1
    assert found.value("swapd_request_duration_seconds_count", model="a") == 2
    assert (found.value("swapd_tokens_total", model="a", kind="generated") or 0) > 0
    assert found.of_label("model") == {"a", "b"}


async def test_a_model_that_a_reload_takes_out_is_forgotten(tmp_path: Path) -> None:
    config = configuration(ONE_AT_A_TIME)
    async with run_swapd(tmp_path, config) as swapd:
        await swapd.chat("a")
        (tmp_path / "config.yaml").write_text(configuration({"b": fake("b")}))
        swapd.process.send_signal(signal.SIGHUP)
        await swapd.until_said("a: stopping -> stopped")
        await swapd.until_said("configuration reloaded")
        found = await scrape(swapd)
    assert found.of_label("model") == {"b"}


async def test_asking_a_models_server_for_metrics_does_not_keep_it_loaded(tmp_path: Path) -> None:
    models: dict[str, str | Mapping[str, object]] = {
        "a": {"cmd": fake("a"), "ttl": 1},
        "b": fake("b"),
    }
    async with run_swapd(tmp_path, configuration(models)) as swapd:
        await swapd.chat("a")
        with trio.fail_after(20):
            while "a" in (found := await scrape(swapd, "/metrics/upstream")).of_label("model"):
                assert found.value("swapd_upstream_up", model="a") is not None
                await trio.sleep(0.05)
        assert await swapd.states() in ({}, {"a": "stopping"})  # and it started none
