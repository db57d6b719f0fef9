"""What is told of requests to real llama.cpp servers: tokens, speeds, and where the time went."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import trio

from swapd.testing.running import Running, run_swapd
from tests.end_to_end import llama

pytestmark = llama.MARKS

#: Seconds that no test takes on a machine that works.
LONG = 120

SENTENCE = 'It said "usage": {"prompt_tokens": 99}.'
MESSAGES = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return llama.write_models(tmp_path_factory.mktemp("models"), {"chat": SENTENCE})


@pytest.fixture
async def swapd(tmp_path: Path, models: Path) -> AsyncIterator[Running]:
    with trio.fail_after(LONG):
        async with run_swapd(tmp_path, llama.serving(models, "chat")) as running:
            yield running


async def told(running: Running, path: str, **body: object) -> Mapping[str, Any]:
    """Return what is told of a request when it is over."""
    async with running.lifecycle("?topics=requests") as websocket:
        asked = json.dumps({"model": "chat", **body})
        reply = await running.ask("POST", path, body=asked.encode())
        assert reply.status == 200
        while True:
            message: dict[str, Any] = json.loads(await websocket.get_message())
            if message.get("event") == "finished":
                return message


CHAT = {"messages": MESSAGES}
STREAM = {"stream": True}
SHORT = {"prompt": "hi", "n_predict": 3}

#: Path, body, tokens of the prompt (cached ones included), tokens of the answer, and whether the
#: server tells of its speed there.
ASKED: list[tuple[str, Mapping[str, object], int, int | None, bool]] = [
    ("/v1/chat/completions", CHAT, 21, 6, True),
    ("/v1/chat/completions", {**CHAT, **STREAM}, 21, 6, True),
    (
        "/v1/chat/completions",
        {**CHAT, **STREAM, "stream_options": {"include_usage": True}},
        21,
        6,
        True,
    ),
    ("/v1/completions", {"prompt": "hi", "max_tokens": 3}, 2, 3, True),
    ("/completion", SHORT, 2, 3, True),
    ("/completion", {**SHORT, **STREAM}, 2, 3, True),
    ("/infill", {"input_prefix": "a", "input_suffix": "b", "n_predict": 3}, 5, 3, True),
    ("/v1/messages", {**CHAT, "max_tokens": 9}, 21, 6, False),
    ("/v1/messages", {**CHAT, **STREAM, "max_tokens": 9}, 21, 6, False),
    ("/upstream/chat/v1/chat/completions", CHAT, 21, 6, True),
    ("/v1/embeddings", {"model": "embed", "input": ["one", "two"]}, 10, None, False),
]


async def test_the_tokens_of_every_kind_of_answer_are_known(swapd: Running) -> None:
    for path, body, prompt, generated, timed in ASKED:
        finished = await told(swapd, path, **body)
        usage = finished["usage"]
        assert usage["prompt"] + (usage["cached"] or 0) == prompt, path
        assert usage["generated"] == generated, path
        speeds = (usage["prompt_per_second"], usage["generated_per_second"], usage["served_ms"])
        assert all(speed is not None and speed > 0 for speed in speeds) == timed, path
        assert finished["path"] == path.removeprefix("/upstream/chat")
        assert 0 < finished["first_byte"] <= finished["duration"]


async def test_responses_are_read_whole_and_streamed(swapd: Running) -> None:
    usage = (await told(swapd, "/v1/responses", input="hi"))["usage"]
    assert (usage["prompt"], usage["generated"]) == (21, 6)
    assert usage["cached"] is not None
    usage = (await told(swapd, "/v1/responses", input="hi", stream=True))["usage"]
    assert (usage["prompt"] + usage["cached"], usage["generated"]) == (21, 6)


async def test_the_start_of_a_model_is_told_apart_from_waiting(swapd: Running) -> None:
    first = await told(swapd, "/v1/chat/completions", **CHAT)
    again = await told(swapd, "/v1/chat/completions", **CHAT)
    assert 0 < first["loaded"] < first["first_byte"]
    assert again["loaded"] == 0
    assert again["queued"] < first["loaded"]
