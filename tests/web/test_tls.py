"""TLS, on raw sockets: what is spoken inside it, how it ends, and what never gets so far."""

from __future__ import annotations

import json
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
import trio.testing
import trustme
from cryptography.x509 import load_der_x509_certificate
from hypercorn.typing import HTTPScope
from quart import websocket

from swapd.web.certificate import Certificate
from swapd.web.client import Client
from swapd.web.limits import Patience
from tests.web.raw import (
    LONG,
    OPEN_WEBSOCKET,
    WAYS_TO_LEAVE,
    Flood,
    answering,
    leave_with_rst,
    receive_until,
    relaying,
    request,
    rest,
    serving,
    upload,
)

Leave = Callable[[trio.SocketStream], Awaitable[None]]

#: How TLS tells of what is wrong with it.
ALERT = b"\x15\x03"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def certificate(authority: trustme.CA, tmp_path: Path) -> Certificate:
    write(authority, tmp_path)
    return Certificate(tmp_path / "cert.pem", tmp_path / "key.pem")


def write(authority: trustme.CA, folder: Path) -> int:
    """Write a certificate and its key to ``folder``; return its serial number."""
    issued = authority.issue_cert("localhost")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    pem = issued.cert_chain_pems[0]
    pem.write_to_path(folder / "cert.pem")
    return serial_of(ssl.PEM_cert_to_DER_cert(pem.bytes().decode()))


def serial_of(der: bytes) -> int:
    return load_der_x509_certificate(der).serial_number


async def count(scope: HTTPScope, client: Client) -> None:
    await client.body()
    await client.begin(200, [])
    await client.write(b"one ")
    await client.write(scope["scheme"].encode())
    await client.finish()


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_an_answer_ends_with_the_goodbye_of_tls(
    authority: trustme.CA, certificate: Certificate, version: bytes
) -> None:
    async with (
        serving(answering(count), certificate=certificate) as served,
        await served.connect_by_tls(authority) as client,
    ):
        head = b"connection: close\r\n"
        await client.send_all(request("/", head=head, version=version))
        answer = await rest(client)  # raises if the goodbye is missing
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"one " in answer
    assert b"https" in answer


async def test_an_error_ends_with_the_goodbye_of_tls(
    authority: trustme.CA, certificate: Certificate
) -> None:
    async with (
        serving(answering(count), certificate=certificate) as served,
        await served.connect_by_tls(authority) as client,
    ):
        await client.send_all(b"no request\r\n\r\n")
        assert (await rest(client)).startswith(b"HTTP/1.1 400")


async def test_http_1_1_is_chosen_although_the_client_prefers_http_2(
    authority: trustme.CA, certificate: Certificate
) -> None:
    async with (
        serving(answering(count), certificate=certificate) as served,
        await served.connect_by_tls(authority) as client,
    ):
        await client.do_handshake()
        assert client.selected_alpn_protocol() == "http/1.1"


async def test_a_connection_serves_one_request_after_the_other(
    authority: trustme.CA, certificate: Certificate
) -> None:
    async with (
        serving(answering(count), certificate=certificate) as served,
        await served.connect_by_tls(authority) as client,
    ):
        for _ in range(3):
            await client.send_all(upload("/", b"x" * 100_000, head=b""))
            assert b"https" in await receive_until(client, b"0\r\n\r\n")


async def test_an_answer_that_breaks_off_does_not_end_like_a_whole_one(
    authority: trustme.CA, certificate: Certificate
) -> None:
    """Where it is not framed only the goodbye of TLS would tell, and it does not come."""

    async def relay(scope: HTTPScope, client: Client) -> None:
        await client.begin(200, [])
        await client.write(b"half")
        await client.abort()

    async with serving(answering(relay), certificate=certificate) as served:
        async with await served.connect_by_tls(authority) as client:
            await client.send_all(request("/", version=b"1.0"))
            with pytest.raises(trio.BrokenResourceError):
                await rest(client)
        async with await served.connect_by_tls(authority) as client:
            await client.send_all(request("/"))
            assert (await rest(client)).endswith(b"half\r\n")  # no last chunk


@pytest.mark.parametrize("leave", WAYS_TO_LEAVE)
async def test_a_client_that_reads_nothing_and_leaves_ends_its_request(
    authority: trustme.CA, certificate: Certificate, leave: Leave
) -> None:
    flood = Flood()
    async with serving(answering(flood.relay), certificate=certificate) as served:
        client = await served.connect_by_tls(authority, receive_buffer=4096)
        async with client.transport_stream as below:
            await client.send_all(request("/"))
            await flood.stuck.wait()
            await leave(below)
            await flood.ended.wait()


async def test_a_client_that_says_goodbye_but_keeps_its_connection_has_left(
    authority: trustme.CA, certificate: Certificate
) -> None:
    waits, cancelled = trio.Event(), trio.Event()

    async def relay(scope: HTTPScope, client: Client) -> None:
        await client.body()
        waits.set()
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    async with serving(answering(relay), certificate=certificate) as served:
        client = await served.connect_by_tls(authority)
        async with client.transport_stream:
            await client.send_all(request("/"))
            await waits.wait()
            await client.unwrap()
            await cancelled.wait()


async def test_an_answer_before_the_end_of_a_large_upload_is_not_lost(
    authority: trustme.CA, certificate: Certificate
) -> None:
    async def refuse(scope: HTTPScope, client: Client) -> None:
        await client.begin(401, [(b"content-length", b"5")])
        await client.write(b"hello")
        await client.finish()

    async with (
        serving(answering(refuse), certificate=certificate) as served,
        await served.connect_by_tls(authority) as client,
    ):
        await client.send_all(upload("/", b"x" * 10_000_000))
        assert (await receive_until(client, b"hello")).endswith(b"\r\n\r\nhello")


async def test_a_goodbye_is_said_also_while_more_of_the_request_comes(
    authority: trustme.CA, certificate: Certificate
) -> None:
    """What came meanwhile stands in its way: it is no answer to it."""

    async def refuse(scope: HTTPScope, client: Client) -> None:
        await client.begin(401, [(b"content-length", b"0")])
        await client.finish()

    async with (
        serving(answering(refuse), certificate=certificate) as served,
        await served.connect_by_tls(authority) as client,
    ):
        await client.send_all(upload("/", b"x" * 500_000)[:-1])
        answer = await rest(client)  # raises if the goodbye is missing
    assert answer.startswith(b"HTTP/1.1 401")


async def test_an_idle_connection_is_closed_with_a_goodbye(
    authority: trustme.CA, certificate: Certificate
) -> None:
    patience = Patience(idle=0.05)
    async with (
        serving(answering(count), certificate=certificate, patience=patience) as served,
        await served.connect_by_tls(authority) as client,
    ):
        await client.send_all(request("/"))
        assert (await rest(client)).endswith(b"0\r\n\r\n")


async def test_a_websocket_speaks_inside_tls(
    authority: trustme.CA, certificate: Certificate
) -> None:
    app = relaying({})

    @app.websocket("/ws")
    async def say() -> None:
        await websocket.send(websocket.scheme)

    async with (
        serving(app, certificate=certificate) as served,
        await served.connect_by_tls(authority) as client,
    ):
        await client.send_all(OPEN_WEBSOCKET)
        assert b"wss" in await rest(client)


@pytest.mark.parametrize("hurry", [True, False])
async def test_a_client_that_does_not_read_does_not_hold_the_end(
    authority: trustme.CA, certificate: Certificate, hurry: bool
) -> None:
    flood = Flood()
    grace = 10 * LONG if hurry else 0.2
    async with (
        serving(answering(flood.relay), certificate=certificate, grace=grace) as served,
        await served.connect_by_tls(authority, receive_buffer=4096) as client,
    ):
        await client.send_all(request("/"))
        await flood.stuck.wait()
        served.closing.set()
        if hurry:
            served.hurry.set()
        await served.ended.wait()


# --- what never gets so far


async def test_a_handshake_that_stalls_is_cut(certificate: Certificate) -> None:
    patience = Patience(handshake=0.05)
    async with serving(relaying({}), certificate=certificate, patience=patience) as served:
        for sent in (b"", b"\x16\x03\x01\x02\x00\x01"):
            assert await served.ask(sent) == b""


async def test_a_handshake_that_stalls_does_not_hold_the_end(certificate: Certificate) -> None:
    async with (
        serving(relaying({}), certificate=certificate, grace=10 * LONG) as served,
        await served.connect() as client,
    ):
        await trio.testing.wait_all_tasks_blocked(0.01)
        served.closing.set()
        await served.ended.wait()
        assert await rest(client) == b""


@pytest.mark.parametrize(
    "sent",
    [
        upload("/hello", b""),
        upload("/hello", b"x" * 300_000),
        request("/hello", method=b"OPTIONS"),
        request("/hello", method=b"DELETE"),
        b"CONNECT localhost:443 HTTP/1.1\r\n\r\n",
    ],
)
async def test_who_speaks_plain_http_is_told_to_speak_tls(
    certificate: Certificate, sent: bytes
) -> None:
    async with serving(relaying({}), certificate=certificate) as served:
        head, _, envelope = (await served.ask(sent)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert "https://" in json.loads(envelope)["error"]["message"]


async def test_what_is_no_handshake_is_closed_and_hurts_nobody(
    authority: trustme.CA, certificate: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(answering(count), certificate=certificate) as served:
        assert (await served.ask(b"\0" * 100)).startswith(b"HTTP/1.1 400")
        assert (await served.ask(b"\x16\x03\x01\x00\x05hello")).startswith(ALERT)
        async with await served.connect() as nobody:
            await leave_with_rst(nobody)
        async with await served.connect_by_tls(authority) as client:
            await client.send_all(request("/"))
            assert b"https" in await receive_until(client, b"0\r\n\r\n")
    assert not caplog.records


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
async def test_who_speaks_a_tls_that_is_too_old_hears_that(
    authority: trustme.CA, certificate: Certificate
) -> None:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with serving(relaying({}), certificate=certificate) as served:
        client = trio.SSLStream(await served.connect(), context, server_hostname="localhost")
        async with client.transport_stream:
            with pytest.raises(trio.BrokenResourceError) as caught:
                await client.do_handshake()
    assert isinstance(why := caught.value.__cause__, ssl.SSLError)
    assert why.reason == "TLSV1_ALERT_PROTOCOL_VERSION"


async def test_a_renewed_certificate_is_shown_from_the_next_connection_on(
    authority: trustme.CA, certificate: Certificate, tmp_path: Path
) -> None:
    async def shown(client: trio.SSLStream[trio.SocketStream]) -> int:
        await client.do_handshake()
        return serial_of(client.getpeercert(binary_form=True))

    async with (
        serving(answering(count), certificate=certificate) as served,
        await served.connect_by_tls(authority) as first,
    ):
        before = await shown(first)
        serial = write(authority, tmp_path)
        certificate.renew()
        async with await served.connect_by_tls(authority) as second:
            assert before != serial == await shown(second)
        await first.send_all(request("/"))
        assert b"https" in await receive_until(first, b"0\r\n\r\n")
