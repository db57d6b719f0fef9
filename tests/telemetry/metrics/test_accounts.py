"""What is counted of requests and models."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client import generate_latest

from swapd.ids import Generation, ModelId
from swapd.policy.life import ModelState, Reason, Transition
from swapd.telemetry.metrics.accounts import MOST_ROUTES, Accounts
from swapd.telemetry.usage.usage import Usage
from tests.telemetry.metrics.scraped import Scraped, finished

STOPPED, STARTING, READY, STOPPING = ModelState


def change(
    old: ModelState, new: ModelState, reason: Reason = Reason.REQUEST, model: str = "m"
) -> Transition:
    return Transition(ModelId(model), old, new, reason, Generation(1))


def counting(*names: str) -> Accounts:
    accounts = Accounts(clock=lambda: 0.0)
    accounts.reconfigure([], names or ["m"])
    return accounts


def scraped(accounts: Accounts) -> Scraped:
    return Scraped(generate_latest(accounts.registry))


def test_requests_are_counted_by_model_route_and_status() -> None:
    accounts = counting("m", "peer/x")
    for status in (200, 200, 429, 999):
        accounts.observe(finished(status=status))
    accounts.observe(finished("peer/x", route="/upstream/{model}", is_metered=False))
    found = scraped(accounts)
    by = {"model": "m", "route": "/v1/chat/completions"}
    assert [
        found.value("swapd_requests_total", **by, status=status)
        for status in ("200", "429", "other", "499")
    ] == [2, 1, 1, None]
    peer = {"model": "peer/x", "route": "/upstream/{model}", "status": "200"}
    assert found.value("swapd_requests_total", **peer) == 1


def test_waits_and_durations_are_spread_over_buckets() -> None:
    accounts = counting()
    accounts.observe(finished(queued=3.0, first_byte=0.15, duration=25.0))
    found = scraped(accounts)
    for name, below, above in (
        ("swapd_request_queue_seconds", "2.0", "5.0"),
        ("swapd_request_first_byte_seconds", "0.1", "0.2"),
        ("swapd_request_duration_seconds", "20.0", "30.0"),
    ):
        assert found.types[name] == "histogram"
        assert found.value(f"{name}_bucket", model="m", le=below) == 0
        assert found.value(f"{name}_bucket", model="m", le=above) == 1
        assert found.value(f"{name}_count", model="m") == 1
    assert found.value("swapd_request_duration_seconds_sum", model="m") == 25


def test_how_fast_a_failure_was_is_no_duration_but_its_wait_counts() -> None:
    accounts = counting()
    accounts.observe(finished(status=499, queued=7.0))
    found = scraped(accounts)
    assert found.value("swapd_request_duration_seconds_count", model="m") is None
    assert found.value("swapd_request_first_byte_seconds_count", model="m") is None
    assert found.value("swapd_request_queue_seconds_sum", model="m") == 7


def test_an_answer_without_a_body_has_no_first_byte() -> None:
    accounts = counting()
    accounts.observe(finished(first_byte=None))
    assert scraped(accounts).value("swapd_request_first_byte_seconds_count", model="m") is None


def test_pages_of_a_models_server_are_counted_and_not_timed() -> None:
    accounts = counting()
    accounts.observe(finished(is_metered=False, usage=Usage(prompt=5)))
    found = scraped(accounts)
    assert found.value("swapd_request_duration_seconds_count", model="m") is None
    assert found.labels("swapd_tokens_total") == []
    assert len(found.labels("swapd_requests_total")) == 1


def test_tokens_are_counted_by_kind_where_they_are_known() -> None:
    accounts = counting()
    usage = Usage(prompt=10, cached=0, generated=20, drafted=None, accepted=3)
    accounts.observe(finished(usage=usage))
    accounts.observe(finished(usage=usage))
    found = scraped(accounts)
    kinds = ("prompt", "cached", "generated", "drafted", "accepted")
    values = [found.value("swapd_tokens_total", model="m", kind=kind) for kind in kinds]
    assert values == [20, None, 40, None, 6]


def test_what_a_server_says_of_negative_tokens_is_not_believed() -> None:
    accounts = counting()
    accounts.observe(finished(usage=Usage(prompt=-1)))
    assert scraped(accounts).labels("swapd_tokens_total") == []


def test_names_that_are_not_configured_never_become_labels() -> None:
    accounts = counting()
    before = len(scraped(accounts).series)
    for number in range(1000):
        accounts.observe(finished(f"unknown{number}", status=404))
        accounts.show(change(STOPPED, STARTING, model=f"unknown{number}"))
    found = scraped(accounts)
    assert len(found.series) == before
    assert found.value("swapd_unnamed_requests_total") == 1000


def test_models_are_shown_in_the_order_of_the_configuration() -> None:
    names = [f"m{number}" for number in (3, 1, 4, 15, 9, 2, 6)]
    accounts = Accounts()
    accounts.reconfigure(names, [])
    swaps = {family.name: family for family in accounts.registry.collect()}["swapd_model_swaps"]
    assert [sample.labels["model"] for sample in swaps.samples] == names


def test_routes_stay_few_whatever_comes() -> None:
    accounts = counting()
    for number in range(1000):
        accounts.observe(finished(route=f"/{number}", is_metered=False))
    found = scraped(accounts)
    assert len(found.of_label("route")) == MOST_ROUTES + 1
    other = {"model": "m", "route": "other", "status": "200"}
    assert found.value("swapd_requests_total", **other) == 1000 - MOST_ROUTES


def test_a_model_that_was_taken_out_is_forgotten_and_begins_anew() -> None:
    accounts = counting("m", "n")
    usage = Usage(prompt=1)
    for model in ("m", "n"):
        accounts.observe(finished(model, usage=usage))
        accounts.show(change(STOPPED, STARTING, model=model))
        accounts.show(change(STARTING, READY, model=model))
    accounts.reconfigure([], ["n"])
    assert scraped(accounts).of_label("model") == {"n"}
    accounts.reconfigure([], ["m", "n"])
    accounts.observe(finished("m", usage=usage))
    found = scraped(accounts)
    assert found.value("swapd_tokens_total", model="m", kind="prompt") == 1
    assert found.value("swapd_tokens_total", model="n", kind="prompt") == 1


def test_transitions_are_counted_by_state_and_reason() -> None:
    accounts = counting()
    accounts.show(change(STOPPED, STARTING))
    accounts.show(change(STARTING, READY))
    accounts.show(change(READY, STOPPING, Reason.TTL))
    accounts.show(change(STOPPING, STOPPED, Reason.TTL))
    accounts.show(change(STOPPED, STARTING))
    found = scraped(accounts)
    by = {"model": "m", "state": "starting", "reason": "request"}
    assert found.value("swapd_model_transitions_total", **by) == 2
    by = {"model": "m", "state": "stopping", "reason": "ttl"}
    assert found.value("swapd_model_transitions_total", **by) == 1


def test_the_time_of_a_load_is_from_its_start_to_ready() -> None:
    times: Iterator[float] = iter([100.0, 107.0, 110.0, 111.0, 120.0])
    accounts = Accounts(clock=lambda: next(times))
    accounts.reconfigure([], ["m"])
    accounts.show(change(STOPPED, STARTING))
    accounts.show(change(STARTING, READY))
    accounts.show(change(STOPPED, STARTING))
    accounts.show(change(STARTING, STOPPING, Reason.START_FAILED))  # no load that came to an end
    found = scraped(accounts)
    assert found.value("swapd_model_load_seconds_sum", model="m") == 7
    assert found.value("swapd_model_load_seconds_count", model="m") == 1
    assert found.value("swapd_model_load_seconds_bucket", model="m", le="5.0") == 0
    assert found.value("swapd_model_load_seconds_bucket", model="m", le="10.0") == 1


def test_a_swap_counts_once_for_whom_it_stops() -> None:
    accounts = counting()
    accounts.show(change(READY, STOPPING, Reason.SWAP))
    accounts.show(change(STOPPING, STOPPED, Reason.SWAP))
    assert scraped(accounts).value("swapd_model_swaps_total", model="m") == 1


def test_what_is_rare_begins_at_zero_and_only_for_models_that_swapd_runs() -> None:
    accounts = counting()
    accounts.reconfigure(["m"], ["peer/x"])
    found = scraped(accounts)
    assert found.of_label("model") == {"m"}
    assert found.value("swapd_model_swaps_total", model="m") == 0
    assert found.value("swapd_model_restarts_total", model="m") == 0
    by = {"model": "m", "state": "stopped"}
    for reason in ("crash", "hung", "start_failed"):
        assert found.value("swapd_model_transitions_total", **by, reason=reason) == 0


def test_a_new_configuration_does_not_begin_what_is_counted_anew() -> None:
    accounts = counting()
    accounts.reconfigure(["m"], [])
    accounts.show(change(READY, STOPPING, Reason.SWAP))
    accounts.reconfigure(["m", "n"], [])
    assert scraped(accounts).value("swapd_model_swaps_total", model="m") == 1


def test_a_stop_for_another_reason_is_no_swap() -> None:
    accounts = counting()
    accounts.show(change(READY, STOPPING, Reason.UNLOAD))
    assert scraped(accounts).value("swapd_model_swaps_total", model="m") is None


@pytest.mark.parametrize(
    ("ends", "restarts"),
    [
        ([change(READY, STOPPED, Reason.CRASH)], 1),
        ([change(STARTING, STOPPED, Reason.START_FAILED)], 1),
        (
            [change(READY, STOPPING, Reason.HUNG), change(STOPPING, STOPPED, Reason.HUNG)],
            1,
        ),
        ([change(READY, STOPPING, Reason.TTL), change(STOPPING, STOPPED, Reason.TTL)], None),
    ],
)
def test_a_start_after_a_failure_is_a_restart(
    ends: list[Transition], restarts: float | None
) -> None:
    accounts = counting()
    for each in ends:
        accounts.show(each)
    accounts.show(change(STOPPED, STARTING))
    assert scraped(accounts).value("swapd_model_restarts_total", model="m") == restarts


def test_what_failed_before_it_was_taken_out_is_not_restarted_when_it_is_back() -> None:
    accounts = counting()
    accounts.show(change(STARTING, STOPPED, Reason.START_FAILED))
    for models in ([], ["m"]):
        accounts.reconfigure(models, [])
    accounts.show(change(STOPPED, STARTING))
    assert scraped(accounts).value("swapd_model_restarts_total", model="m") == 0


def test_a_start_after_a_good_end_is_no_restart_though_it_failed_once() -> None:
    accounts = counting()
    for each in (
        change(READY, STOPPED, Reason.CRASH),
        change(STOPPED, STARTING),
        change(STARTING, READY),
        change(READY, STOPPING, Reason.TTL),
        change(STOPPING, STOPPED, Reason.TTL),
        change(STOPPED, STARTING),
    ):
        accounts.show(each)
    assert scraped(accounts).value("swapd_model_restarts_total", model="m") == 1
