"""The tiny models are real: llama.cpp's own reader and, where it runs, its server take them."""

from __future__ import annotations

import hashlib
import http.client
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from swapd.testing import demo_server, tiny_models

gguf = pytest.importorskip("gguf", reason="needs the demo extra")

SENTENCE = "I am alpha and I am here."


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_chat_model_is_the_same_to_the_byte_each_time(tmp_path: Path) -> None:
    first, second = tmp_path / "a.gguf", tmp_path / "b.gguf"
    for path in (first, second):
        tiny_models.write_chat(path, say=SENTENCE, name="alpha")
    assert digest(first) == digest(second)
    assert sorted(tmp_path.iterdir()) == [first, second]


def test_an_embedding_model_is_the_same_to_the_byte_each_time(tmp_path: Path) -> None:
    first, second = tmp_path / "a.gguf", tmp_path / "b.gguf"
    for path in (first, second):
        tiny_models.write_embedding(path)
    assert digest(first) == digest(second)


def test_a_chat_model_holds_its_sentence_its_name_and_a_template(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    tiny_models.write_chat(path, say=SENTENCE, name="alpha")
    fields = gguf.GGUFReader(path).fields
    assert fields["general.name"].contents() == "alpha"
    assert fields["general.architecture"].contents() == "llama"
    assert fields["tokenizer.chat_template"].contents()
    tokens = fields["tokenizer.ggml.tokens"].contents()
    pieces = ["I", " am", " alpha", " and", " I am", " here."]
    assert tokens[-len(pieces) :] == [piece.replace(" ", "\u2581") for piece in pieces]
    assert len(set(tokens)) == len(tokens)


def test_an_embedding_model_pools_by_the_mean(tmp_path: Path) -> None:
    path = tmp_path / "e.gguf"
    tiny_models.write_embedding(path, name="embed")
    fields = gguf.GGUFReader(path).fields
    assert fields["general.architecture"].contents() == "bert"
    assert fields["bert.pooling_type"].contents() == 1
    assert fields["bert.embedding_length"].contents() == 64


@pytest.mark.parametrize("sentence", ["", "   ", "a b a b a b a b x x", "ok ok"])
def test_any_sentence_splits_into_different_pieces_or_is_refused(sentence: str) -> None:
    from swapd.testing.tiny_chat import split_sentence

    try:
        pieces = split_sentence(sentence)
    except ValueError:
        return
    assert len(set(pieces)) == len(pieces)
    assert "".join(pieces).replace("\u2581", " ") == sentence


def test_a_sentence_without_words_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no words"):
        tiny_models.write_chat(tmp_path / "a.gguf", say=" ")
    assert not list(tmp_path.iterdir())


def test_the_command_writes_a_file_or_says_why_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tiny_models.main(["chat", str(tmp_path / "a.gguf"), "--say", "Hi."]) == 0
    assert tiny_models.main(["embedding", str(tmp_path / "no" / "e.gguf")]) == 1
    assert f"cannot write {tmp_path}/no/e.gguf" in capsys.readouterr().err


Serve = Callable[..., int]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Run the real llama-server on model files; return the port."""
    if reason := demo_server.why_not_here():
        pytest.skip(reason)
    processes: list[subprocess.Popen[bytes]] = []

    def serve(model: Path, *options: str) -> int:
        port = demo_server.free_port()
        server = [sys.executable, str(demo_server.real_server())]
        command = [*server, "-m", str(model), "--host", "127.0.0.1", "--port", str(port), *options]
        log = tmp_path / f"{model.stem}.log"
        with log.open("wb") as output:
            processes.append(subprocess.Popen(command, stdout=output, stderr=output))
        assert demo_server.wait_until_healthy(processes[-1], port, log) is None
        return port

    yield serve
    for process in processes:
        process.kill()
        process.wait()


def ask(port: int, path: str, body: object) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST", path, body=json.dumps(body))
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


@pytest.mark.real_process
@pytest.mark.real_llama
def test_the_real_server_says_the_sentence(serve: Serve, tmp_path: Path) -> None:
    model = tmp_path / "alpha.gguf"
    tiny_models.write_chat(model, say=SENTENCE)
    port = serve(model)
    message = {"role": "user", "content": "Who are you?"}
    answer = ask(port, "/v1/chat/completions", {"messages": [message]})
    assert answer["choices"][0]["message"]["content"] == SENTENCE
    assert answer["choices"][0]["finish_reason"] == "stop"


@pytest.mark.real_process
@pytest.mark.real_llama
def test_the_real_server_embeds_like_texts_alike(serve: Serve, tmp_path: Path) -> None:
    model = tmp_path / "embed.gguf"
    tiny_models.write_embedding(model)
    texts = ["the cat sat", "the cat sits", "QUARTZ 9981"]
    answer = ask(serve(model, "--embeddings"), "/v1/embeddings", {"input": texts})
    cat, cats, other = (item["embedding"] for item in answer["data"])
    assert len(cat) == 64
    assert dot(cat, cats) > dot(cat, other)


def dot(left: list[float], right: list[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))
