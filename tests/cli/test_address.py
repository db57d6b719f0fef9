"""Where a swapd is, as people write it."""

from __future__ import annotations

import ssl
from functools import partial
from pathlib import Path

import pytest
import trio
import trustme

from swapd.cli.address import CONNECT_SECONDS, Address, parse
from swapd.errors import CannotReach


@pytest.mark.parametrize(
    ("url", "address", "host_header"),
    [
        ("http://box:8080", Address("http://box:8080", "box", 8080), "box:8080"),
        ("http://box:8080/", Address("http://box:8080", "box", 8080), "box:8080"),
        ("http://box", Address("http://box", "box", 80), "box"),
        ("box:8080", Address("http://box:8080", "box", 8080), "box:8080"),
        ("https://box", Address("https://box", "box", 443, tls=True), "box"),
        ("https://box:8443", Address("https://box:8443", "box", 8443, tls=True), "box:8443"),
        ("http://[::1]:9", Address("http://[::1]:9", "::1", 9), "[::1]:9"),
        ("http://box/ai/", Address("http://box/ai", "box", 80, prefix="/ai"), "box"),
        ("http://me:secret@box", Address("http://box", "box", 80), "box"),
        ("unix:/run/s", Address("unix:/run/s", "localhost", 80, socket="/run/s"), "localhost"),
        ("unix:///run/s", Address("unix:/run/s", "localhost", 80, socket="/run/s"), "localhost"),
    ],
)
def test_an_address_is_read(url: str, address: Address, host_header: str) -> None:
    assert parse(url) == address
    assert parse(url).host_header == host_header


@pytest.mark.parametrize(
    "url",
    ["", "http://", "ftp://box", "http://box:no", "http://box:99999", "http://a b", "http://ö"],
)
def test_what_is_no_address_is_told_with_examples(url: str) -> None:
    with pytest.raises(CannotReach, match="is no address of a swapd: one looks like"):
        parse(url)


async def test_where_nobody_listens_the_reason_is_told(tmp_path: Path) -> None:
    with pytest.raises(CannotReach) as told:
        await parse("http://127.0.0.1:1").open()
    assert str(told.value) == "cannot reach swapd at http://127.0.0.1:1: connection refused"
    with pytest.raises(CannotReach, match="no such file or directory"):
        await parse(f"unix:{tmp_path}/none").open()


async def test_whoever_never_answers_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    class Silent(Address):
        async def _open(self) -> trio.abc.Stream:
            return await trio.sleep_forever()

    with pytest.raises(CannotReach, match="no answer within 10 s"):
        await Silent("http://box", "box", 80).open()
    assert trio.current_time() == pytest.approx(CONNECT_SECONDS)


async def test_a_unix_socket_is_connected_to(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with trio.socket.socket(trio.socket.AF_UNIX) as listener:
        await listener.bind(str(path))
        listener.listen()
        async with await parse(f"unix:{path}").open() as stream:
            connected, _ = await listener.accept()
            await connected.send(b"hello")
            assert await stream.receive_some() == b"hello"
            connected.close()


async def _speak(stream: trio.SocketStream, context: ssl.SSLContext) -> None:
    wrapped = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
    try:
        await wrapped.send_all(b"hello")
        await wrapped.receive_some()
    except trio.BrokenResourceError:
        pass
    await trio.aclose_forcefully(stream)


async def test_tls_is_spoken_with_whom_the_machine_trusts_and_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, partial(_speak, context=context), 0, host="127.0.0.1")
        (listener,) = await nursery.start(serve)
        address = parse(f"https://localhost:{listener.socket.getsockname()[1]}")
        untrusted = r"d at https://\S+: its certificate cannot be trusted: .*; SSL_CERT_FILE can"
        with pytest.raises(CannotReach, match=untrusted):
            await address.open()
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        async with await address.open() as stream:
            assert await stream.receive_some() == b"hello"
        nursery.cancel_scope.cancel()


async def test_where_no_tls_is_spoken_that_is_told() -> None:
    async def answer(stream: trio.SocketStream) -> None:
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, answer, 0, host="127.0.0.1"))
        port = listener.socket.getsockname()[1]
        with pytest.raises(
            CannotReach, match=r"it speaks no TLS there: its URL must begin with http://"
        ):
            await parse(f"https://127.0.0.1:{port}").open()
        nursery.cancel_scope.cancel()


async def test_a_file_of_trusted_signers_that_cannot_be_used_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with pytest.raises(CannotReach, match="which SSL_CERT_FILE names: no such file"):
        await parse("https://127.0.0.1:1").open()
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(CannotReach, match="SSL_CERT_FILE names, holds no certificate"):
        await parse("https://127.0.0.1:1").open()
