"""What swapd's errors are to users of the official clients: the right class, the whole story."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import anthropic
import openai
import pytest
import trio

from swapd.testing.running import Running, configuration, fake, run_swapd

pytestmark = pytest.mark.real_process

#: Seconds that no step of these tests takes on a machine that works.
LONG = 60

KEY = "sesame"
FAILING = "sh -c 'echo cannot open model >&2; exit 3' ${PORT}"

#: Models that die while they load, each asked once, for then they are not started for a while.
DYING = ("chat", "responses", "messages")

Error = TypeVar("Error", bound=Exception)


def dying(name: str) -> str:
    """Return the command of a model that dies when its clients are told of its load already."""
    return fake(name, "--load", "60", "--exit-after", "0.5", "--last-words", "out of memory")


@pytest.fixture(params=[True, False], ids=["fast", "stock"])
async def swapd(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Running]:
    models: dict[str, str | dict[str, object]] = {
        "alpha": fake("alpha"),
        "narrow": {"cmd": fake("narrow"), "concurrencyLimit": 1},
        "failing": FAILING,
        **{name: {"cmd": dying(name), "sendLoadingState": True} for name in DYING},
    }
    server = {"maxBody": 10_000, "fastTransport": request.param}
    config = configuration(models, apiKeys=[KEY], server=server)
    with trio.fail_after(LONG):
        async with run_swapd(tmp_path, config) as running:
            yield running


def ask_openai(
    running: Running,
    model: str = "alpha",
    *,
    key: str = KEY,
    text: str = "hi",
    headers: dict[str, str] | None = None,
    stream: bool = False,
    responses: bool = False,
    **spoilt: object,
) -> None:
    sdk = openai.OpenAI(base_url=f"{running.url}/v1", api_key=key, max_retries=0, timeout=LONG)
    more = {"extra_headers": headers or {}, "extra_body": {"fake": spoilt} if spoilt else {}}
    with sdk:
        if responses:
            for event in sdk.responses.create(model=model, input=text, stream=True, **more):  # type: ignore[call-overload]
                assert event.type
            return
        messages = [{"role": "user", "content": text}]
        answer = sdk.chat.completions.create(model=model, messages=messages, stream=stream, **more)  # type: ignore[call-overload]
        if stream:
            for chunk in answer:
                assert chunk.id


def ask_anthropic(
    running: Running,
    model: str = "alpha",
    *,
    key: str = KEY,
    text: str = "hi",
    headers: dict[str, str] | None = None,
    stream: bool = False,
    **spoilt: object,
) -> None:
    sdk = anthropic.Anthropic(base_url=running.url, api_key=key, max_retries=0, timeout=LONG)
    more = {"extra_headers": headers or {}, "extra_body": {"fake": spoilt} if spoilt else {}}
    messages = [{"role": "user", "content": text}]
    with sdk:
        answer = sdk.messages.create(  # type: ignore[call-overload]
            model=model, messages=messages, max_tokens=5, stream=stream, **more
        )
        if stream:
            for event in answer:
                assert event.type


async def error_of(ask: Callable[[], None], kind: type[Error]) -> Error:
    """Return the error that ``ask`` ends with, which is of this very class."""
    with pytest.raises(kind) as caught:
        await trio.to_thread.run_sync(ask, abandon_on_cancel=True)
    assert type(caught.value) is kind
    return caught.value


BIG = "x" * 20_000
EVIL = {"Origin": "https://evil.example"}
PASSWORD = {"Authorization": "Basic eDpzZXNhbWU=", "x-api-key": "", **EVIL}


async def test_openais_client_raises_the_class_of_each_error(swapd: Running) -> None:
    ask = partial(ask_openai, swapd)
    wrong = await error_of(partial(ask, key="wrong"), openai.AuthenticationError)
    assert (wrong.code, wrong.message.count("invalid or missing API key")) == ("unauthorized", 1)
    unknown = await error_of(partial(ask, "alpa"), openai.NotFoundError)
    assert unknown.code == "model_not_found"
    assert "model not found: 'alpa'; did you mean 'alpha'?" in unknown.message
    unnamed = await error_of(partial(ask, model=5), openai.BadRequestError)
    assert unnamed.code == "bad_request"
    foreign = await error_of(partial(ask, headers=PASSWORD), openai.PermissionDeniedError)
    assert "add its origin to cors.origins" in foreign.message
    large = await error_of(partial(ask, text=BIG), openai.APIStatusError)
    assert (large.status_code, large.code) == (413, "request_too_large")
    failed = await error_of(partial(ask, "failing"), openai.InternalServerError)
    assert (failed.status_code, failed.code) == (503, "service_unavailable")
    assert "exited with code 3" in failed.message
    assert "cannot open model" in failed.message
    assert int(failed.response.headers["retry-after"]) >= 1
    broken = await error_of(partial(ask, die_after_chunks=0), openai.InternalServerError)
    assert (broken.status_code, broken.code) == (502, "bad_gateway")


async def test_anthropics_client_raises_the_class_of_each_error(swapd: Running) -> None:
    ask = partial(ask_anthropic, swapd)
    wrong = await error_of(partial(ask, key="wrong"), anthropic.AuthenticationError)
    assert wrong.type == "authentication_error"
    unknown = await error_of(partial(ask, "alpa"), anthropic.NotFoundError)
    assert unknown.type == "not_found_error"
    assert "model not found: 'alpa'; did you mean 'alpha'?" in str(unknown)
    unnamed = await error_of(partial(ask, model=5), anthropic.BadRequestError)
    assert unnamed.type == "invalid_request_error"
    foreign = await error_of(partial(ask, headers=PASSWORD), anthropic.PermissionDeniedError)
    assert foreign.type == "permission_error"
    large = await error_of(partial(ask, text=BIG), anthropic.ContentTooLargeError)
    assert large.status_code == 413
    failed = await error_of(partial(ask, "failing"), anthropic.ServiceUnavailableError)
    assert failed.type == "overloaded_error"
    assert "exited with code 3" in failed.message
    assert int(failed.response.headers["retry-after"]) >= 1
    broken = await error_of(partial(ask, die_after_chunks=0), anthropic.InternalServerError)
    assert (broken.status_code, broken.type) == (502, "api_error")


async def test_a_full_model_is_a_rate_limit_to_both(swapd: Running) -> None:
    headers = {"x-api-key": KEY}
    async with trio.open_nursery() as nursery:
        body = {"model": "narrow", "fake": {"hang": True}, "messages": []}
        nursery.start_soon(swapd.ask, "POST", "/v1/chat/completions", body, headers)
        running = partial(swapd.ask, "GET", "/running", headers=headers)
        while b"narrow" not in (await running()).body:  # noqa: ASYNC110  in another process
            await trio.sleep(0.02)
        full = await error_of(partial(ask_openai, swapd, "narrow"), openai.RateLimitError)
        assert full.code == "concurrency_limit"
        limit = await error_of(partial(ask_anthropic, swapd, "narrow"), anthropic.RateLimitError)
        assert limit.type == "rate_limit_error"
        assert int(limit.response.headers["retry-after"]) >= 1
        nursery.cancel_scope.cancel(reason="seen enough")


@pytest.mark.parametrize("responses", [False, True])
async def test_openais_client_gets_the_cause_in_a_stream_that_breaks(
    swapd: Running, responses: bool
) -> None:
    ask = partial(ask_openai, swapd, stream=True, responses=responses, die_after_chunks=2)
    broken = await error_of(ask, openai.APIError)
    assert broken.code == "bad_gateway"
    assert broken.message.startswith("alpha: ")
    assert "its process exited with code" in broken.message


async def test_anthropics_client_gets_the_cause_in_a_stream_that_breaks(swapd: Running) -> None:
    ask = partial(ask_anthropic, swapd, stream=True, die_after_chunks=2)
    broken = await error_of(ask, anthropic.APIStatusError)
    assert broken.type == "api_error"
    assert "its process exited with code" in str(broken)


@pytest.mark.parametrize("responses", [False, True])
async def test_openais_client_gets_the_cause_of_a_load_that_fails_while_it_is_told_of_it(
    swapd: Running, responses: bool
) -> None:
    model = "responses" if responses else "chat"
    ask = partial(ask_openai, swapd, model, stream=True, responses=responses)
    failed = await error_of(ask, openai.APIError)
    assert failed.code == "service_unavailable"
    assert failed.message.startswith(f"{model} could not be started: exited with code 1")
    assert failed.message.endswith("out of memory")


async def test_anthropics_client_gets_the_cause_of_a_load_that_fails_while_it_is_told_of_it(
    swapd: Running,
) -> None:
    failed = await error_of(
        partial(ask_anthropic, swapd, "messages", stream=True), anthropic.APIStatusError
    )
    assert (failed.status_code, failed.type) == (200, "overloaded_error")
    assert "messages could not be started: exited with code 1" in str(failed)
