"""Request bodies of every kind, from raw socket to raw socket through the whole web floor."""

from __future__ import annotations

import gzip

import pytest

from tests.upstream.asking import OK
from tests.upstream.scripted import serving
from tests.web.floor import Floor, Reply, chat, floor, get

MODEL = {
    "useModelName": "org/m",
    "filters": {
        "stripParams": "top_k",
        "setParams": {"temperature": 0.7},
        "setParamsByID": {"m:fast": {"temperature": 0.1}},
    },
}
BOUNDARY = b"content-type: multipart/form-data; boundary=b\r\n"
PARTS = (
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n'
    b"Content-Type: audio/wav\r\nX-Any: thing\r\n\r\nRIFF\r\n--bb\r\n\0\r\n--b\r\n"
    b'Content-Disposition: form-data; name="model"\r\n\r\n%s\r\n--b--\r\n'
)


async def forwarded(web: Floor, body: bytes, head: bytes, path: str = "") -> tuple[bytes, bytes]:
    """Return head and body of what the model's server got."""
    web.upstream.then(web.upstream.answer(OK))
    reply = await web.ask(chat(body, head=head, path=path))
    assert (reply.status, reply.body) == (200, b"ok")
    sent_head, _, sent_body = web.upstream.requests.pop().partition(b"\r\n\r\n")
    assert b"content-length: %d\r\n" % len(sent_body) in sent_head + b"\r\n"
    return sent_head, sent_body


async def refused(web: Floor, body: bytes, head: bytes, path: str = "") -> Reply:
    return await web.ask(chat(body, head=head, path=path))


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (
            b'{ "model" : "m", "top_k": 5, "n": 1.10, "temperature": 1 }',
            b'{ "model" : "org/m", "n": 1.10, "temperature": 0.7 }',
        ),
        (b'{"model":"m:fast"}', b'{"model":"org/m","temperature":0.1}'),
    ],
)
async def test_json_is_filtered_for_its_model(body: bytes, sent: bytes) -> None:
    async with floor(model=MODEL) as web:
        assert (await forwarded(web, body, b"content-type: application/json\r\n"))[1] == sent


async def test_a_multipart_body_gets_its_model_renamed_and_nothing_else() -> None:
    async with floor(model=MODEL) as web:
        head, sent = await forwarded(web, PARTS % b"m", BOUNDARY, "/v1/audio/transcriptions")
    assert sent == PARTS % b"org/m"
    assert BOUNDARY[:-2] in head


async def test_what_is_remembered_of_a_form_is_the_model_and_not_what_its_server_calls_it() -> None:
    async with floor(model=MODEL) as web:
        await forwarded(web, PARTS % b"m:fast", BOUNDARY, "/v1/audio/transcriptions")
        (finished,) = web.finished
    assert finished.model == "m"


FORM = b"content-type: application/x-www-form-urlencoded\r\n"
FAR_FILTERS = {
    "stripParams": "top_k, model",
    "setParams": {"temperature": 0.5, "model": "x"},
    "setParamsByID": {"far/org/x": {"q": 1}, "org/x": {"bare": 1}, "y": {"wrong": 1}},
}
SELECTORS = {"any": {"strategy": "pin", "targets": ["far/org/x"]}}


@pytest.mark.parametrize(
    ("head", "body", "sent"),
    [
        (b"", b'{"model":"far/org/x", "top_k":1}', b'{"model":"org/x","temperature":0.5,"q":1}'),
        (b"", b'{"top_k":1, "model":"org/x"}', b'{ "model":"org/x","temperature":0.5,"bare":1}'),
        (b"", b'{"model":"any"}', b'{"model":"org/x","temperature":0.5,"q":1}'),
        (b"", b'{"model":"far/y"}', b'{"model":"y","temperature":0.5}'),
        (FORM, b"a=b+c&model=far%2Forg%2Fx&top_k=1", b"a=b+c&model=org%2Fx&top_k=1"),
        (BOUNDARY, PARTS % b"far/org/x", PARTS % b"org/x"),
        (BOUNDARY, PARTS % b"any", PARTS % b"org/x"),
    ],
)
async def test_a_peer_gets_its_own_name_and_what_its_filters_leave(
    head: bytes, body: bytes, sent: bytes
) -> None:
    async with serving() as there:
        far = {"proxy": there.url, "models": ["org/x", "y"], "filters": FAR_FILTERS}
        there.then(there.answer(OK))
        async with floor(peers={"far": far}, selectors=SELECTORS) as web:
            reply = await web.ask(chat(body, head=head, path="/v1/audio/transcriptions"))
        assert (reply.status, reply.body) == (200, b"ok")
        sent_head, _, sent_body = there.requests.pop().partition(b"\r\n\r\n")
    assert sent_body == sent
    assert b"content-length: %d\r\n" % len(sent) in sent_head + b"\r\n"


@pytest.mark.parametrize(
    ("asked", "first_line", "sent"),
    [
        (chat(b'{"model": "any", "n": 1.10}'), b"POST /v1/chat/completions HTTP/1.1",
         b'{"model": "alias", "n": 1.10}'),
        (chat(PARTS % b"any", head=BOUNDARY), b"POST /v1/chat/completions HTTP/1.1",
         PARTS % b"alias"),
        (chat(PARTS % b"x", head=BOUNDARY, path="/v1/images/edits?a=%20&model=any"),
         b"POST /v1/images/edits?a=%20&model=alias HTTP/1.1", PARTS % b"alias"),
        (chat(b"model=any&a=+", head=FORM), b"POST /v1/chat/completions HTTP/1.1",
         b"model=alias&a=+"),
        (get("/props?a=+&model=any&b"), b"GET /props?a=+&model=alias&b HTTP/1.1", b""),
    ],
)  # fmt: skip
async def test_what_a_selector_chose_takes_its_place_wherever_it_is_named(
    asked: bytes, first_line: bytes, sent: bytes
) -> None:
    selectors = {"any": {"strategy": "pin", "targets": ["alias"]}}
    async with floor(selectors=selectors) as web:
        web.upstream.then(web.upstream.answer(OK))
        assert (await web.ask(asked)).status == 200
        head, _, body = web.upstream.requests.pop().partition(b"\r\n\r\n")
    assert (head.partition(b"\r\n")[0], body) == (first_line, sent)


@pytest.mark.parametrize("name", ["far/org/x", "any"])
async def test_a_body_that_would_have_to_be_changed_and_cannot_be_is_refused(name: str) -> None:
    far = {"proxy": "http://127.0.0.1:9", "models": ["org/x"]}
    async with floor(peers={"far": far}, selectors=SELECTORS) as web:
        path = f"/v1/audio/transcriptions?model={name}"
        reply = await refused(web, b"x=1", b"content-type: text/plain\r\n", path)
    assert (reply.status, reply.error["code"]) == (400, "bad_request")
    assert "swapd cannot put that into a body that is text/plain" in reply.error["message"]


async def test_a_compressed_body_goes_on_decoded_changed_or_not() -> None:
    body = gzip.compress(b'{"model":"alias"}')
    head = b"content-encoding: gzip\r\n"
    for model, expected in (
        ({}, b'{"model":"alias"}'),
        ({"useModelName": "org/m"}, b'{"model":"org/m"}'),
    ):
        async with floor(model={"aliases": ["alias"], **model}) as web:
            sent_head, sent = await forwarded(web, body, head)
        assert sent == expected
        assert b"content-encoding" not in sent_head


async def test_a_compressed_body_below_a_model_goes_on_as_it_came() -> None:
    body, head = gzip.compress(b'{"model":"m"}'), b"content-encoding: gzip\r\n"
    async with floor() as web:
        sent_head, sent = await forwarded(web, body, head, "/upstream/m/v1/chat/completions")
    assert sent == body
    assert b"\r\ncontent-encoding: gzip\r\n" in sent_head


async def test_a_body_of_another_type_goes_on_as_it_came() -> None:
    async with floor(model=MODEL) as web:
        path = "/v1/audio/transcriptions?model=m"
        assert (await forwarded(web, b"RIFF", b"content-type: audio/wav\r\n", path))[1] == b"RIFF"


@pytest.mark.parametrize(
    ("body", "head", "status", "code"),
    [
        (b'{"model": "m"', b"", 400, "bad_request"),
        (b"--b\r\n", BOUNDARY, 400, "bad_request"),
        (b"RIFF", b"content-type: audio/wav\r\n", 404, "not_found"),
        (b"junk", b"content-encoding: br\r\n", 400, "bad_request"),
        (
            gzip.compress(b" " * 9999, mtime=0),
            b"content-encoding: gzip\r\n",
            413,
            "request_too_large",
        ),
        (b"x" * 1001, b"", 413, "request_too_large"),
    ],
)
async def test_what_cannot_be_read_is_refused(
    body: bytes, head: bytes, status: int, code: str
) -> None:
    async with floor(server={"maxBody": 1000}) as web:
        reply = await refused(web, body, head)
    assert (reply.status, reply.error["code"]) == (status, code)
