"""Whole requests: where the model is looked for, what counts, and what renaming leaves."""

from __future__ import annotations

import gzip
from bisect import bisect_left

import brotli
import msgspec
import pytest
import trio
import zstandard

from swapd.config.filters import Filters
from swapd.errors import BodyTooLarge, MalformedRequest, NoModelNamed
from swapd.upstream.bodies.body import Body
from swapd.upstream.bodies.changes import Changes
from swapd.upstream.bodies.request import ModelRequest, read_request
from tests.upstream.bodies.test_body import all_of, stored

JSON = b"application/json"
FORM = b"application/x-www-form-urlencoded"
MULTIPART = b"multipart/form-data; boundary=b"


def multipart(*fields: tuple[str, bytes]) -> bytes:
    parts = [
        b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (name.encode(), value)
        for name, value in fields
    ]
    return b"".join(parts) + b"--b--\r\n"


async def read(
    body: bytes | Body = b"",
    content_type: bytes | None = None,
    *,
    query: bytes = b"",
    method: str = "POST",
    encoding: bytes = b"",
    max_bytes: int = 0,
) -> ModelRequest:
    headers = [(b"X-Other", b"1")]
    headers += [(b"Content-Type", content_type)] if content_type is not None else []
    headers += [(b"Content-Encoding", encoding)] if encoding else []
    body = Body(body) if isinstance(body, bytes) else body
    return await read_request(method, query, headers, body, max_bytes=max_bytes)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("method", "query", "content_type", "body"),
    [
        ("GET", b"model=a%2Fb&stream=STREAM", None, b""),
        ("HEAD", b"x&model=a/b&stream=STREAM", JSON, b"{}"),
        ("POST", b"", JSON, b'{"model": "a/b", "stream": STREAM}'),
        ("POST", b"model=x", JSON, b'{"model": "a/b", "stream": STREAM}'),
        ("POST", b"", b"Application/JSON; charset=utf-8", b'{"model": "a/b", "stream": STREAM}'),
        ("POST", b"", b"application/vnd.api+json", b'{"model": "a/b", "stream": STREAM}'),
        ("POST", b"", None, b'{"model": "a/b", "stream": STREAM}'),
        ("POST", b"", FORM, b' {"model": "a/b", "stream": STREAM}'),
        ("POST", b"", b"text/plain", b'\n{"model": "a/b", "stream": STREAM}'),
        ("POST", b"", JSON, b'\xef\xbb\xbf{"model": "a/b", "stream": STREAM}'),
        ("POST", b"", FORM, b'\xef\xbb\xbf\r\n{"model": "a/b", "stream": STREAM}'),
        ("POST", b"", FORM, b"stream=STREAM&model=a%2Fb"),
        ("POST", b"model=x", FORM, b"stream=STREAM&model=a%2Fb"),
        ("POST", b"", FORM, b"model=a/b&model=x&stream=STREAM&stream=x"),
        ("POST", b"model=a/b", FORM, b"stream=STREAM"),
        ("POST", b"model=a/b", FORM, b"model=&stream=STREAM"),
        ("POST", b"", MULTIPART, multipart(("stream", b"STREAM"), ("model", b"a/b"))),
        ("POST", b"model=a/b", MULTIPART, multipart(("stream", b"STREAM"), ("model", b"x"))),
        ("POST", b"stream=STREAM", MULTIPART, multipart(("model", b"a/b"), ("model", b"x"))),
        ("POST", b"model=a/b&stream=STREAM", MULTIPART, multipart()),
        ("POST", b"model=a/b&stream=STREAM", b"audio/wav", b"RIFF"),
        ("POST", b"model=a/b&stream=STREAM", b"text/plain", b'{"model": "x"}'),
        ("POST", b"model=a/b&stream=STREAM", None, b"RIFF"),
        ("POST", b"model=a/b&stream=STREAM", None, b""),
        ("POST", b"model=a/b&stream=STREAM", JSON, b""),
    ],
)
async def test_where_the_model_is_found(
    method: str, query: bytes, content_type: bytes | None, body: bytes, stream: bool
) -> None:
    word = b"true" if stream else b"false"
    query, body = (text.replace(b"STREAM", word) for text in (query, body))
    asked = await read(body, content_type, query=query, method=method)
    assert (asked.model, asked.stream) == ("a/b", stream)
    assert (asked.query, asked.body.held) == (query, body)


@pytest.mark.parametrize(
    ("method", "query", "content_type", "body"),
    [
        ("GET", b"model=m", None, b""),
        ("POST", b"", JSON, b'{"model":"m"}'),
        ("POST", b"", FORM, b"model=m"),
        ("POST", b"", MULTIPART, multipart(("model", b"m"))),
        ("POST", b"model=m", b"audio/wav", b"RIFF"),
    ],
)
async def test_who_does_not_speak_of_a_stream_wants_none(
    method: str, query: bytes, content_type: bytes | None, body: bytes
) -> None:
    assert not (await read(body, content_type, query=query, method=method)).stream


@pytest.mark.parametrize(
    ("method", "query", "content_type", "body", "why"),
    [
        ("GET", b"", None, b"", "the request names no model: add ?model=NAME"),
        ("GET", b"model=", JSON, b'{"model": "m"}', "the request names no model: add ?model=NAME"),
        ("POST", b"", None, b"", "the request names no model: its body is empty"),
        ("POST", b"model=m", JSON, b"{}", "the request names no model: its JSON has no `model`"),
        ("POST", b"", FORM, b"a=b", "the request names no model: its form has no field `model`"),
        (
            "POST",
            b"",
            MULTIPART,
            multipart(("models", b"m")),
            "the request names no model: its form has no field `model`",
        ),
        (
            "POST",
            b"",
            b"audio/wav",
            b"RIFF",
            "the request names no model: its body is audio/wav, in which swapd cannot look for "
            "one; add ?model=NAME",
        ),
    ],
)
async def test_a_request_that_names_no_model_is_told_what_to_do(
    method: str, query: bytes, content_type: bytes | None, body: bytes, why: str
) -> None:
    with pytest.raises(NoModelNamed) as refusal:
        await read(body, content_type, query=query, method=method)
    assert str(refusal.value) == why


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (JSON, b""),
        (JSON, b"model=m"),
        (JSON, b'{"model": "m", "t": NaN}'),
        (JSON, b'\xef\xbb\xbf\xef\xbb\xbf{"model": "m"}'),
        (JSON, b' \xef\xbb\xbf{"model": "m"}'),
        (JSON, '{"model": "m"}'.encode("utf-16")),
        (None, b"model=m"),
        (FORM, b'{"model": "m"'),
        (MULTIPART, b'{"model": "m"}'),
        (b"multipart/form-data", multipart(("model", b"m"))),
    ],
)
async def test_a_body_that_is_not_what_it_says_is_malformed(
    content_type: bytes | None, body: bytes
) -> None:
    with pytest.raises(MalformedRequest):
        await read(body, content_type)


@pytest.mark.parametrize(
    "fields",
    [
        [("file", b"\n--bx" * 200_000)],
        [("models", b"")] * 9000,
        [('models"' + ";a=b" * 900, b"")] * 300,
    ],
    ids=["nearly boundaries", "parts", "headers"],
)
async def test_others_get_their_turns_while_a_form_is_read_that_is_made_to_be_slow(
    fields: list[tuple[str, bytes]],
) -> None:
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take_turns)
        body = multipart(*fields, ("model", b"m"))
        assert (await read(body, MULTIPART)).model == "m"
        nursery.cancel_scope.cancel()
    assert turns > 10


BOTH = Changes(model="new", model_in_body="own")


@pytest.mark.parametrize(
    ("query", "content_type", "body", "changes", "new_query", "new_body"),
    [
        # What a profile, a selector or a peer renames
        (b"model=m", JSON, b'{"model": "m"}', Changes("new"), b"model=m", b'{"model": "new"}'),
        (b"model=m", FORM, b"model=m&a", Changes("new"), b"model=m", b"model=new&a"),
        (b"a&model=m", FORM, b"a", Changes("new"), b"a&model=new", b"a"),
        (b"a&model=m", None, b"", Changes("new"), b"a&model=new", b""),
        (
            b"model=m",
            MULTIPART,
            multipart(("model", b"m"), ("model", b"n"), ("a", b"b")),
            Changes("new"),
            b"model=new",
            multipart(("model", b"new"), ("model", b"new"), ("a", b"b")),
        ),
        # What the upstream calls it
        (b"", JSON, b'{"model": "m"}', Changes(model_in_body="own"), b"", b'{"model": "own"}'),
        (b"", FORM, b"model=m", Changes(model_in_body="own"), b"", b"model=own"),
        (
            b"model=m",
            MULTIPART,
            multipart(("model", b"x")),
            Changes(model_in_body="own"),
            b"model=m",
            multipart(("model", b"own")),
        ),
        (b"model=m", b"audio/wav", b"RIFF", Changes(model_in_body="own"), b"model=m", b"RIFF"),
        # Both
        (b"", JSON, b'{"model": "m"}', BOTH, b"", b'{"model": "own"}'),
        (b"model=m", MULTIPART, multipart(("model", b"m")), BOTH, b"model=new",
         multipart(("model", b"own"))),
    ],
)  # fmt: skip
async def test_what_renaming_leaves(
    query: bytes,
    content_type: bytes | None,
    body: bytes,
    changes: Changes,
    new_query: bytes,
    new_body: bytes,
) -> None:
    asked = await read(body, content_type, query=query)
    changed = await asked.changed(changes)
    assert (changed.query, changed.body.held) == (new_query, new_body)
    assert (asked.query, asked.body.held) == (query, body)
    assert changed.headers == asked.headers

    assert await asked.changed(Changes(asked.model)) == asked


@pytest.mark.parametrize("content_type", [b"text/plain", b"audio/wav"])
async def test_a_body_of_an_unknown_kind_is_never_changed(content_type: bytes) -> None:
    asked = await read(b"x=1", content_type, query=b"model=p1/pm")
    filters = Filters(("x",), {"y": 1})
    assert (await asked.changed(Changes(filters=filters))).body.held == b"x=1"
    with pytest.raises(MalformedRequest) as refusal:
        await asked.changed(Changes(model="pm"))
    assert str(refusal.value) == (
        "the server knows the model as 'pm', and swapd cannot put that into a body that is "
        f"{content_type.decode()}; send JSON or a form, or use the name itself"
    )


async def test_filters_change_json_alone() -> None:
    changes = Changes(filters=Filters(("a",), {"b": 1}, {"nick": {"c": 2}}), asked="nick")
    for content_type, body in ((FORM, b"model=m&a=1"), (MULTIPART, multipart(("model", b"m")))):
        assert (await (await read(body, content_type)).changed(changes)).body.held == body
    for json_type in (JSON, None, FORM):
        asked = await read(b'{"model":"m","a":1}', json_type)
        assert (await asked.changed(changes)).body.held == b'{"model":"m","b":1,"c":2}'


@pytest.mark.parametrize("shape", [(b"[", b"]"), (b'{"a":', b"}")])
async def test_a_body_that_can_be_read_can_be_changed_however_deep(
    shape: tuple[bytes, bytes],
) -> None:
    """How deep that is depends on how many calls are open, so some depths are in between."""
    begin, end = shape

    def is_too_deep(depth: int) -> bool:
        try:
            msgspec.json.decode(begin * depth + b"0" + end * depth)
        except RecursionError:
            return True
        return False

    deepest = bisect_left(range(100_000), True, key=is_too_deep)
    outcomes = set()
    for depth in range(deepest - 100, deepest + 10):
        body = b'{"model":"m","deep":%b,"a":1}' % (begin * depth + b"0" + end * depth)
        try:
            asked = await read(body, JSON)
        except MalformedRequest:
            outcomes.add("too deep")
            continue
        changed = await asked.changed(Changes("new", filters=Filters(("a",), {"deep.a.b": 2})))
        assert changed.body.held is not None
        assert changed.body.held.startswith(b'{"model":"new","deep":')
        outcomes.add("changed")
    assert outcomes == {"changed", "too deep"}


ENCODINGS = [
    (b"gzip", gzip.compress),
    (b"br", brotli.compress),
    (b"zstd", zstandard.ZstdCompressor().compress),
    (b"gzip, br", lambda data: brotli.compress(gzip.compress(data))),
]


@pytest.mark.parametrize(("encoding", "encode"), ENCODINGS)
@pytest.mark.parametrize(
    ("content_type", "body", "new"),
    [
        (JSON, b'{"model":"m", "n": 1.10}', b'{"model":"new", "n": 1.10}'),
        (FORM, b"model=m&a", b"model=new&a"),
        (MULTIPART, multipart(("model", b"m")), multipart(("model", b"new"))),
    ],
)
async def test_an_encoded_body_goes_on_decoded_changed_or_not(
    encoding: bytes, encode: object, content_type: bytes, body: bytes, new: bytes
) -> None:
    assert callable(encode)
    encoded = encode(body)
    asked = await read(encoded, content_type, encoding=encoding)
    assert asked.model == "m"
    same = await asked.changed(Changes("m", filters=Filters(("absent",))))
    changed = await asked.changed(Changes("new"))
    for going_on, what in ((same, body), (changed, new)):
        assert going_on.body.held == what
        assert [name for name, _ in going_on.headers] == [b"X-Other", b"Content-Type"]


async def test_what_cannot_be_decoded_is_refused_only_where_it_must_be_read() -> None:
    with pytest.raises(MalformedRequest, match="encoded as lzw"):
        await read(b"x", JSON, encoding=b"lzw", query=b"model=m")
    for encoding in (b"lzw", b"gzip"):
        asked = await read(b"x", b"audio/wav", encoding=encoding, query=b"model=m")
        assert asked.body.held == b"x"
        assert (b"Content-Encoding", encoding) in asked.headers


async def test_a_decoded_body_may_not_be_larger_than_a_plain_one() -> None:
    body = b'{"model": "m", "pad": "' + b"x" * 100 + b'"}'
    assert (await read(gzip.compress(body), JSON, encoding=b"gzip", max_bytes=200)).model == "m"
    with pytest.raises(BodyTooLarge, match="larger than 100 bytes when it is decoded"):
        await read(gzip.compress(body), JSON, encoding=b"gzip", max_bytes=100)


@pytest.mark.parametrize(
    ("content_type", "body", "new"),
    [
        (JSON, b'{"model":"m", "n": 1.10}', b'{"model":"new", "n": 1.10}'),
        (None, b' {"model":"m"}', b' {"model":"new"}'),
        (FORM, b"a&model=m&b", b"a&model=new&b"),
        (MULTIPART, multipart(("model", b"m")), multipart(("model", b"new"))),
    ],
)
async def test_bodies_in_files_are_read_and_changed_alike(
    content_type: bytes | None, body: bytes, new: bytes
) -> None:
    asked = await read(stored(body), content_type)
    assert asked.model == "m"
    changed = await asked.changed(Changes("new"))
    assert (changed.body.held, await all_of(changed.body)) == (None, new)
    assert await all_of(asked.body) == body
    asked.body.close()
