"""What clients are told of each failure."""

from __future__ import annotations

import json

import pytest

from swapd.errors import (
    BodyTooLarge,
    MalformedRequest,
    ModelTooSlow,
    ModelUnavailable,
    NoModelNamed,
    RequestError,
    StoreUnreadable,
    TooManyRequests,
    UnknownCapture,
    UnknownModel,
    UnknownProfile,
    UpstreamFailed,
)
from swapd.web.errors import INTERNAL, envelope, headers_of, kind_of, problem_of, unreadable


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (MalformedRequest("x"), 400, "bad_request"),
        (BodyTooLarge("x"), 413, "request_too_large"),
        (NoModelNamed("x"), 404, "not_found"),
        (UnknownModel("x"), 404, "model_not_found"),
        (UnknownProfile("x"), 404, "not_found"),
        (UnknownCapture("x"), 404, "not_found"),
        (StoreUnreadable("x", retry_after=1), 503, "service_unavailable"),
        (TooManyRequests("x", retry_after=1), 429, "concurrency_limit"),
        (ModelTooSlow("x", retry_after=1), 504, "gateway_timeout"),
        (ModelUnavailable("x", retry_after=1), 503, "service_unavailable"),
        (UpstreamFailed("x"), 502, "bad_gateway"),
    ],
)
def test_each_failure_has_its_status_and_its_code(
    error: RequestError, status: int, code: str
) -> None:
    assert (kind_of(error).status, kind_of(error).code) == (status, code)


def test_a_failure_that_nobody_listed_is_found_through_its_base() -> None:
    class Refused(UpstreamFailed):
        pass

    assert kind_of(Refused("x")).status == 502
    assert kind_of(RequestError("x")) is INTERNAL


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.0, b"1"), (1.0, b"1"), (1.2, b"2"), (30.0, b"30")]
)
def test_whom_it_makes_sense_to_ask_again_later_is_told_in_whole_seconds(
    seconds: float, told: bytes
) -> None:
    error = ModelUnavailable("x", retry_after=seconds)
    assert headers_of(error) == ((b"retry-after", told),)
    assert headers_of(UpstreamFailed("x")) == ()


def test_an_envelope_has_the_shape_of_openais_api() -> None:
    assert json.loads(envelope("a \u201cmessage\u201d", INTERNAL)) == {
        "src": "swapd",
        "error": {
            "message": "a \u201cmessage\u201d",
            "type": "server_error",
            "param": None,
            "code": "internal_error",
        },
    }


def test_a_problem_is_all_that_is_told_of_a_failure() -> None:
    problem = problem_of(TooManyRequests("slow down", retry_after=3))
    assert problem.message == "slow down"
    assert problem.kind.status == 429
    assert problem.headers == ((b"retry-after", b"3"),)


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "bad_request"), (431, "head_too_large"), (501, "not_implemented"), (418, "bad_request")],
)
def test_what_is_no_request_has_its_envelope_too(status: int, code: str) -> None:
    assert unreadable(status).kind.code == code
