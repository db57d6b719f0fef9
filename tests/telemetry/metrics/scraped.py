"""What a scrape says, as prometheus-client's own parser reads it."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

from swapd.telemetry.finished import Finished
from swapd.telemetry.usage.usage import UNKNOWN, Usage


class Scraped:
    """The series of one scrape."""

    def __init__(self, text: bytes) -> None:
        self.text = text.decode()
        self.types: dict[str, str] = {}
        self.series: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        for family in text_string_to_metric_families(self.text):
            self.types[family.name] = family.type
            for sample in family.samples:
                key = (sample.name, frozenset(sample.labels.items()))
                assert key not in self.series, f"{sample.name} is there twice"
                self.series[key] = sample.value

    def value(self, name: str, /, **labels: str) -> float | None:
        """Return the value of one series; None if it is not there."""
        return self.series.get((name, frozenset(labels.items())))

    def labels(self, name: str) -> list[Mapping[str, str]]:
        """Return the labels of each series of this name."""
        return [dict(labels) for series, labels in self.series if series == name]

    def of_label_names(self) -> set[str]:
        """Return the name of every label."""
        return {name for _, labels in self.series for name, _ in labels}

    def of_label(self, label: str) -> set[str]:
        """Return every value that ``label`` has anywhere."""
        return {value for _, labels in self.series for name, value in labels if name == label}


def finished(
    model: str = "m",
    *,
    route: str = "/v1/chat/completions",
    status: int = 200,
    is_metered: bool = True,
    duration: float = 1.5,
    queued: float = 0.0,
    first_byte: float | None = 0.3,
    usage: Usage = UNKNOWN,
) -> Finished:
    """Return a request that is over."""
    return Finished(
        id=1,
        model=model,
        method="POST",
        path=route,
        route=route,
        is_metered=is_metered,
        status=status,
        content_type="",
        time=0.0,
        duration=duration,
        queued=queued,
        loaded=0.0,
        first_byte=first_byte,
        usage=usage,
    )
