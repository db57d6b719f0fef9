"""swapd in front of real llama.cpp servers with tiny real models, asked by a real client."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import openai
import pytest
import trio

from swapd.testing.running import Running, run_swapd
from tests.end_to_end import llama

pytestmark = llama.MARKS

#: Seconds that no step of these tests takes on a machine that works.
LONG = 60

SENTENCES = {"a": "I am a.", "b": "This is b speaking.", "c": "Here comes c."}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return llama.write_models(tmp_path_factory.mktemp("models"), SENTENCES)


@pytest.fixture
async def swapd(tmp_path: Path, models: Path) -> AsyncIterator[Running]:
    with trio.fail_after(5 * LONG):
        async with run_swapd(tmp_path, llama.serving(models, *SENTENCES)) as running:
            yield running


def client(running: Running) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=0, timeout=LONG)


def chat(running: Running, model: str) -> str | None:
    with client(running) as sdk:
        answer = sdk.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "hi"}]
        )
    return answer.choices[0].message.content


def stream(running: Running, model: str) -> list[str]:
    with client(running) as sdk:
        chunks = sdk.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "hi"}], stream=True
        )
        return [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]


async def test_each_model_says_its_sentence_whole_and_streamed(swapd: Running) -> None:
    for name in ("a", "b", "a"):
        assert await trio.to_thread.run_sync(chat, swapd, name) == SENTENCES[name]
        pieces = await trio.to_thread.run_sync(stream, swapd, name)
        assert "".join(pieces) == SENTENCES[name]
        assert len([piece for piece in pieces if piece]) > 1
    assert await swapd.states() == {"a": "ready"}


async def test_embeddings_come_from_their_model(swapd: Running) -> None:
    def embed() -> int:
        with client(swapd) as sdk:
            answer = sdk.embeddings.create(model="embed", input=["one", "two"])
        assert len(answer.data) == 2
        return len(answer.data[0].embedding)

    assert await trio.to_thread.run_sync(embed) == 64


async def test_six_requests_for_three_models_cost_three_starts(swapd: Running) -> None:
    said: list[str | None] = []

    async def ask(model: str) -> None:
        said.append(await trio.to_thread.run_sync(chat, swapd, model))

    async with swapd.lifecycle() as websocket, trio.open_nursery() as clients:
        await websocket.get_message()
        for model in "abcabc":
            clients.start_soon(ask, model)
        changes = [json.loads(await websocket.get_message()) for _ in range(2 + 4 + 4)]
    assert sorted(change["model"] for change in changes if change["new"] == "starting") == [
        "a",
        "b",
        "c",
    ]
    assert sorted(map(str, said)) == sorted([*SENTENCES.values()] * 2)


async def test_an_error_of_the_server_passes_as_it_is(swapd: Running) -> None:
    def embed_with_a_chat_model() -> int:
        with client(swapd) as sdk, pytest.raises(openai.APIStatusError) as refused:
            sdk.embeddings.create(model="a", input="one")
        return refused.value.status_code

    assert await trio.to_thread.run_sync(embed_with_a_chat_model) == 501


async def test_the_sdk_understands_swapds_own_errors(swapd: Running) -> None:
    with pytest.raises(openai.NotFoundError, match="model not found: 'nope'"):
        await trio.to_thread.run_sync(partial(chat, swapd, "nope"))
