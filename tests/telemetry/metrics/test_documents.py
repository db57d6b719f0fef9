"""What is written of the metrics is true of a scrape."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from swapd.telemetry.metrics.merging import Shown, merged
from tests.telemetry.metrics.family_tables import DOCS, DOCUMENT, everything, rewritten
from tests.telemetry.metrics.scraped import Scraped
from tests.telemetry.metrics.test_merging import LLAMA

DASHBOARD = DOCS / "grafana" / "swapd.json"

#: What llama.cpp shows besides, in the words of its own.
TOKENS = "# TYPE llamacpp:tokens_predicted_total counter\nllamacpp:tokens_predicted_total 4\n"


def test_the_tables_are_those_of_the_scrape() -> None:
    """When this fails: python -m tests.telemetry.metrics.family_tables."""
    written = DOCUMENT.read_text()
    assert written.count("<!-- families:") == 2
    assert rewritten(written) == written


def test_every_label_is_explained() -> None:
    text = DOCUMENT.read_text()
    for label in Scraped(everything()).of_label_names():
        assert f"`{label}`" in text, label


def panels() -> Iterator[Any]:
    dashboard = json.loads(DASHBOARD.read_text())
    for panel in dashboard["panels"]:
        if panel["type"] != "row":
            yield panel


def queries() -> list[str]:
    """Return every query of the dashboard."""
    return [target["expr"] for panel in panels() for target in panel["targets"]]


def names_and_labels(query: str) -> Iterator[tuple[str, set[str]]]:
    """Yield each series that ``query`` names, with the labels that it chooses by."""
    for name, chosen in re.findall(
        r"\b((?:swapd|llamaswap|process|llamacpp)[_:][\w:]+)(\{.*?\})?", query
    ):
        yield name, set(re.findall(r"(\w+)=~?\"", chosen))


def test_the_dashboard_asks_for_series_that_exist() -> None:
    upstream = merged([Shown("m", LLAMA + TOKENS)])
    shown = Scraped(everything() + upstream.encode())
    asked = [found for query in queries() for found in names_and_labels(query)]
    assert len(asked) > 30
    for name, labels in asked:
        if name.startswith("process_"):
            continue  # which only Linux has
        assert any(labels <= set(has) for has in shown.labels(name)), (name, labels)


def test_the_dashboard_names_no_label_that_its_series_lack() -> None:
    shown = Scraped(everything() + merged([Shown("m", LLAMA + TOKENS)]).encode())
    for panel in panels():
        for target in panel["targets"]:
            named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            by = set(re.findall(r"\w+", "".join(re.findall(r"by \((.*?)\)", target["expr"]))))
            for name, _ in names_and_labels(target["expr"]):
                for has in shown.labels(name)[:1]:
                    assert named | by <= {*has, "le"}, (panel["title"], name)


def test_the_dashboard_shows_every_family() -> None:
    asked = {name for query in queries() for name, _ in names_and_labels(query)}
    families = {
        re.sub(r"_(bucket|sum|count)$", "", name) for name, _ in Scraped(everything()).series
    }
    left_out = {name for name in families if not any(each.startswith(name) for each in asked)}
    assert {name for name in left_out if not name.startswith("process_")} == {
        "swapd_build_info",
        "llamaswap_gpu_memory_util_percent",  # memory is shown in bytes
        *("llamaswap_memory_free_bytes", "llamaswap_swap_total_bytes"),
    }


def test_panels_have_numbers_of_their_own_and_do_not_overlap() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    taken = set[tuple[int, int]]()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
