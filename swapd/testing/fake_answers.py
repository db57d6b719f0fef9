"""What the stand-in model server says, in the shape of each API.  No sockets, no time.

The words are given; nothing is generated.  A token is a word.
"""

from __future__ import annotations

import base64
import json
import zlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from math import hypot
from typing import NamedTuple, Protocol, TypeAlias

Json: TypeAlias = Mapping[str, object]

#: How many numbers an embedding has.
DIMENSIONS = 8


class Speech(NamedTuple):
    """What is to be said, by whom, to a prompt of how many words."""

    model: str
    words: Sequence[str]
    prompt_tokens: int

    @property
    def text(self) -> str:
        """Everything that is said."""
        return "".join(self.words)


class Shape(Protocol):
    """How one API wraps a speech: whole, or as the frames of a stream."""

    def whole(self, speech: Speech) -> Json: ...

    def opening(self, speech: Speech) -> Iterator[bytes]: ...

    def chunk(self, speech: Speech, word: str) -> bytes: ...

    def closing(self, speech: Speech) -> Iterator[bytes]: ...


class ChatShape:
    """POST /v1/chat/completions."""

    def whole(self, speech: Speech) -> Json:
        message = {"role": "assistant", "content": speech.text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return _openai(speech, "chat.completion", [choice], usage=_usage(speech))

    def opening(self, speech: Speech) -> Iterator[bytes]:
        yield self._frame(speech, {"role": "assistant", "content": ""})

    def chunk(self, speech: Speech, word: str) -> bytes:
        return self._frame(speech, {"content": word})

    def closing(self, speech: Speech) -> Iterator[bytes]:
        yield self._frame(speech, {}, finish="stop")
        yield _frame(_openai(speech, "chat.completion.chunk", [], usage=_usage(speech)))
        yield b"data: [DONE]\n\n"

    def _frame(self, speech: Speech, delta: Json, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return _frame(_openai(speech, "chat.completion.chunk", [choice]))


class CompletionShape:
    """POST /v1/completions."""

    def whole(self, speech: Speech) -> Json:
        choice = {"index": 0, "text": speech.text, "finish_reason": "stop"}
        return _openai(speech, "text_completion", [choice], usage=_usage(speech))

    def opening(self, speech: Speech) -> Iterator[bytes]:
        yield from ()

    def chunk(self, speech: Speech, word: str) -> bytes:
        choice = {"index": 0, "text": word, "finish_reason": None}
        return _frame(_openai(speech, "text_completion", [choice]))

    def closing(self, speech: Speech) -> Iterator[bytes]:
        yield _frame(_openai(speech, "text_completion", [], usage=_usage(speech)))
        yield b"data: [DONE]\n\n"


#: Where in a response its text is.
_PLACE: Json = {"item_id": "msg_1", "output_index": 0, "content_index": 0}


class ResponsesShape:
    """POST /v1/responses."""

    def whole(self, speech: Speech) -> Json:
        return self._response(speech, "completed", [self._message(speech)])

    def opening(self, speech: Speech) -> Iterator[bytes]:
        yield _event("response.created", response=self._response(speech, "in_progress", []))
        message = {**self._message(speech), "status": "in_progress", "content": []}
        yield _event("response.output_item.added", output_index=0, item=message)
        yield _event("response.content_part.added", **_PLACE, part=self._text(""))

    def chunk(self, speech: Speech, word: str) -> bytes:
        return _event("response.output_text.delta", **_PLACE, delta=word, logprobs=[])

    def closing(self, speech: Speech) -> Iterator[bytes]:
        text = speech.text
        yield _event("response.output_text.done", **_PLACE, text=text, logprobs=[])
        yield _event("response.content_part.done", **_PLACE, part=self._text(text))
        yield _event("response.output_item.done", output_index=0, item=self._message(speech))
        yield _event("response.completed", response=self.whole(speech))

    def _message(self, speech: Speech) -> Json:
        head = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"}
        return {**head, "content": [self._text(speech.text)]}

    def _text(self, text: str) -> Json:
        return {"type": "output_text", "text": text, "annotations": []}

    def _response(self, speech: Speech, status: str, output: list[Json]) -> Json:
        head = {"id": "resp_1", "object": "response", "created_at": 0, "model": speech.model}
        counts = (speech.prompt_tokens, len(speech.words))
        usage = {"input_tokens": counts[0], "output_tokens": counts[1], "total_tokens": sum(counts)}
        return {**head, "status": status, "output": output, "usage": usage}


class MessagesShape:
    """POST /v1/messages."""

    def whole(self, speech: Speech) -> Json:
        usage = {"input_tokens": speech.prompt_tokens, "output_tokens": len(speech.words)}
        content = [{"type": "text", "text": speech.text}]
        return {**self._head(speech), "content": content, "stop_reason": "end_turn", "usage": usage}

    def opening(self, speech: Speech) -> Iterator[bytes]:
        usage = {"input_tokens": speech.prompt_tokens, "output_tokens": 0}
        message = {**self._head(speech), "content": [], "stop_reason": None, "usage": usage}
        yield _event("message_start", message=message)
        yield _event("content_block_start", index=0, content_block={"type": "text", "text": ""})

    def chunk(self, speech: Speech, word: str) -> bytes:
        return _event("content_block_delta", index=0, delta={"type": "text_delta", "text": word})

    def closing(self, speech: Speech) -> Iterator[bytes]:
        usage = {"output_tokens": len(speech.words)}
        yield _event("content_block_stop", index=0)
        yield _event("message_delta", delta={"stop_reason": "end_turn"}, usage=usage)
        yield _event("message_stop")

    def _head(self, speech: Speech) -> Json:
        return {"id": "msg_1", "type": "message", "role": "assistant", "model": speech.model}


SHAPES: Mapping[str, Shape] = {
    "/v1/chat/completions": ChatShape(),
    "/v1/completions": CompletionShape(),
    "/v1/responses": ResponsesShape(),
    "/v1/messages": MessagesShape(),
}


def embeddings(model: str, body: Json) -> Json:
    """Answer /v1/embeddings: the same text always gets the same vector of length 1."""
    asked = body.get("input", "")
    texts = asked if isinstance(asked, list) else [asked]
    packed = body.get("encoding_format") == "base64"
    vectors = (_vector(str(text)) for text in texts)
    data = [
        {"object": "embedding", "index": i, "embedding": _pack(v) if packed else v.tolist()}
        for i, v in enumerate(vectors)
    ]
    count = count_words(asked)
    usage = {"prompt_tokens": count, "total_tokens": count}
    return {"object": "list", "model": model, "data": data, "usage": usage}


def rerank(model: str, body: Json) -> Json:
    """Answer /v1/rerank: a document scores the part of the query's words that it has."""
    query = set(str(body.get("query", "")).lower().split())
    documents = body.get("documents")
    scores = [
        len(query & set(str(text).lower().split())) / max(len(query), 1)
        for text in (documents if isinstance(documents, list) else [])
    ]
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    results = [{"index": i, "relevance_score": scores[i]} for i in order]
    return {"object": "list", "model": model, "results": results}


def error(status: int, message: str) -> Json:
    """Return an error in the shape of llama-server."""
    return {"error": {"code": status, "message": message, "type": "stand_in_error"}}


def count_words(value: object) -> int:
    """Count the words in every text inside ``value``."""
    match value:
        case str():
            return len(value.split())
        case list():
            return sum(count_words(part) for part in value)
        case dict():
            return sum(count_words(part) for key, part in value.items() if key != "role")
        case _:
            return 0


def prompt_words(body: Json) -> int:
    """Count the words of whatever the request calls its prompt."""
    return sum(count_words(body.get(key)) for key in ("messages", "prompt", "input", "system"))


def _vector(text: str) -> array[float]:
    raw = [zlib.crc32(f"{i}:{text}".encode()) / 2**31 - 1 for i in range(DIMENSIONS)]
    length = hypot(*raw) or 1.0
    return array("f", (number / length for number in raw))


def _pack(vector: array[float]) -> str:
    return base64.b64encode(vector.tobytes()).decode()


def _openai(speech: Speech, kind: str, choices: list[Json], **more: object) -> Json:
    head = {"id": "chatcmpl-1", "object": kind, "created": 0, "model": speech.model}
    return {**head, "choices": choices, **more}


def _usage(speech: Speech) -> Json:
    said = len(speech.words)
    total = speech.prompt_tokens + said
    return {
        "prompt_tokens": speech.prompt_tokens,
        "completion_tokens": said,
        "total_tokens": total,
    }


def _frame(value: Json) -> bytes:
    return b"data: %b\n\n" % json.dumps(value).encode()


def _event(kind: str, **fields: object) -> bytes:
    return f"event: {kind}\n".encode() + _frame({"type": kind, **fields})
