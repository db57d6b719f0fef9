"""Answers as servers give them, and what each says of tokens."""

from __future__ import annotations

import json
from dataclasses import dataclass

from swapd.telemetry.usage.usage import UNKNOWN, Usage

JSON, SSE = "application/json", "text/event-stream"

#: What a model says that was asked to quote a server's answer.
QUOTED = (
    'it is "usage": {"prompt_tokens": 99, "completion_tokens": 99}, "timings": {"prompt_n": 99}'
)


@dataclass(frozen=True)
class Answer:
    """One answer, and what it comes to."""

    name: str
    body: bytes
    usage: Usage
    content_type: str = JSON


def document(name: str, said: object, **usage: float) -> Answer:
    return Answer(name, json.dumps(said).encode(), _usage(usage))


def stream(name: str, *events: object, **usage: float) -> Answer:
    body = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    return Answer(name, body + b"data: [DONE]\n\n", _usage(usage), SSE)


def named_stream(name: str, *events: dict[str, object], **usage: float) -> Answer:
    """Return a stream as Anthropic's API and OpenAI's responses have them."""
    lines = (f"event: {event['type']}\r\ndata: {json.dumps(event)}\r\n\r\n" for event in events)
    return Answer(name, "".join(lines).encode(), _usage(usage), SSE + "; charset=utf-8")


def _usage(said: dict[str, float]) -> Usage:
    return Usage(**said)  # type: ignore[arg-type]  # each test says numbers of the right type


def delta(text: str, **others: object) -> dict[str, object]:
    return {
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}],
        **others,
    }


CHAT = {"choices": [{"message": {"role": "assistant", "content": QUOTED}}]}
TIMINGS = {
    "cache_n": 8,
    "prompt_n": 20,
    "prompt_ms": 200.0,
    "prompt_per_second": 100.0,
    "predicted_n": 50,
    "predicted_ms": 1250.0,
    "predicted_per_second": 40.0,
}
TIMED = {
    "prompt": 20,
    "cached": 8,
    "generated": 50,
    "prompt_per_second": 100.0,
    "generated_per_second": 40.0,
    "served_ms": 1450.0,
}
VLLM = {"time_to_first_token_ms": 70.0, "mean_itl_ms": 10.0, "queue_time_ms": 3.0}
LAST = {"choices": [], "object": "chat.completion.chunk"}

ANSWERS = [
    document(
        "openai chat",
        {
            **CHAT,
            "usage": {
                "prompt_tokens": 12,
                "completion_tokens": 7,
                "total_tokens": 19,
                "prompt_tokens_details": {"cached_tokens": 4},
            },
        },
        prompt=12,
        generated=7,
        cached=4,
    ),
    document(
        "openai completions",
        {"choices": [{"text": "a"}], "usage": {"prompt_tokens": 3, "completion_tokens": 1}},
        prompt=3,
        generated=1,
    ),
    document(
        "openai responses",
        {
            "object": "response",
            "error": None,
            "output": [{"content": [{"type": "output_text", "text": QUOTED}]}],
            "usage": {
                "input_tokens": 36,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": 87,
            },
        },
        prompt=36,
        generated=87,
        cached=0,
    ),
    document(
        "embeddings",
        {
            "data": [{"embedding": [0.25, -1e-3], "index": 0}],
            "usage": {"prompt_tokens": 8, "total_tokens": 8},
        },
        prompt=8,
    ),
    document(
        "anthropic messages",
        {
            "type": "message",
            "content": [{"type": "text", "text": QUOTED}],
            "usage": {
                "input_tokens": 5,
                "cache_read_input_tokens": 20,
                "cache_creation_input_tokens": 1,
                "output_tokens": 9,
            },
        },
        prompt=5,
        cached=20,
        generated=9,
    ),
    document(
        "zero and unknown",
        {"usage": {"prompt_tokens": 4, "completion_tokens": 0, "cached_tokens": 1}},
        prompt=4,
        generated=0,
    ),
    document(
        "cached in two ways",
        {
            "usage": {
                "cache_read_input_tokens": 2,
                "input_tokens_details": {"cached_tokens": 9},
                "prompt_tokens_details": {"cached_tokens": 8},
            }
        },
        cached=2,
    ),
    document("rerank", {"results": [], "usage": {"prompt_tokens": 31}}, prompt=31),
    document("llama.cpp", {"content": "a", "timings": TIMINGS}, **TIMED),
    document(
        "llama.cpp beside usage",
        {**CHAT, "usage": {"prompt_tokens": 28, "completion_tokens": 50}, "timings": TIMINGS},
        **TIMED,
    ),
    document(
        "llama.cpp with a draft model",
        {"timings": {"prompt_n": 1, "draft_n": 30, "draft_n_accepted": 12}},
        prompt=1,
        drafted=30,
        accepted=12,
    ),
    document("llama.cpp with half a draft", {"timings": {"prompt_n": 1, "draft_n": 30}}, prompt=1),
    document("timings that say nothing", {"timings": {}}),
    document(
        "infill",
        [
            {"content": "a", "timings": {"prompt_n": 1}},
            {"timings": {"prompt_n": 5, "predicted_n": 9}},
        ],
        prompt=5,
        generated=9,
    ),
    document(
        "vllm",
        {
            "usage": {
                "prompt_tokens": 42,
                "completion_tokens": 128,
                "prompt_tokens_details": {"cached_tokens": 20},
            },
            "metrics": {"time_to_first_token_ms": 88.0, "mean_itl_ms": 8.0},
        },
        prompt=42,
        cached=20,
        generated=128,
        prompt_per_second=250.0,
        generated_per_second=125.0,
    ),
    document(
        "vllm with a draft model",
        {
            "timings": {"draft_n": 1, "draft_n_accepted": 1},
            "metrics": {
                "speculative_decoding": {"num_draft_tokens": 20, "num_accepted_draft_tokens": 14}
            },
        },
        drafted=20,
        accepted=14,
    ),
    document(
        "an empty account of drafts hides none",
        {
            "timings": {"draft_n": 30, "draft_n_accepted": 12},
            "metrics": {"speculative_decoding": {}},
        },
        drafted=30,
        accepted=12,
    ),
    document("count_tokens", {"input_tokens": 14}),
    document("no usage", {"usage": None, "timings": [], "metrics": "fast"}),
    document(
        "numbers that cannot be",
        {
            "usage": {"prompt_tokens": "12", "completion_tokens": True, "output_tokens": 4.0},
            "timings": {"prompt_n": -1, "prompt_per_second": 1e300, "cache_n": None},
        },
        generated=4,
    ),
    document("not where it counts", {"choices": [{"usage": {"prompt_tokens": 99}}], "a": [CHAT]}),
    document("below a response", {"response": {"usage": {"input_tokens": 6}}}, prompt=6),
    Answer(
        "what is JSON for some",
        b'{"logprob": -Infinity, "usage": {"prompt_tokens": 3}, "x": NaN}',
        Usage(prompt=3),
    ),
    Answer("blanks around", b'\r\n\t {"usage": {"prompt_tokens": 3}} \n', Usage(prompt=3)),
    Answer("nothing", b"", UNKNOWN),
    Answer("a page", b'<p>"usage": {"prompt_tokens": 99}</p>', UNKNOWN, "text/html"),
    Answer("a sound", b"RIFF\0\0\0\0WAVE", UNKNOWN, "audio/wav"),
    Answer(
        "JSON by another name", b'{"usage": {"prompt_tokens": 3}}', Usage(prompt=3), "text/plain"
    ),
    stream(
        "openai chat stream",
        delta(QUOTED, usage=None),
        delta("b", usage=None),
        {**LAST, "usage": {"prompt_tokens": 15, "completion_tokens": 33}},
        prompt=15,
        generated=33,
    ),
    stream("stream without usage", delta(QUOTED), delta("b")),
    stream(
        "stream that counts on",
        *(
            delta("a", usage={"prompt_tokens": 14, "completion_tokens": count})
            for count in range(1, 4)
        ),
        prompt=14,
        generated=3,
    ),
    stream(
        "stream that counts on for long",
        delta("a", usage={"prompt_tokens": 14, "completion_tokens": 0}),
        *(
            delta("a", usage={"completion_tokens": count}, timings={"predicted_n": count})
            for count in range(1, 30)
        ),
        delta("a", timings={"predicted_n": 31}),
        delta("a", usage={"input_tokens_details": {"cached_tokens": 3}}),
        delta("a", metrics={"mean_itl_ms": 2.0}),
        delta("a", usage=None, timings=None),
        prompt=14,
        cached=3,
        generated=31,
        generated_per_second=500.0,
    ),
    stream(
        "llama.cpp stream",
        delta("a", timings={"prompt_n": 1, "predicted_n": 1, "predicted_ms": 5.0}),
        {**LAST, "timings": TIMINGS},
        **TIMED,
    ),
    stream(
        "vllm stream",
        delta("a"),
        {**LAST, "usage": {"prompt_tokens": 14, "completion_tokens": 152}, "metrics": VLLM},
        prompt=14,
        generated=152,
        prompt_per_second=200.0,
        generated_per_second=100.0,
    ),
    named_stream(
        "anthropic stream",
        {
            "type": "message_start",
            "message": {
                "content": [],
                "usage": {"input_tokens": 25, "cache_read_input_tokens": 7, "output_tokens": 1},
            },
        },
        {"type": "ping"},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": QUOTED}},
        {"type": "message_delta", "delta": {}, "usage": {"input_tokens": 0, "output_tokens": 15}},
        {"type": "message_stop"},
        prompt=25,
        cached=7,
        generated=15,
    ),
    named_stream(
        "responses stream",
        {"type": "response.created", "response": {"usage": None, "error": None, "output": []}},
        {"type": "response.output_text.delta", "delta": QUOTED},
        {
            "type": "response.completed",
            "response": {
                "output": [{"content": [{"text": QUOTED}]}],
                "usage": {
                    "input_tokens": 37,
                    "output_tokens": 11,
                    "input_tokens_details": {"cached_tokens": 2},
                },
            },
        },
        prompt=37,
        cached=2,
        generated=11,
    ),
    Answer(
        "a stream without an end",
        b': hello\n\ndata:{"usage":{"prompt_tokens":1}}\n\n'
        b'data: {"usage" : {"completion_tokens":2}}',
        Usage(prompt=1, generated=2),
        SSE,
    ),
    Answer(
        "what is no data",
        b'{"usage":{"prompt_tokens":1}}\n'
        b'note:{"usage":{"prompt_tokens":1}}\n'
        b': {"usage":{"prompt_tokens":1}}\ndata: "usage": {\n\n',
        UNKNOWN,
        SSE,
    ),
]
