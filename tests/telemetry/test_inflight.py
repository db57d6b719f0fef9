"""Which requests are under way."""

from __future__ import annotations

from swapd.telemetry.inflight import Phase, Requests


def test_a_request_is_known_for_as_long_as_it_lasts() -> None:
    requests = Requests(wall_clock=lambda: 1000.5)
    assert [*requests] == []
    with requests.track("m", method="POST", path="/v1/x", client="1.2.3.4") as request:
        assert [*requests] == [request] == [requests.find(1)]
        assert (request.model, request.method, request.path) == ("m", "POST", "/v1/x")
        assert (request.client, request.since, request.phase) == ("1.2.3.4", 1000.5, "waiting")
        request.admitted()
        assert [request.phase for request in requests] == [Phase.SERVED]
    assert [*requests] == []
    assert requests.find(1) is None


def test_requests_are_counted_by_model_and_each_has_a_number() -> None:
    requests = Requests()
    with requests.track("a", method="GET", path="/", client=None) as first:
        assert (requests.count("a"), requests.count("b")) == (1, 0)
        with (
            requests.track("a", method="GET", path="/", client=None) as second,
            requests.track("b", method="GET", path="/", client=None),
        ):
            assert (requests.count("a"), requests.count("b")) == (2, 1)
        assert (requests.count("a"), requests.count("b")) == (1, 0)
    assert requests.count("a") == 0
    assert (first.id, second.id) == (1, 2)
