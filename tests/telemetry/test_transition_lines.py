"""What the log says of a model's life."""

from __future__ import annotations

import json
import logging

import pytest

from swapd.config.load import parse
from swapd.ids import Generation, ModelId
from swapd.policy.life import ModelState, Reason, Transition
from swapd.telemetry.transition_lines import log_transition

STOPPED, STARTING, READY, STOPPING = ModelState

MODEL = parse(
    json.dumps({"models": {"m": {"cmd": "x ${PORT}", "proxy": "http://h:1", "ttl": 5}}}),
    "c.yaml",
    environ={},
).models[ModelId("m")]


@pytest.mark.parametrize(
    ("old", "new", "reason", "detail", "line"),
    [
        (STOPPED, STARTING, Reason.REQUEST, None, "m: stopped -> starting (request)"),
        (
            *(STARTING, READY, Reason.REQUEST, None),
            "m: starting -> ready (request): <m> Health check passed on http://h:1/health",
        ),
        (
            *(READY, STOPPING, Reason.TTL, None),
            "m: ready -> stopping (ttl): <m> Unloading model, TTL of 5s reached",
        ),
        (STOPPING, STOPPED, Reason.TTL, None, "m: stopping -> stopped (ttl)"),
        (
            *(READY, STOPPED, Reason.CRASH, "exited with code 1"),
            "m: ready -> stopped (crash): <m> upstream process exited unexpectedly:"
            " exited with code 1",
        ),
        (
            *(STARTING, STOPPED, Reason.START_FAILED, "exited with code 1"),
            "m: starting -> stopped (start_failed): group: starting m failed: exited with code 1",
        ),
    ],
)
def test_a_change_is_one_line_with_the_words_that_llama_swap_has_for_it(
    caplog: pytest.LogCaptureFixture,
    old: ModelState,
    new: ModelState,
    reason: Reason,
    detail: str | None,
    line: str,
) -> None:
    caplog.set_level(logging.INFO, "swapd")
    transition = Transition(ModelId("m"), old, new, reason, Generation(3), detail=detail)
    log_transition(transition, MODEL)
    (record,) = caplog.records
    assert record.getMessage() == line
    is_failure = reason in {Reason.CRASH, Reason.START_FAILED}
    assert record.levelno == (logging.WARNING if is_failure else logging.INFO)
    assert vars(record)["reason"] == reason
    assert vars(record).get("detail") == detail


def test_a_model_that_was_taken_out_is_told_of_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "swapd")
    log_transition(Transition(ModelId("m"), STARTING, READY, Reason.LOAD, Generation(3)), None)
    assert caplog.messages == ["m: starting -> ready (load)"]
