"""The log as `swapd logs` reads and prints it."""

from __future__ import annotations

import io
import json
import sys

import pytest
from click.testing import CliRunner

from swapd.cli import main
from swapd.cli.logs import _AsItIs, _JsonLines, _OnTerminal
from swapd.errors import CannotReach, Refused
from swapd.ids import ModelId
from tests.cli.test_client import client_of
from tests.web.floor import floor


async def test_pieces_are_heard_as_they_come_until_the_log_is_closed() -> None:
    heard: list[bytes] = []
    async with floor() as web:
        log = web.services.logs.of(ModelId("m"))
        log.write(b"old\n")

        def hear(piece: bytes) -> None:
            heard.append(piece)
            if len(heard) == 1:
                log.write(b"new\n")
            else:
                log.close()

        await client_of(web).read("/logs/stream/alias", hear)
    assert heard == [b"old\n", b"new\n"]


async def test_a_log_that_is_not_there_is_refused_in_swapds_own_words() -> None:
    async with floor() as web:
        with pytest.raises(Refused, match="invalid logger: model not found: 'x'"):
            await client_of(web).read("/logs/stream/x", print)


async def test_a_connection_that_breaks_is_no_end() -> None:
    async with floor() as web:
        web.services.logs.say(b"line\n")

        def cut(piece: bytes) -> None:
            web.served.closing.set()
            web.served.hurry.set()

        with pytest.raises(CannotReach, match="the connection broke"):
            await client_of(web).read("/logs/stream", cut)


def test_lines_are_printed_as_objects_however_they_come() -> None:
    printed: list[str] = []
    lines = _JsonLines("m", printed.append)
    for piece in (b"one\r\ntw", b"o\n\xffthree", b""):
        lines.take(piece)
    lines.finish()
    assert [json.loads(line) for line in printed] == [
        {"log": "m", "line": "one"},
        {"log": "m", "line": "two"},
        {"log": "m", "line": "\ufffdthree"},
    ]


def test_a_line_without_end_is_printed_in_parts() -> None:
    printed: list[str] = []
    lines = _JsonLines("m", printed.append)
    for _ in range(300):
        lines.take(1000 * b"%")
    assert len(printed) == 4
    lines.finish()
    assert "".join(json.loads(line)["line"] for line in printed) == 300_000 * "%"


def test_a_key_that_no_request_can_bring_is_told() -> None:
    done = CliRunner().invoke(main, ["logs", "--api-key", "a\nb"])
    assert done.exit_code == 1
    assert done.stderr.startswith("the key of --api-key or SWAPD_API_KEY has a character")


def test_where_no_swapd_is_that_is_told() -> None:
    done = CliRunner().invoke(main, ["logs", "m", "--url", "http://127.0.0.1:1"])
    assert done.exit_code == 1
    assert "cannot reach swapd at http://127.0.0.1:1" in done.stderr


def test_a_terminal_is_told_nothing_that_it_would_obey(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written))
    for printer in (_OnTerminal(), _AsItIs()):
        printer.take(b"\x1b]0;title\x07 \x1b[")
        printer.take(b"31mred\n\x1b")
        printer.finish()
    as_it_is = b"\x1b]0;title\x07 \x1b[31mred\n\x1b"
    pictured = "\u241b]0;title\u2407 \x1b[31mred\n\u241b".encode()
    assert written.getvalue() == pictured + as_it_is
