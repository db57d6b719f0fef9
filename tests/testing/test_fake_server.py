"""The stand-in does what the tests of everything else rely on."""

from __future__ import annotations

import base64
import json
import os
import signal
import struct
import subprocess
from collections.abc import Callable, Iterator
from http.client import HTTPResponse, IncompleteRead, RemoteDisconnected
from threading import Event
from time import monotonic
from typing import Any

import pytest

from tests.testing.conftest import PATIENCE, Running, Start

pytestmark = pytest.mark.real_process

CHAT = "/v1/chat/completions"
HELLO = {"messages": [{"role": "user", "content": "hello you there"}]}


def until(happened: Callable[[], bool]) -> None:
    """Wait for what another process does; there is no event to wait for."""
    pause, end = Event(), monotonic() + PATIENCE
    while not happened():
        assert monotonic() < end
        pause.wait(0.01)


def frames(answer: HTTPResponse) -> Iterator[Any]:
    """Return the data of each server-sent event."""
    for line in answer:
        if line.startswith(b"data: ") and not line.startswith(b"data: [DONE]"):
            yield json.loads(line.removeprefix(b"data: "))


def test_it_says_its_sentence_whole_and_counts_words_as_tokens(start: Start) -> None:
    status, answer = start("--say", "I am alpha.").ask("POST", CHAT, HELLO)
    assert status == 200
    assert answer["choices"][0]["message"]["content"] == "I am alpha."
    assert answer["usage"] == {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}


def test_a_stream_comes_word_by_word_with_usage_and_done_at_its_end(start: Start) -> None:
    connection = start("--say", "I am alpha.").connect()
    connection.request("POST", CHAT, body=json.dumps({**HELLO, "stream": True}))
    raw = connection.getresponse().read()
    connection.close()
    events = [json.loads(part[6:]) for part in raw.split(b"\n\n") if part.startswith(b"data: {")]
    words = [event["choices"][0]["delta"].get("content") for event in events[:-1]]
    assert words == ["", "I", " am", " alpha.", None]
    assert (events[-1]["choices"], events[-1]["usage"]["completion_tokens"]) == ([], 3)
    assert raw.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("path", [CHAT, "/v1/completions", "/v1/responses", "/v1/messages"])
@pytest.mark.parametrize("stream", [False, True])
def test_every_api_carries_the_sentence(start: Start, path: str, stream: bool) -> None:
    connection = start("--say", "Hello!").connect()
    connection.request("POST", path, body=json.dumps({**HELLO, "stream": stream}))
    answer = connection.getresponse()
    assert (answer.status, b"Hello!" in answer.read()) == (200, True)
    connection.close()


def test_the_openai_client_understands_it(start: Start) -> None:
    openai = pytest.importorskip("openai")
    base_url = f"http://127.0.0.1:{start().port}/v1"
    with openai.OpenAI(base_url=base_url, api_key="none", max_retries=0) as client:
        chat = client.chat.completions.create(model="alpha", messages=HELLO["messages"])
        assert chat.choices[0].message.content == "I am alpha."
        stream = client.responses.create(model="alpha", input="hello", stream=True)
        words = [event.delta for event in stream if event.type == "response.output_text.delta"]
        assert "".join(words) == "I am alpha."
        vectors = client.embeddings.create(model="alpha", input=["one", "two"])
        assert [len(item.embedding) for item in vectors.data] == [8, 8]


def test_embeddings_are_the_same_as_floats_and_packed(start: Start) -> None:
    server = start()
    _, plain = server.ask("POST", "/v1/embeddings", {"input": "text"})
    _, packed = server.ask("POST", "/v1/embeddings", {"input": "text", "encoding_format": "base64"})
    vector = plain["data"][0]["embedding"]
    raw = base64.b64decode(packed["data"][0]["embedding"])
    assert list(struct.unpack(f"<{len(vector)}f", raw)) == vector
    assert sum(number * number for number in vector) == pytest.approx(1)


def test_a_reranker_puts_the_likeliest_document_first(start: Start) -> None:
    body = {"query": "big cat", "documents": ["a dog", "a big cat"]}
    _, answer = start().ask("POST", "/v1/rerank", body)
    assert [result["index"] for result in answer["results"]] == [1, 0]


def test_what_it_does_not_know_is_echoed(start: Start) -> None:
    status, seen = start().ask("POST", "/sdapi/v1/txt2img?a=%2F", {"prompt": "cat"})
    assert (status, seen["method"], seen["target"]) == (200, "POST", "/sdapi/v1/txt2img?a=%2F")
    assert json.loads(seen["body"]) == {"prompt": "cat"}
    assert "Host" in [name for name, _ in seen["headers"]]


def test_a_chunked_request_body_is_read_whole(start: Start) -> None:
    connection = start().connect()
    connection.request("POST", "/echo", body=iter([b"one,", b"two"]), encode_chunked=True)
    assert json.loads(connection.getresponse().read())["body"] == "one,two"
    connection.close()


def test_a_connection_serves_one_request_after_the_other(start: Start) -> None:
    connection = start().connect()
    for count in range(3):
        connection.request("POST", "/echo", body=str(count))
        assert json.loads(connection.getresponse().read())["body"] == str(count)
    connection.close()


def test_a_misspelt_knob_is_refused(start: Start) -> None:
    status, answer = start().ask("POST", CHAT, {"fake": {"delai": 1}})
    assert (status, answer["error"]["message"]) == (400, "no such knobs: delai")


def test_a_status_can_be_asked_for(start: Start) -> None:
    status, answer = start().ask("POST", CHAT, {"fake": {"status": 500}})
    assert (status, answer["error"]["code"]) == (500, 500)


@pytest.mark.parametrize("fake", [{"hang": True}, {"delay": 60}, {"interval": 60}])
def test_a_client_that_leaves_before_the_answer_is_noticed(
    start: Start, fake: dict[str, float]
) -> None:
    server = start()
    connection = server.connect()
    connection.request("POST", CHAT, body=json.dumps({"fake": fake}))
    until(lambda: server.log()["in_flight"] == 1)
    connection.close()
    until(lambda: server.log()["cancelled"] == 1)
    assert server.log()["lines"] == [f"POST {CHAT}", "cancelled: client left"]
    assert server.log()["in_flight"] == 0


@pytest.mark.parametrize("fake", [{"interval": 60}, {"chunks": 10**6, "interval": 0.001}])
def test_a_client_that_leaves_mid_stream_is_noticed(start: Start, fake: dict[str, float]) -> None:
    server = start()
    connection = server.connect()
    connection.request("POST", CHAT, body=json.dumps({"stream": True, "fake": fake}))
    answer = connection.getresponse()
    assert next(frames(answer))["choices"]
    answer.close()
    connection.close()
    until(lambda: server.log()["cancelled"] == 1)


def test_a_silent_answer_has_a_head_and_nothing_more(start: Start) -> None:
    server = start()
    connection = server.connect()
    connection.request("POST", CHAT, body=json.dumps({"stream": True, "fake": {"silent": True}}))
    answer = connection.getresponse()
    assert answer.status == 200
    answer.close()
    connection.close()
    until(lambda: server.log()["cancelled"] == 1)


def test_a_cut_stream_has_no_clean_end(start: Start) -> None:
    connection = start("--say", "I am alpha.").connect()
    fake = {"stream": True, "fake": {"cut_after_chunks": 1}}
    connection.request("POST", CHAT, body=json.dumps(fake))
    with pytest.raises((IncompleteRead, ConnectionResetError)):
        connection.getresponse().read()
    connection.close()


def test_it_can_die_mid_stream_with_last_words(start: Start) -> None:
    server = start("--exit-code", "7", "--last-words", "out of memory")
    connection = server.connect()
    fake = {"stream": True, "fake": {"die_after_chunks": 1}}
    connection.request("POST", CHAT, body=json.dumps(fake))
    with pytest.raises((IncompleteRead, RemoteDisconnected, ConnectionResetError)):
        connection.getresponse().read()
    connection.close()
    assert server.rest_of_output().endswith("out of memory\n")
    assert server.process.returncode == 7


def test_it_is_503_until_it_is_warm(start: Start) -> None:
    server = start("--warm", "0.3")
    assert server.ask("GET", "/health")[0] == 503
    assert server.ask("POST", CHAT, HELLO)[0] == 503
    until(lambda: server.ask("GET", "/health")[0] == 200)
    assert server.log()["probes"] >= 2


def test_it_may_never_get_healthy(start: Start) -> None:
    assert start("--never-healthy").ask("GET", "/health")[0] == 503


def test_it_ends_on_its_own_with_code_and_last_words(
    spawn: Callable[..., subprocess.Popen[str]],
) -> None:
    options = ("--load", "60", "--exit-after", "0.1", "--exit-code", "3", "--last-words", "no VRAM")
    process = spawn(*options)
    assert (process.communicate(timeout=PATIENCE)[0], process.returncode) == ("no VRAM\n", 3)


def test_one_sigterm_ends_it(start: Start) -> None:
    server = start()
    server.process.terminate()
    assert server.rest_of_output() == "SIGTERM\n"
    assert server.process.returncode == 0


def test_a_sigterm_can_be_ignored_but_is_counted(start: Start) -> None:
    server = start("--ignore-sigterm")
    server.process.terminate()
    until(lambda: server.log()["sigterms"] == 1)
    assert server.process.poll() is None


def test_a_sigterm_can_take_its_time(start: Start) -> None:
    server = start("--sigterm-delay", "0.5")
    server.process.terminate()
    until(lambda: server.log()["sigterms"] == 1)
    server.process.terminate()
    assert server.rest_of_output() == "SIGTERM\nSIGTERM\n"
    assert server.process.returncode == 0


def test_its_forked_child_outlives_a_sigterm_to_the_group(start: Start) -> None:
    server = start("--fork-child")
    _, seen = server.ask("GET", "/props")
    os.killpg(server.process.pid, signal.SIGTERM)
    assert server.process.wait(PATIENCE) == 0
    os.kill(seen["child_pid"], 0)
    assert os.getpgid(seen["child_pid"]) == server.process.pid


def test_it_prints_its_environment(spawn: Callable[..., subprocess.Popen[str]]) -> None:
    printed = spawn("--print-env", "--exit-after", "0").communicate(timeout=PATIENCE)[0]
    assert f"PATH={os.environ['PATH']}" in printed.splitlines()


def test_a_taken_port_is_named(start: Start, spawn: Callable[..., subprocess.Popen[str]]) -> None:
    taken: Running = start()
    process = spawn("--port", str(taken.port))
    said = process.communicate(timeout=PATIENCE)[0]
    assert said.startswith(f"cannot listen on 127.0.0.1:{taken.port}: ")
    assert process.returncode == 1
