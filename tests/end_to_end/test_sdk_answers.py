"""What llama.cpp says to users of the official clients, through swapd on either transport."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import anthropic
import openai
import pytest
import trio

from swapd.testing.running import Running, run_swapd
from tests.end_to_end import llama

if TYPE_CHECKING:
    from anthropic.types import MessageParam, ToolChoiceAnyParam, ToolParam
    from openai.types.chat import ChatCompletionFunctionToolParam, ChatCompletionUserMessageParam
    from openai.types.responses import FunctionToolParam

pytestmark = llama.MARKS

#: Seconds that no step of these tests takes on a machine that works.
LONG = 60

SENTENCE = "I am a."
SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
#: What the tiny model says of any city, for a grammar makes it call the tool.
CALL = '{"city":"ok"}'

Answer = TypeVar("Answer")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return llama.write_models(tmp_path_factory.mktemp("models"), {"a": SENTENCE})


@pytest.fixture(params=[True, False], ids=["fast", "stock"])
async def swapd(
    tmp_path: Path, models: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Running]:
    config = llama.serving(models, "a", server={"fastTransport": request.param})
    with trio.fail_after(5 * LONG):
        async with run_swapd(tmp_path, config) as running:
            yield running


async def with_openai(running: Running, use: Callable[[openai.OpenAI], Answer]) -> Answer:
    def run() -> Answer:
        base_url = f"{running.url}/v1"
        with openai.OpenAI(base_url=base_url, api_key="none", max_retries=0, timeout=LONG) as sdk:
            return use(sdk)

    return await trio.to_thread.run_sync(run)


async def with_anthropic(running: Running, use: Callable[[anthropic.Anthropic], Answer]) -> Answer:
    def run() -> Answer:
        with anthropic.Anthropic(
            base_url=running.url, api_key="none", max_retries=0, timeout=LONG
        ) as sdk:
            return use(sdk)

    return await trio.to_thread.run_sync(run)


async def test_openais_client_gets_chats_and_tool_calls(swapd: Running) -> None:
    messages: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "hi"}]
    tools: list[ChatCompletionFunctionToolParam] = [
        {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
    ]

    def use(sdk: openai.OpenAI) -> None:
        chats = sdk.chat.completions
        assert chats.create(model="a", messages=messages).choices[0].message.content == SENTENCE
        with chats.create(
            model="a", messages=messages, stream=True, stream_options={"include_usage": True}
        ) as stream:
            *chunks, last = stream
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == SENTENCE
        assert last.usage is not None
        assert last.usage.completion_tokens == 4
        called = chats.create(model="a", messages=messages, tools=tools, tool_choice="required")
        [call] = called.choices[0].message.tool_calls or []
        assert call.type == "function"
        assert (call.function.name, call.function.arguments) == ("weather", CALL)
        with chats.stream(
            model="a", messages=messages, tools=tools, tool_choice="required"
        ) as events:
            final = events.get_final_completion()
        [call] = final.choices[0].message.tool_calls or []
        assert (call.function.name, call.function.arguments) == ("weather", CALL)

    await with_openai(swapd, use)


async def test_openais_client_gets_completions_responses_and_embeddings(swapd: Running) -> None:
    tools: list[FunctionToolParam] = [
        {"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False}
    ]

    def use(sdk: openai.OpenAI) -> None:
        completed = sdk.completions.create(model="a", prompt="x", max_tokens=20)
        assert completed.choices[0].text == SENTENCE
        assert sdk.responses.create(model="a", input="hi").output_text == SENTENCE
        with sdk.responses.create(model="a", input="hi", stream=True) as stream:
            events = list(stream)
        deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
        assert "".join(deltas) == SENTENCE
        assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
        called = sdk.responses.create(model="a", input="hi", tools=tools, tool_choice="required")
        [call] = [item for item in called.output if item.type == "function_call"]
        assert (call.name, call.arguments) == ("weather", CALL)
        embedded = sdk.embeddings.create(model="embed", input=["one", "two"])
        assert [len(entry.embedding) for entry in embedded.data] == [64, 64]

    await with_openai(swapd, use)


async def test_anthropics_client_gets_messages_tool_calls_and_counts(swapd: Running) -> None:
    messages: list[MessageParam] = [{"role": "user", "content": "hi"}]
    tools: list[ToolParam] = [{"name": "weather", "input_schema": SCHEMA}]
    choice: ToolChoiceAnyParam = {"type": "any"}

    def use(sdk: anthropic.Anthropic) -> None:
        answer = sdk.messages.create(model="a", messages=messages, max_tokens=50)
        assert [block.text for block in answer.content if block.type == "text"] == [SENTENCE]
        assert (answer.stop_reason, answer.usage.output_tokens) == ("end_turn", 4)
        with sdk.messages.stream(model="a", messages=messages, max_tokens=50) as stream:
            pieces = list(stream.text_stream)
        assert len(pieces) > 1
        assert "".join(pieces) == SENTENCE
        called = sdk.messages.create(
            model="a", messages=messages, max_tokens=50, tools=tools, tool_choice=choice
        )
        with sdk.messages.stream(
            model="a", messages=messages, max_tokens=50, tools=tools, tool_choice=choice
        ) as events:
            streamed = events.get_final_message()
        for message in (called, streamed):
            [call] = [block for block in message.content if block.type == "tool_use"]
            assert (call.name, call.input) == ("weather", {"city": "ok"})
        counted = sdk.messages.count_tokens(model="a", messages=messages)
        assert counted.input_tokens == answer.usage.input_tokens

    await with_anthropic(swapd, use)


async def test_both_clients_list_the_models_and_load_none(swapd: Running) -> None:
    def names(sdk: openai.OpenAI | anthropic.Anthropic) -> list[str]:
        return [*(model.id for model in sdk.models.list()), sdk.models.retrieve("a").id]

    assert await with_openai(swapd, names) == ["a", llama.EMBED, "a"]
    assert await with_anthropic(swapd, names) == ["a", llama.EMBED, "a"]
    assert await swapd.states() == {}


async def test_both_clients_raise_the_class_of_what_llama_cpp_refuses(swapd: Running) -> None:
    long = "x" * 20_000

    def too_long(sdk: openai.OpenAI) -> None:
        with pytest.raises(openai.BadRequestError, match="exceeds the available context size"):
            sdk.chat.completions.create(
                model="a", messages=[{"role": "user", "content": long}], stream=True
            )
        with pytest.raises(openai.InternalServerError, match="does not support embeddings") as no:
            sdk.embeddings.create(model="a", input="one")
        assert no.value.status_code == 501

    def too_long_a_message(sdk: anthropic.Anthropic) -> None:
        with (
            pytest.raises(anthropic.BadRequestError, match="exceeds the available context size"),
            closing(
                sdk.messages.create(
                    model="a",
                    messages=[{"role": "user", "content": long}],
                    max_tokens=5,
                    stream=True,
                )
            ),
        ):
            pass

    await with_openai(swapd, too_long)
    await with_anthropic(swapd, too_long_a_message)
