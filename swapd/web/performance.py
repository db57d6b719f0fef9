"""The machine, as the API tells of it: its last hour, and what it is."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from quart import Blueprint, request
from quart.typing import ResponseReturnValue

from swapd.errors import HardwareUnknown, MalformedRequest
from swapd.telemetry.host.cards import Accelerator
from swapd.telemetry.host.figures import Gpu, Sample, System
from swapd.telemetry.host.hardware import Hardware
from swapd.web.moments import moment
from swapd.web.services import Services
from swapd.web.version import VERSION

_MIB = 1024 * 1024


def performance_views(services: Services) -> Blueprint:
    """Return the views that tell of the machine."""
    views = Blueprint("performance", __name__)
    monitor = services.monitor

    @views.get("/api/performance")
    async def performance() -> ResponseReturnValue:
        if not monitor.is_enabled:
            return {"enabled": False}, 503
        after = request.args.get("after")
        samples = monitor.history.after(after_in(after) if after else None)
        gpus = [_gpu(sample, gpu) for sample in samples for gpu in sample.gpus]
        systems = [_system(sample, sample.system) for sample in samples if sample.system]
        # Its clients tell nothing at all from nothing new.
        none: list[object] | None = [] if after else None
        return {"enabled": True, "gpu_stats": gpus or none, "sys_stats": systems or none}

    @views.get("/api/hardware")
    async def hardware() -> ResponseReturnValue:
        found = await services.detector.detect()
        if found is None:
            raise HardwareUnknown("what this machine is cannot be found out; the log says why")
        return told(found)

    return views


def after_in(text: str) -> datetime:
    """Return the time that ``?after=`` names by ``text``.

    Raises:
      MalformedRequest: It is none.
    """
    if (time := moment(text)) is None:
        raise MalformedRequest(f"after: {text!r} is no time as in 2026-01-31T12:00:00Z")
    return time


def shown(time: datetime) -> str:
    """Return ``time``, which is in UTC, in the words of RFC 3339."""
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _system(sample: Sample, system: System) -> dict[str, object]:
    return {
        "timestamp": shown(sample.time),
        "cpu_util_per_core": list(system.cpu_percent),
        "mem_total_mb": system.memory_total_bytes // _MIB,
        "mem_used_mb": system.memory_used_bytes // _MIB,
        "mem_free_mb": system.memory_free_bytes // _MIB,
        "swap_total_mb": system.swap_total_bytes // _MIB,
        "swap_used_mb": system.swap_used_bytes // _MIB,
        "load_avg_1": round(system.load[0], 2),
        "load_avg_5": round(system.load[1], 2),
        "load_avg_15": round(system.load[2], 2),
        "net_io": [
            {
                "name": interface.name,
                "bytes_recv": interface.received_bytes,
                "bytes_sent": interface.sent_bytes,
            }
            for interface in system.interfaces
        ],
    }


def _gpu(sample: Sample, gpu: Gpu) -> dict[str, object]:
    """Return one GPU; its clients want numbers, and take 0 for what is unknown."""
    return {
        "timestamp": shown(sample.time),
        "id": gpu.id,
        "name": gpu.name,
        "uuid": gpu.uuid,
        "temp_c": round(gpu.celsius or 0),
        "vram_temp_c": round(gpu.memory_celsius or 0),
        "gpu_util_pct": gpu.busy_percent or 0,
        "mem_util_pct": round(gpu.memory_percent or 0, 2),
        "mem_used_mb": (gpu.memory_used_bytes or 0) // _MIB,
        "mem_total_mb": (gpu.memory_total_bytes or 0) // _MIB,
        "fan_speed_pct": round(gpu.fan_percent or 0),
        "power_draw_w": round(gpu.watts or 0, 2),
    }


def told(found: Hardware) -> dict[str, object]:
    """Return ``found`` in the form that llama-swap's users share their machines in."""
    facts = found.facts
    family: dict[str, object] = {"family": facts.family}
    if facts.family == "other":
        family["raw_family"] = facts.raw_family
    return {
        "schema_version": 1,
        "captured_at": shown(found.captured_at),
        "capture": {
            "scope": "inference_host",
            "method": "detected",
            "detector": {"name": "swapd", "version": VERSION},
        },
        "architecture": {"name": facts.architecture, "raw_name": facts.raw_architecture},
        "operating_system": {
            **family,
            "name": facts.system_name,
            "version": facts.system_version,
            "kernel": facts.kernel,
        },
        "environment": {
            "kind": facts.environment.kind,
            "name": facts.environment.name,
            "version": None,
        },
        "cpu": {
            "vendor": facts.cpu_vendor,
            "model": facts.cpu_model,
            "socket_count": facts.sockets,
            "physical_core_count": facts.cores,
            "logical_thread_count": facts.threads,
        },
        "memory": {"capacity_bytes": facts.memory_bytes},
        "accelerators": list(_accelerators(found.accelerators)),
    }


def _accelerators(cards: Iterable[Accelerator]) -> Iterable[dict[str, object]]:
    for index, card in enumerate(cards):
        driver = {"name": card.driver_name, "version": card.driver_version}
        yield {
            "index": index,
            "kind": "gpu",
            "vendor": card.vendor,
            "model": card.model,
            "architecture": card.architecture,
            "memory": {
                "kind": card.memory_kind or "unknown",
                "capacity_bytes": card.memory_bytes,
            },
            "driver": driver if card.driver_name else None,
            "power_limit_watts": card.power_limit_watts,
        }
