"""What users of OpenAI's client for JavaScript get: llama.cpp's answers, and swapd's errors."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import trio

from swapd.testing import demo_server
from swapd.testing.running import Running, configuration, fake, run_swapd
from tests.end_to_end import llama

FOLDER = Path(__file__).with_name("javascript")


def why_not_here() -> str | None:
    """Say what is missing for the client; in CI nothing may be, so there the tests fail of it."""
    if os.environ.get("CI"):
        return None
    if shutil.which("node") is None:
        return "node is not installed"
    if not (FOLDER / "node_modules" / "openai").is_dir():
        return "the client is not installed: npm install --prefix tests/end_to_end/javascript"
    return None


WHY_NOT = why_not_here()

pytestmark = [
    pytest.mark.real_process,
    pytest.mark.skipif(WHY_NOT is not None, reason=WHY_NOT or "it is all there"),
]

#: Seconds that no test here takes on a machine that works.
LONG = 120

KEY = "sesame"
SENTENCE = "I am a."
CALL = {"name": "weather", "arguments": '{"city":"ok"}'}
FAILING = "sh -c 'echo cannot open model >&2; exit 3' ${PORT}"

on_either_transport = pytest.mark.parametrize("fast", [True, False], ids=["fast", "stock"])


async def told(running: Running, what: str) -> dict[str, Any]:
    """Return what the script says that its client has got."""
    command = ["node", str(FOLDER / "ask.mjs"), what, f"{running.url}/v1", KEY]
    script = await trio.run_process(command, capture_stdout=True)
    said: dict[str, Any] = json.loads(script.stdout)
    return said


@pytest.mark.real_llama
@pytest.mark.skipif(demo_server.why_not_here() is not None, reason="no llama.cpp server here")
@on_either_transport
async def test_the_client_gets_what_llama_cpp_answers(tmp_path: Path, fast: bool) -> None:
    models = llama.write_models(tmp_path, {"a": SENTENCE})
    config = llama.serving(models, "a", server={"fastTransport": fast})
    with trio.fail_after(LONG):
        async with run_swapd(tmp_path, config) as running:
            said = await told(running, "answers")
    pieces = said.pop("pieces")
    assert len(pieces) > 1
    assert "".join(pieces) == SENTENCE
    assert said == {
        "chat": SENTENCE,
        "tokens": 4,
        "call": CALL,
        "streamed_call": CALL,
        "completion": SENTENCE,
        "response": SENTENCE,
        "deltas": SENTENCE,
        "last": "response.completed",
        "widths": [64, 64],
        "models": ["a", llama.EMBED],
        "retrieved": "a",
    }


#: For each thing that goes wrong: the client's class for it, status, code, and words of it.
ERRORS = {
    "key": ("AuthenticationError", 401, "unauthorized", "invalid or missing API key"),
    "unknown": (
        "NotFoundError",
        404,
        "model_not_found",
        "not found: 'alpa'; did you mean 'alpha'?",
    ),
    "unnamed": ("BadRequestError", 400, "bad_request", "`model` must be a string"),
    "foreign": ("PermissionDeniedError", 403, "forbidden", "add its origin to cors.origins"),
    "large": ("APIError", 413, "request_too_large", "maxBody"),
    "failed": ("InternalServerError", 503, "service_unavailable", "cannot open model"),
    "impatient": ("APIConnectionTimeoutError", None, None, "timed out"),
    "broken": ("APIError", None, "bad_gateway", "its process exited with code"),
}


@on_either_transport
async def test_the_client_raises_the_class_of_each_error(tmp_path: Path, fast: bool) -> None:
    server = {"maxBody": 10_000, "fastTransport": fast}
    models = {"alpha": fake("alpha"), "failing": FAILING}
    config = configuration(models, apiKeys=[KEY], server=server)
    with trio.fail_after(LONG):
        async with run_swapd(tmp_path, config) as running:
            said = await told(running, "errors")
    assert said.keys() == ERRORS.keys()
    for name, (kind, status, code, words) in ERRORS.items():
        error = said[name]
        assert (name, error["class"], error["status"], error["code"]) == (name, kind, status, code)
        assert words in error["message"]
    assert int(said["failed"]["again"]) >= 1
