"""Where a whole swapd listens: TLS, a Unix socket, and what it says of them."""

from __future__ import annotations

import os
import signal
import ssl
import stat
import subprocess
from functools import partial
from pathlib import Path

import pytest
import trio
import trustme

from swapd.testing.running import COMMAND, configuration, fake, run_swapd

pytestmark = pytest.mark.real_process

CONFIG = configuration({"alpha": fake("alpha")})
CHAT = b'{"model": "alpha", "messages": [{"role": "user", "content": "hi"}]}'


def request(body: bytes = CHAT) -> bytes:
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
    return head + b"content-length: %d\r\n\r\n" % len(body) + body


async def answer_on(stream: trio.abc.Stream) -> bytes:
    async with stream:
        await stream.send_all(request())
        return b"".join([bytes(piece) async for piece in stream])


def write_certificate(authority: trustme.CA, folder: Path) -> None:
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")


async def test_a_model_answers_over_tls_and_a_sighup_renews_the_certificate(
    tmp_path: Path,
) -> None:
    old, new = trustme.CA(), trustme.CA()
    write_certificate(old, tmp_path)
    options = [
        f"--tls-cert-file={tmp_path / 'cert.pem'}",
        f"--tls-key-file={tmp_path / 'key.pem'}",
    ]
    with trio.fail_after(120):
        async with run_swapd(tmp_path, CONFIG, *options) as swapd:
            assert swapd.url.startswith("https://127.0.0.1:")
            assert b"200" in (await ask_by_tls(swapd.port, old))[:12]
            write_certificate(new, tmp_path)
            swapd.process.send_signal(signal.SIGHUP)
            await swapd.until_said("is shown from now on")
            assert b"200" in (await ask_by_tls(swapd.port, new))[:12]
            (tmp_path / "key.pem").write_text("no key")
            swapd.process.send_signal(signal.SIGHUP)
            said = await swapd.until_said("the old certificate is still shown")
            assert "there is no private key in it" in said
            assert b"200" in (await ask_by_tls(swapd.port, new))[:12]


async def ask_by_tls(port: int, authority: trustme.CA) -> bytes:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    open_stream = partial(trio.open_ssl_over_tcp_stream, ssl_context=context)
    return await answer_on(await open_stream("127.0.0.1", port))


@pytest.mark.parametrize(
    ("given", "missing"),
    [("--tls-cert-file", "--tls-key-file"), ("--tls-key-file", "--tls-cert-file")],
)
def test_half_of_a_certificate_is_told_before_anything_starts(
    tmp_path: Path, given: str, missing: str
) -> None:
    (tmp_path / "c.yaml").write_text(CONFIG)
    ended = subprocess.run(
        [*COMMAND, "serve", f"--config={tmp_path}/c.yaml", "--listen=127.0.0.1:0", given, "x"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == f"{given} needs {missing} beside it\n"


async def test_a_unix_socket_serves_its_user_and_no_second_swapd_takes_it(tmp_path: Path) -> None:
    place = f"{tmp_path}/s"
    with trio.fail_after(120):
        async with run_swapd(tmp_path, CONFIG, f"--listen=unix:{place}") as swapd:
            assert swapd.url == f"unix:{place}"
            assert stat.S_IMODE(os.stat(place).st_mode) == 0o600
            assert b"200" in (await answer_on(await trio.open_unix_socket(place)))[:12]
            second = await trio.run_process(
                [*COMMAND, "serve", f"--config={tmp_path}/config.yaml", f"--listen=unix:{place}"],
                capture_stderr=True,
                check=False,
            )
            assert second.returncode == 1
            assert b"is already in use" in second.stderr
            assert b"200" in (await answer_on(await trio.open_unix_socket(place)))[:12]
            swapd.process.terminate()
            await swapd.process.wait()
            assert "s" not in os.listdir(tmp_path)


async def test_the_unix_socket_of_a_swapd_that_was_killed_is_replaced(tmp_path: Path) -> None:
    place = f"{tmp_path}/s"
    with trio.fail_after(120):
        async with run_swapd(tmp_path, CONFIG, f"--listen=unix:{place}") as swapd:
            swapd.process.kill()
            await swapd.process.wait()
            assert "s" in os.listdir(tmp_path)
        async with run_swapd(tmp_path, CONFIG, f"--listen=unix:{place}"):
            assert b"200" in (await answer_on(await trio.open_unix_socket(place)))[:12]
