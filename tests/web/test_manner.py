"""How a problem looks to each kind of client."""

from __future__ import annotations

import json
from typing import cast

import pytest
from hypercorn.typing import HTTPScope

from swapd.errors import ModelUnavailable, TooManyRequests, UnknownModel, UpstreamFailed
from swapd.web.errors import BUG, UNAUTHORIZED, Kind, Problem, problem_of
from swapd.web.manner import Api, Form, Manner

BROWSER = b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
AXIOS = b"application/json, text/plain, */*"


def scope_of(path: str, *accept: bytes) -> HTTPScope:
    headers = [(b"host", b"x"), *((b"accept", value) for value in accept)]
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
    return cast(HTTPScope, {**scope, "raw_path": path.encode()})


@pytest.mark.parametrize(
    ("path", "api"),
    [
        ("/v1/chat/completions", Api.OPENAI),
        ("/v1/messages", Api.ANTHROPIC),
        ("/v/messages", Api.ANTHROPIC),
        ("/v1/messages/count_tokens", Api.ANTHROPIC),
        ("/v1/messages/nowhere", Api.ANTHROPIC),
        ("/upstream/a/b/v1/messages", Api.ANTHROPIC),
        ("/v1/messagesque", Api.OPENAI),
        ("/messages", Api.OPENAI),
        ("/v1/responses", Api.RESPONSES),
        ("/v/responses", Api.RESPONSES),
        ("/v1/responses\n", Api.OPENAI),
        ("/", Api.OPENAI),
    ],
)
def test_a_client_speaks_the_api_of_its_path(path: str, api: Api) -> None:
    assert Manner.of(scope_of(path)).api is api


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ([], Form.JSON),
        ([b"*/*"], Form.JSON),
        ([b"text/plain"], Form.TEXT),
        ([b"Text/Plain; q=0.5"], Form.TEXT),
        ([b"text/html, text/plain"], Form.TEXT),
        ([BROWSER], Form.HTML),
        ([b"image/png", b"text/html"], Form.HTML),
        ([AXIOS], Form.JSON),
        ([b"text/event-stream"], Form.JSON),
    ],
)
def test_a_client_gets_what_it_reads(accept: list[bytes], form: Form) -> None:
    assert Manner.of(scope_of("/", *accept)).form is form


def test_text_and_pages_say_no_more_than_the_message() -> None:
    problem = Problem("no <b>model</b> 'ä'", BUG.kind)
    assert Manner(form=Form.TEXT).body(problem).decode() == "swapd: no <b>model</b> 'ä'"
    page = Manner(form=Form.HTML).body(problem).decode()
    assert "<p>no &lt;b&gt;model&lt;/b&gt; &#x27;ä&#x27;</p>" in page
    assert page.count("<b>") == 0


@pytest.mark.parametrize(
    ("problem", "word"),
    [
        (Problem("x", Kind(400, "", "")), "invalid_request_error"),
        (UNAUTHORIZED, "authentication_error"),
        (Problem("x", Kind(403, "", "")), "permission_error"),
        (problem_of(UnknownModel("x")), "not_found_error"),
        (Problem("x", Kind(405, "", "")), "invalid_request_error"),
        (Problem("x", Kind(413, "", "")), "request_too_large"),
        (problem_of(TooManyRequests("x", retry_after=1)), "rate_limit_error"),
        (BUG, "api_error"),
        (problem_of(UpstreamFailed("x")), "api_error"),
        (problem_of(ModelUnavailable("x", retry_after=1)), "overloaded_error"),
        (Problem("x", Kind(504, "", "")), "timeout_error"),
    ],
)
def test_anthropics_clients_get_their_own_words(problem: Problem, word: str) -> None:
    assert json.loads(Manner(Api.ANTHROPIC).body(problem)) == {
        "type": "error",
        "src": "swapd",
        "error": {"type": word, "message": problem.message},
    }


BROKEN = problem_of(UpstreamFailed("it broke\nin two"))


@pytest.mark.parametrize(
    ("api", "name"),
    [(Api.OPENAI, b""), (Api.ANTHROPIC, b"event: error\n"), (Api.RESPONSES, b"event: error\n")],
)
def test_an_event_ends_what_was_left_unfinished_and_is_whole_itself(api: Api, name: bytes) -> None:
    told = Manner(api).event(BROKEN)
    assert told.startswith(b"\n\n" + name + b"data: {")
    assert told.endswith(b"}\n\n")
    assert told.count(b"\n") == 4 + bool(name)
    assert json.loads(told.partition(b"data: ")[2])["error"]["message"] == "it broke\nin two"


@pytest.mark.parametrize(
    ("before", "number"),
    [
        (b"", 0),
        (b'data: {"sequence_number": 7, "a": 1}\n\ndata: {"sequence_number":8}\n\n', 9),
        (b'data: {"sequence_number": "7"}', 0),
    ],
)
def test_the_responses_api_goes_on_counting_its_events(before: bytes, number: int) -> None:
    told = json.loads(Manner(Api.RESPONSES).event(BROKEN, before).partition(b"data: ")[2])
    inner = told.pop("error")
    assert told == {
        "type": "error",
        "code": "bad_gateway",
        "message": "it broke\nin two",
        "param": None,
        "sequence_number": number,
        "src": "swapd",
    }
    assert inner == {
        "type": "server_error",
        "code": "bad_gateway",
        "message": "it broke\nin two",
        "param": None,
    }
