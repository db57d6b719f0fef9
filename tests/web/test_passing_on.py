"""What of a request and of its answer goes through, over sockets on both sides."""

from __future__ import annotations

import zlib

from tests.upstream.asking import OK
from tests.upstream.scripted import Connection
from tests.web.floor import chat, floor
from tests.web.raw import receive_until, request, rest

BODY = b'{"model": "m"}'


async def test_a_client_that_asks_whether_to_go_on_is_answered_by_swapd() -> None:
    async with floor() as web:
        web.upstream.then(web.upstream.answer(OK))
        client = await web.served.connect()
        async with client:
            fields = b"connection: close\r\ncontent-length: %d\r\nexpect: 100-continue\r\n"
            await client.send_all(
                request("/v1/completions", head=fields % len(BODY), method=b"POST")
            )
            assert await receive_until(client, b"\r\n\r\n") == b"HTTP/1.1 100 \r\n\r\n"
            assert web.upstream.connections == 0
            await client.send_all(BODY)
            assert (await rest(client)).endswith(b"\r\n\r\nok")
    (asked,) = web.upstream.requests
    assert b"expect" not in asked.lower()
    assert asked.endswith(b"\r\n\r\n" + BODY)


async def test_encodings_are_between_the_client_and_the_model() -> None:
    packed = zlib.compress(b"a long answer")
    async with floor() as web:
        web.upstream.then(
            web.upstream.answer(
                b"HTTP/1.1 200 OK\r\ncontent-encoding: deflate\r\nvary: accept-encoding\r\n"
                b"content-length: %d\r\n\r\n%s" % (len(packed), packed)
            )
        )
        reply = await web.ask(chat(head=b"accept-encoding: br;q=0.5,  deflate\r\n"))
    assert b"\r\naccept-encoding: br;q=0.5,  deflate\r\n" in web.upstream.requests[0]
    assert (reply.headers["content-encoding"], reply.body) == ("deflate", packed)


async def test_what_is_not_said_is_not_said_upstream() -> None:
    async with floor() as web:
        web.upstream.then(web.upstream.answer(OK))
        await web.ask(chat())
    for name in (b"accept-encoding", b"user-agent", b"x-forwarded-proto", b"x-forwarded-host"):
        assert name not in web.upstream.requests[0]


async def test_what_a_reverse_proxy_has_said_of_the_client_passes() -> None:
    said = b"x-forwarded-proto: https\r\nx-forwarded-host: ai.example\r\n"
    async with floor() as web:
        web.upstream.then(web.upstream.answer(OK))
        await web.ask(chat(head=said + b"x-forwarded-for: 192.0.2.1\r\n"))
    asked = web.upstream.requests[0]
    assert said in asked
    assert b"\r\nx-forwarded-for: 192.0.2.1, 127.0.0.1\r\n" in asked


async def test_every_cookie_reaches_the_client() -> None:
    async with floor() as web:
        web.upstream.then(
            web.upstream.answer(b"HTTP/1.1 204 Done\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n\r\n")
        )
        raw = await web.served.ask(chat())
    assert b"\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n" in raw


async def test_an_answer_that_has_no_body_is_not_said_to_have_a_length() -> None:
    async with floor() as web:
        web.upstream.then(web.upstream.answer(b"HTTP/1.1 204 Done\r\ncontent-length: 5\r\n\r\n"))
        raw = await web.served.ask(chat())
    assert raw.startswith(b"HTTP/1.1 204 ")
    assert b"content-length" not in raw.lower()


async def test_interim_answers_and_trailers_of_a_model_end_here() -> None:
    async def chatty(connection: Connection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n")
        await connection.send(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nx-own: 1\r\n")
        await connection.send(b"trailer: x-late\r\ntransfer-encoding: chunked\r\n\r\n")
        await connection.send(b"2\r\nok\r\n0\r\nx-late: 1\r\n\r\n")

    async with floor(chatty) as web:
        raw = await web.served.ask(chat())
    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"x-own: 1" in head
    for gone in (b"link", b"trailer", b"x-late", b"103", b"102"):
        assert gone not in raw
    assert body == b"2\r\nok\r\n0\r\n\r\n"
