"""What swapd says in a stream, as the parsers of each API see it."""

from __future__ import annotations

import json

import pytest

from swapd.web.manner import Api
from swapd.web.remarks import KEEP_ALIVE, Asides, ChatRemarks

CHAT = ChatRemarks("gpt-4", id_="chatcmpl-1", created=1000)


def chunk(frame: bytes) -> dict[str, object]:
    assert frame.startswith(b"data: ")
    assert frame.endswith(b"\n\n")
    assert frame.count(b"\n") == 2
    value = json.loads(frame[6:])
    assert isinstance(value, dict)
    return value


def test_a_line_is_a_whole_chunk_of_a_chat_completion() -> None:
    assert chunk(CHAT.line("Loading (5 s)")) == {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1000,
        "model": "gpt-4",
        "choices": [
            {"index": 0, "delta": {"reasoning_content": "Loading (5 s)\n"}, "finish_reason": None}
        ],
    }


def test_rules_stand_around_what_is_not_the_models() -> None:
    texts = [
        chunk(frame)["choices"][0]["delta"]["reasoning_content"]  # type: ignore[index]
        for frame in (CHAT.opening("swapd loading model: m"), CHAT.closing("Done! (1.00s)"))
    ]
    assert texts == ["━━━━━\nswapd loading model: m\n", "Done! (1.00s)\n━━━━━\n \n"]


def test_no_chunk_has_a_role_for_clients_would_put_it_before_the_models_own() -> None:
    for frame in (CHAT.opening("a"), CHAT.line("b"), CHAT.closing("c")):
        assert b"role" not in frame


def test_a_name_may_hold_anything() -> None:
    frame = ChatRemarks('"\n\\', id_="x", created=0).opening('\u2028 "quoted"')
    assert chunk(frame)["model"] == '"\n\\'


@pytest.mark.parametrize("say", ["opening", "line", "closing"])
def test_elsewhere_a_line_is_a_comment_of_its_own(say: str) -> None:
    assert getattr(Asides(Api.RESPONSES), say)("Loading") == b": Loading\n\n"


def test_anthropics_clients_get_a_ping_with_each_line() -> None:
    frame = Asides(Api.ANTHROPIC).line("Loading")
    comment, ping, rest = frame.split(b"\n\n")
    assert (comment, rest) == (b": Loading", b"")
    event, data = ping.split(b"\n")
    assert event == b"event: ping"
    assert json.loads(data.removeprefix(b"data: ")) == {"type": "ping"}


def test_to_keep_a_stream_alive_is_a_comment() -> None:
    assert KEEP_ALIVE == b": keep-alive\n\n"
