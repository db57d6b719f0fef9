"""Streams that wait, as the users of real clients meet them: real processes, official SDKs."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import anthropic
import openai
import pytest
import trio

from swapd.testing.running import Running, configuration, fake, run_swapd
from tests.end_to_end.steps import rest_of

pytestmark = pytest.mark.real_process

#: Seconds that no step of these tests takes on a machine that works.
LONG = 60

#: Seconds for which the slow models load.
LOAD = 2.0

T = TypeVar("T")

LOADING = "swapd loading model: "
PROGRESS = re.compile(r"Loading(?: \(\d+ s\))?: Loading shards:  50% Completed \| 2/4")


def slow(model: str, *options: str) -> str:
    return fake(model, "--load", str(LOAD), *options)


def after(words: str, command: str) -> str:
    """Return a command that says ``words`` and goes on as ``command``."""
    script = f"echo {shlex.quote(words)}; exec {command}"
    return shlex.join(["sh", "-c", script]).replace("'${PORT}'", "${PORT}")


MODELS: dict[str, str | dict[str, object]] = {
    "alpha": after("Loading shards:  50% Completed | 2/4", slow("alpha")),
    "beta": slow("beta"),
    "bad": shlex.join(["sh", "-c", "sleep 1; echo no such file; exit 3"]) + " ${PORT}",
    "narrow": {"cmd": slow("narrow"), "concurrencyLimit": 1},
    "silent": {"cmd": slow("silent"), "sendLoadingState": False},
    "brief": {"cmd": slow("brief"), "ttl": 1},
}


@pytest.fixture
async def swapd(tmp_path: Path) -> AsyncIterator[Running]:
    config = configuration(MODELS, sendLoadingState=True, server={"keepAlive": 0.5})
    with trio.fail_after(LONG):
        async with run_swapd(tmp_path, config) as running:
            yield running


async def in_thread(ask: Callable[[], T]) -> T:
    return await trio.to_thread.run_sync(ask, abandon_on_cancel=True)


async def until(stream: trio.SocketStream, text: bytes) -> bytes:
    """Return what comes, up to the receive that brings ``text``."""
    data = b""
    while text not in data:
        piece = await stream.receive_some()
        assert piece, data
        data += piece
    return data


# -- the official clients ----------------------------------------------------------------


def chat(running: Running, model: str) -> tuple[str, str, str]:
    """Return role, reasoning and text of a chat, put together by the client's own helper."""
    sdk = openai.OpenAI(base_url=f"{running.url}/v1", api_key="x", max_retries=0, timeout=LONG)
    with sdk, sdk.chat.completions.stream(
        model=model, messages=[{"role": "user", "content": "hi"}]
    ) as stream:  # fmt: skip
        for event in stream:
            if event.type == "chunk":
                assert event.chunk.id
                assert event.chunk.object == "chat.completion.chunk"
                assert event.chunk.model == model
        answer = stream.get_final_completion()
    assert answer.usage is not None
    message = answer.choices[0].message
    extra = message.model_extra or {}
    return message.role, str(extra.get("reasoning_content", "")), message.content or ""


def respond(running: Running, model: str) -> str:
    sdk = openai.OpenAI(base_url=f"{running.url}/v1", api_key="x", max_retries=0, timeout=LONG)
    with sdk, sdk.responses.stream(model=model, input="hi") as stream:
        assert next(iter(stream)).type == "response.created"
        return stream.get_final_response().output_text


def message(running: Running, model: str) -> str:
    sdk = anthropic.Anthropic(base_url=running.url, api_key="x", max_retries=0, timeout=LONG)
    with sdk, sdk.messages.stream(
        model=model, max_tokens=10, messages=[{"role": "user", "content": "hi"}]
    ) as stream:  # fmt: skip
        assert next(iter(stream)).type == "message_start"
        return stream.get_final_text()


async def test_openais_client_reads_the_load_as_reasoning_and_then_the_answer(
    swapd: Running,
) -> None:
    role, reasoning, text = await in_thread(partial(chat, swapd, "alpha"))
    assert (role, text) == ("assistant", "I am alpha.")
    lines = reasoning.splitlines()
    assert lines[:2] == ["━━━━━", f"{LOADING}alpha"]
    assert any(PROGRESS.fullmatch(line) for line in lines), "at once, or when it was there"
    assert lines[-3].startswith("Done! (")
    assert lines[-2:] == ["━━━━━", " "]
    assert await in_thread(partial(chat, swapd, "alpha")) == ("assistant", "", "I am alpha.")


@pytest.mark.parametrize("ask", [respond, message])
async def test_the_helpers_of_other_apis_read_over_it(
    ask: Callable[[Running, str], str], swapd: Running
) -> None:
    for _ in ("loading", "ready"):
        assert await in_thread(partial(ask, swapd, "alpha")) == "I am alpha."
    assert await in_thread(partial(ask, swapd, "silent")) == "I am silent."


async def test_a_start_that_fails_is_an_error_of_the_client(swapd: Running) -> None:
    with pytest.raises(openai.APIError, match="exited with code 3"):
        await in_thread(partial(chat, swapd, "bad"))


async def test_a_start_that_fails_is_an_error_of_responses_too(swapd: Running) -> None:
    with pytest.raises(openai.APIError, match="no such file"):
        await in_thread(partial(respond, swapd, "bad"))


async def test_a_start_that_fails_is_an_error_of_anthropics_client(swapd: Running) -> None:
    with pytest.raises(anthropic.APIStatusError, match="exited with code 3"):
        await in_thread(partial(message, swapd, "bad"))


# -- raw streams -------------------------------------------------------------------------


async def test_two_who_wait_for_different_models_hear_of_their_places(swapd: Running) -> None:
    async with swapd.open_chat("alpha") as first:
        await until(first, b"swapd loading model: alpha")
        async with swapd.open_chat("beta") as second:
            said = await until(second, b"Queue position: #2: alpha is loaded first")
            assert said.index(b"swapd loading model: beta") < said.index(b"Queue position")
            assert b"I am" not in await until(first, b"Done! (")
            answer = said + await rest_of_answer(second)
    assert answer.index(b"Queue position: #2") < answer.index(b"Loading (")
    assert answer.count(b"swapd loading model") == 1
    assert b" beta." in answer


async def rest_of_answer(stream: trio.SocketStream) -> bytes:
    return await until(stream, b"0\r\n\r\n")


async def test_without_the_loading_state_only_comments_come(swapd: Running) -> None:
    async with swapd.open_chat("silent") as stream:
        answer = await rest_of_answer(stream)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"x-accel-buffering: no" in head
    assert body.count(b": keep-alive\n\n") >= 2
    assert b"swapd" not in body
    assert body.index(b"keep-alive") < body.index(b"data: ")


async def test_a_model_that_is_ready_answers_as_if_swapd_were_not_there(swapd: Running) -> None:
    await swapd.chat("alpha")
    async with swapd.open_chat("alpha") as stream:
        answer = await rest_of_answer(stream)
    assert b"cache-control" not in answer.partition(b"\r\n\r\n")[0]
    assert b"swapd" not in answer
    assert b"keep-alive" not in answer


async def test_a_silence_amid_an_answer_is_broken_between_its_events(swapd: Running) -> None:
    await swapd.chat("alpha")
    async with swapd.open_chat("alpha", fake={"chunks": 2, "interval": 1.8}) as stream:
        answer = await rest_of_answer(stream)
    body = answer.partition(b"\r\n\r\n")[2]
    assert b": keep-alive\n\n" in body
    assert body.index(b'"I"') < body.index(b"keep-alive") < body.index(b'" am"')


async def test_what_is_no_stream_waits_in_silence(swapd: Running) -> None:
    answer = await swapd.chat("alpha")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    refused = await swapd.chat("bad")
    assert refused.status == 503


async def test_one_too_many_is_refused_by_its_status_before_any_word_of_a_load(
    swapd: Running,
) -> None:
    async with swapd.open_chat("narrow") as first:
        await until(first, b"swapd loading model: narrow")
        refused = await swapd.chat("narrow", stream=True)
    assert (refused.status, refused.headers["content-type"]) == (429, "application/json")


async def test_a_command_that_does_not_exist_is_refused_by_its_status(tmp_path: Path) -> None:
    models = {"none": "/does/not/exist ${PORT}", "alpha": fake("alpha")}
    together = {"g": {"swap": False, "members": [*models]}}
    config = configuration(models, sendLoadingState=True, groups=together)
    with trio.fail_after(LONG):
        async with run_swapd(tmp_path, config) as running:
            await running.chat("alpha")  # the first of all starts takes longest: words might begin
            refused = await running.chat("none", stream=True)
    assert refused.status == 503
    assert "/does/not/exist" in refused.error


async def test_an_unload_ends_a_wait_with_an_event_and_without_a_clean_end(swapd: Running) -> None:
    async with swapd.open_chat("alpha") as stream:
        said = await until(stream, b"swapd loading model: alpha")
        await swapd.ask("POST", "/api/models/unload/alpha")
        said += await rest_of(stream)
    event = said.rpartition(b"data: ")[2].partition(b"\n\n")[0]
    assert "unloaded" in json.loads(event)["error"]["message"]
    assert not said.endswith(b"0\r\n\r\n")
    assert b"[DONE]" not in said
    assert await swapd.states() == {}


async def test_an_error_of_the_model_is_told_in_the_stream_that_was_begun(swapd: Running) -> None:
    async with swapd.open_chat("alpha", fake={"status": 400}) as stream:
        said = await rest_of(stream)
    event = said.rpartition(b"data: ")[2].partition(b"\n\n")[0]
    assert json.loads(event)["error"]["message"] == (
        "alpha: its server answered 400: asked to answer 400"
    )
    assert not said.endswith(b"0\r\n\r\n")


async def test_a_client_that_leaves_while_it_waits_gives_up_its_place_at_once(
    swapd: Running,
) -> None:
    async with swapd.open_chat("alpha") as first:
        await until(first, b"swapd loading model")
        async with swapd.open_chat("beta") as second:
            await until(second, b"Queue position")
        while [place["model"] for place in (await swapd.snapshot())["queue"]] != ["alpha"]:  # noqa: ASYNC110  in another process
            await trio.sleep(0.02)
        await rest_of_answer(first)
    assert "beta: stopped" not in "\n".join(swapd.lines)


async def test_the_last_client_that_leaves_while_its_model_loads_gives_up_the_load(
    swapd: Running,
) -> None:
    async with swapd.open_chat("beta") as stream:
        await until(stream, b"swapd loading model")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(swapd.chat, "alpha"))  # wants the place
            while len((await swapd.snapshot())["queue"]) != 2:  # noqa: ASYNC110  as above
                await trio.sleep(0.02)
            await stream.aclose()
    assert "beta: starting -> stopping (aborted)" in "\n".join(swapd.lines)


async def test_a_client_that_leaves_amid_its_answer_is_gone_upstream_too(swapd: Running) -> None:
    async with swapd.open_chat("alpha", fake={"chunks": 1000, "interval": 0.3}) as stream:
        await until(stream, b'"content": "I"')
    await swapd.until_upstream("alpha", "cancelled", 1)
    await swapd.until_upstream("alpha", "in_flight", 0)


async def test_a_ttl_never_cuts_the_request_that_its_model_was_loaded_for(swapd: Running) -> None:
    async with swapd.open_chat("brief", fake={"chunks": 3, "interval": 1.5}) as stream:
        answer = await rest_of_answer(stream)
    assert b" brief." in answer
    assert b"error" not in answer


async def test_a_reader_that_stalls_holds_up_nobody_else(swapd: Running) -> None:
    async with swapd.open_chat("alpha", fake={"chunks": 50_000}) as stalled:
        await until(stalled, b"Done! (")
        with trio.fail_after(LONG / 2):
            assert (await swapd.chat("alpha")).status == 200
            async with swapd.open_chat("alpha") as other:
                assert b" alpha." in await rest_of_answer(other)
