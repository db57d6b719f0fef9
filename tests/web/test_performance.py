"""What the API tells of the machine."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from swapd.telemetry.host.cards import Accelerator
from swapd.telemetry.host.figures import Gpu, Interface, Sample, System
from swapd.telemetry.host.hardware import Detector, Hardware
from swapd.telemetry.host.machine import Environment, Facts
from swapd.web.performance import told
from tests.web.floor import Floor, floor, get

MIB = 1024**2
BEGAN = datetime(2026, 1, 1, 12, tzinfo=UTC)
SYSTEM = System(
    *((12.5, 99.0), 64 * MIB, 10 * MIB, 20 * MIB, 4 * MIB, MIB, (1.0, 0.5, 0.255)),
    (Interface("eth0", 123, 456),),
)
CARD = Gpu(0, "RTX", "GPU-1", 41.0, None, 97, 6 * MIB, 24 * MIB, 30.4, 320.512)


def measure(web: Floor, second: float, *gpus: Gpu, system: System | None = SYSTEM) -> None:
    time = BEGAN + timedelta(seconds=second)
    web.services.monitor.history.add(Sample(time, system, gpus))


async def test_every_measurement_is_told_oldest_first() -> None:
    async with floor() as web:
        measure(web, 0, CARD, Gpu(1, "other"))
        measure(web, 5.25)
        reply = await web.ask(get("/api/performance"))
    assert reply.status == 200
    assert json.loads(reply.body) == {
        "enabled": True,
        "gpu_stats": [
            {
                "timestamp": "2026-01-01T12:00:00.000000Z",
                "id": 0,
                "name": "RTX",
                "uuid": "GPU-1",
                "temp_c": 41,
                "vram_temp_c": 0,
                "gpu_util_pct": 97,
                "mem_util_pct": 25.0,
                "mem_used_mb": 6,
                "mem_total_mb": 24,
                "fan_speed_pct": 30,
                "power_draw_w": 320.51,
            },
            {
                "timestamp": "2026-01-01T12:00:00.000000Z",
                "id": 1,
                "name": "other",
                "uuid": "",
                "temp_c": 0,
                "vram_temp_c": 0,
                "gpu_util_pct": 0,
                "mem_util_pct": 0,
                "mem_used_mb": 0,
                "mem_total_mb": 0,
                "fan_speed_pct": 0,
                "power_draw_w": 0,
            },
        ],
        "sys_stats": [
            {
                "timestamp": time,
                "cpu_util_per_core": [12.5, 99.0],
                "mem_total_mb": 64,
                "mem_used_mb": 10,
                "mem_free_mb": 20,
                "swap_total_mb": 4,
                "swap_used_mb": 1,
                "load_avg_1": 1.0,
                "load_avg_5": 0.5,
                "load_avg_15": 0.26,
                "net_io": [{"name": "eth0", "bytes_recv": 123, "bytes_sent": 456}],
            }
            for time in ("2026-01-01T12:00:00.000000Z", "2026-01-01T12:00:05.250000Z")
        ],
    }


async def test_nothing_at_all_is_null_and_nothing_new_is_an_empty_list() -> None:
    async with floor() as web:
        nothing = await web.ask(get("/api/performance"))
        assert json.loads(nothing.body) == {"enabled": True, "gpu_stats": None, "sys_stats": None}
        later = await web.ask(get("/api/performance?after=2026-01-01T12:00:00Z"))
        assert json.loads(later.body) == {"enabled": True, "gpu_stats": [], "sys_stats": []}


async def test_only_what_is_later_than_the_last_that_was_told_comes() -> None:
    async with floor() as web:
        measure(web, 0.123456, CARD)
        first = json.loads((await web.ask(get("/api/performance"))).body)
        last = first["sys_stats"][-1]["timestamp"]
        measure(web, 5, CARD)
        second = json.loads((await web.ask(get(f"/api/performance?after={last}"))).body)
    assert [item["timestamp"] for item in second["sys_stats"]] == ["2026-01-01T12:00:05.000000Z"]
    assert len(second["gpu_stats"]) == 1


async def test_what_was_not_measured_is_missing_and_the_rest_is_told() -> None:
    async with floor() as web:
        measure(web, 0, CARD, system=None)
        said = json.loads((await web.ask(get("/api/performance"))).body)
    assert (said["sys_stats"], len(said["gpu_stats"])) == (None, 1)


async def test_disabled_is_told() -> None:
    async with floor(performance={"disabled": True}) as web:
        for query in ("", "?after=nonsense"):
            reply = await web.ask(get(f"/api/performance{query}"))
            assert (reply.status, json.loads(reply.body)) == (503, {"enabled": False})


async def test_a_time_that_is_none_is_refused_with_a_reason() -> None:
    async with floor() as web:
        reply = await web.ask(get("/api/performance?after=yesterday"))
    assert (reply.status, reply.error["code"]) == (400, "bad_request")
    assert reply.error["message"] == "after: 'yesterday' is no time as in 2026-01-31T12:00:00Z"


FACTS = Facts(
    *("x86_64", "x86_64", "linux", "linux", "Debian GNU/Linux", "12", "6.12.0"),
    *(Environment("native"), "AuthenticAMD", "AMD Ryzen", 1, 8, 16, 64 * MIB),
)


def test_hardware_is_told_in_the_form_that_its_readers_know() -> None:
    card = Accelerator("AMD", "RX", "gfx1100", "dedicated", 24 * MIB, "amdgpu", None, 327.0)
    said = told(Hardware(BEGAN, FACTS, (card, Accelerator("Intel"))))
    capture = said.pop("capture")
    assert isinstance(capture, dict)
    assert capture["detector"]["name"] == "swapd"
    assert said == {
        "schema_version": 1,
        "captured_at": "2026-01-01T12:00:00.000000Z",
        "architecture": {"name": "x86_64", "raw_name": "x86_64"},
        "operating_system": {
            "family": "linux",
            "name": "Debian GNU/Linux",
            "version": "12",
            "kernel": "6.12.0",
        },
        "environment": {"kind": "native", "name": None, "version": None},
        "cpu": {
            "vendor": "AuthenticAMD",
            "model": "AMD Ryzen",
            "socket_count": 1,
            "physical_core_count": 8,
            "logical_thread_count": 16,
        },
        "memory": {"capacity_bytes": 64 * MIB},
        "accelerators": [
            {
                "index": 0,
                "kind": "gpu",
                "vendor": "AMD",
                "model": "RX",
                "architecture": "gfx1100",
                "memory": {"kind": "dedicated", "capacity_bytes": 24 * MIB},
                "driver": {"name": "amdgpu", "version": None},
                "power_limit_watts": 327.0,
            },
            {
                "index": 1,
                "kind": "gpu",
                "vendor": "Intel",
                "model": None,
                "architecture": None,
                "memory": {"kind": "unknown", "capacity_bytes": None},
                "driver": None,
                "power_limit_watts": None,
            },
        ],
    }


async def test_hardware_is_asked_for_over_http() -> None:
    async with floor() as web:
        reply = await web.ask(get("/api/hardware"))
        again = await web.ask(get("/api/hardware"))
    said = json.loads(reply.body)
    assert (reply.status, said["schema_version"]) == (200, 1)
    assert json.loads(again.body) == said  # it is found out once


@pytest.mark.parametrize("path", ["/api/performance", "/api/hardware"])
async def test_a_key_is_asked_for(path: str) -> None:
    async with floor(apiKeys=["sesame"]) as web:
        assert (await web.ask(get(path))).status == 401


async def test_a_machine_that_is_not_known_is_an_error() -> None:
    def fails() -> Facts:
        raise OSError("no /proc")

    async with floor() as web:
        web.services.detector = Detector((), fails)
        reply = await web.ask(get("/api/hardware"))
    assert (reply.status, reply.error["code"]) == (503, "service_unavailable")
