"""What is true at the moment of a scrape: of swapd, its models and its machine."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from swapd.policy.life import ModelState
from swapd.telemetry.host.figures import Gpu, Sample, System


@dataclass(frozen=True, slots=True)
class ModelNow:
    """One model as it is now; ``state`` is None for a peer's."""

    model: str
    state: ModelState | None
    in_flight: int
    waiting: int = 0
    #: Seconds for which it may not be started.
    backoff: float = 0.0


def build(version: str) -> Iterator[Metric]:
    """Yield which swapd this is."""
    about = GaugeMetricFamily(
        "swapd_build_info", "Which swapd this is; always 1.", labels=("version", "python")
    )
    about.add_metric((version, platform.python_version()), 1)
    yield about


def models(now: Iterable[ModelNow]) -> Iterator[Metric]:
    """Yield what each model does."""
    by = ("model",)
    state = GaugeMetricFamily(
        "swapd_model_state", "1 for the state that the model is in.", labels=("model", "state")
    )
    in_flight = GaugeMetricFamily(
        "swapd_model_requests_in_flight", "Requests that the model serves.", labels=by
    )
    queue = GaugeMetricFamily(
        "swapd_model_queue_length", "Requests and loads that wait for the model.", labels=by
    )
    backoff = GaugeMetricFamily(
        "swapd_model_backoff_seconds",
        "For how long the model may not be started, for it has failed.",
        labels=by,
    )
    for model in now:
        in_flight.add_metric((model.model,), model.in_flight)
        if model.state is None:
            continue
        for each in ModelState:
            state.add_metric((model.model, each), each is model.state)
        queue.add_metric((model.model,), model.waiting)
        backoff.add_metric((model.model,), round(model.backoff, 3))
    yield from (state, in_flight, queue, backoff)


def host(sample: Sample | None) -> Iterator[Metric]:
    """Yield the machine's latest figures, under the names that llama-swap gives them."""
    if sample is None:
        return
    if sample.system is not None:
        yield from _system(sample.system)
    if sample.gpus:
        yield from _gpus(sample.gpus)


def _system(system: System) -> Iterator[Metric]:
    cpu = GaugeMetricFamily(
        "llamaswap_cpu_util_percent", "How busy each core was.", labels=("core",)
    )
    for core, percent in enumerate(system.cpu_percent):
        cpu.add_metric((str(core),), percent)
    yield cpu
    for name, about, value in (
        ("memory_total", "Memory of the machine.", system.memory_total_bytes),
        ("memory_used", "Memory that is taken.", system.memory_used_bytes),
        ("memory_free", "Memory that nothing is in.", system.memory_free_bytes),
        ("swap_total", "Swap space.", system.swap_total_bytes),
        ("swap_used", "Swap space that is taken.", system.swap_used_bytes),
    ):
        yield GaugeMetricFamily(f"llamaswap_{name}_bytes", about, value=value)
    load = GaugeMetricFamily(
        "llamaswap_load_average", "Processes that want to run.", labels=("interval",)
    )
    for interval, running in zip(("1m", "5m", "15m"), system.load, strict=True):
        load.add_metric((interval,), running)
    yield load
    if system.interfaces:
        network = CounterMetricFamily(
            "llamaswap_network_bytes",
            "Bytes that each network interface has passed.",
            labels=("interface", "direction"),
        )
        for interface in system.interfaces:
            network.add_metric((interface.name, "recv"), interface.received_bytes)
            network.add_metric((interface.name, "sent"), interface.sent_bytes)
        yield network


def _gpus(gpus: Iterable[Gpu]) -> Iterator[Metric]:
    """Yield a family for each figure; of what a card does not say there is no series."""
    cards = [(card, _labels(card)) for card in gpus]
    for name, about, figures in (
        ("temperature_celsius", "Temperature.", [card.celsius for card, _ in cards]),
        (
            "vram_temperature_celsius",
            "Temperature of its memory.",
            [card.memory_celsius for card, _ in cards],
        ),
        ("util_percent", "How busy it was.", [card.busy_percent for card, _ in cards]),
        (
            "memory_util_percent",
            "How much of its memory is taken.",
            [card.memory_percent for card, _ in cards],
        ),
        (
            "memory_used_bytes",
            "Its memory that is taken.",
            [card.memory_used_bytes for card, _ in cards],
        ),
        ("memory_total_bytes", "Its memory.", [card.memory_total_bytes for card, _ in cards]),
        ("fan_speed_percent", "Speed of its fan.", [card.fan_percent for card, _ in cards]),
        ("power_draw_watts", "Power that it draws.", [card.watts for card, _ in cards]),
    ):
        family = Metric(f"llamaswap_gpu_{name}", f"GPU: {about}", "gauge")
        for (_, labels), figure in zip(cards, figures, strict=True):
            if figure is not None:
                family.add_sample(family.name, labels, figure)
        if family.samples:
            yield family


def _labels(card: Gpu) -> dict[str, str]:
    uuid = {"uuid": card.uuid} if card.uuid else {}
    return {"id": str(card.id), "name": card.name, **uuid}
