"""The demo prepares what it serves, and what it tells people to paste works."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from swapd.testing import demo, demo_server, fake_server
from swapd.testing.announcement import Address
from tests.testing.conftest import PATIENCE

ROOT = Path(__file__).parents[2]
LOCAL = Address("127.0.0.1", 8080)


def commands() -> dict[str, list[str]]:
    """Return what configs/demo.yaml runs, with the macros filled in."""
    models = yaml.safe_load((ROOT / "configs" / "demo.yaml").read_text())["models"]
    return {
        name: shlex.split(model["cmd"].replace("${PORT}", "5800").replace("${MODEL_ID}", name))
        for name, model in models.items()
    }


def test_the_stand_in_understands_every_command_of_the_demo() -> None:
    for name, (server, *options) in commands().items():
        assert server == ".demo/llama-server"
        parsed = fake_server.parse(options)
        assert (parsed.model, parsed.host, parsed.port) == (name, "127.0.0.1", 5800)


def test_a_chat_model_is_first_in_the_list_of_models() -> None:
    assert min(commands()) in demo.SENTENCES


def test_the_demo_writes_every_file_that_its_configuration_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reason := demo_server.why_not_here():
        pytest.skip(reason)
    (tmp_path / "configs").mkdir()
    (tmp_path / demo.CONFIG).write_text("")
    monkeypatch.chdir(tmp_path)
    assert demo.prepare_demo() == demo.CONFIG
    for server, *options in commands().values():
        assert (tmp_path / server).stat().st_mode & 0o100
        assert (tmp_path / options[options.index("-m") + 1]).stat().st_size
    first = (tmp_path / ".demo/alpha.gguf").stat().st_mtime_ns
    demo.prepare_demo()
    assert (tmp_path / ".demo/alpha.gguf").stat().st_mtime_ns == first


def test_outside_the_projects_root_the_demo_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert demo.main(["--listen", "127.0.0.1:0"]) == 1
    assert "root folder" in capsys.readouterr().err


def test_a_taken_address_is_named_before_anything_is_prepared(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert demo.main(["--listen", "192.0.2.1:8080"]) == 1
    assert capsys.readouterr().err.startswith("cannot listen on 192.0.2.1:8080 (")


@pytest.mark.parametrize("listen", ["8080", "localhost", "127.0.0.1:http", "127.0.0.1:99999"])
def test_an_address_that_is_none_is_a_usage_error(
    listen: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        demo.parse(["--listen", listen])
    assert ended.value.code == 2
    assert "is not HOST:PORT" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("0.0.0.0:80", "http://127.0.0.1:80"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("[::]:8080", "http://[::1]:8080"),
        (":8080", "http://127.0.0.1:8080"),
    ],
)
def test_a_client_is_told_an_address_that_it_can_reach(listen: str, url: str) -> None:
    assert Address.parse(listen).url == url
    assert str(Address.parse(listen)) == listen


def test_the_curl_line_is_one_line_that_a_shell_takes_apart_rightly() -> None:
    line = demo.curl_line(LOCAL, "it's a model", stream=True)
    assert "\n" not in line
    curl, _, url, _, header, _, body = shlex.split(line)
    assert (curl, url) == ("curl", "http://127.0.0.1:8080/v1/chat/completions")
    assert header == "Content-Type: application/json"
    assert (json.loads(body)["model"], json.loads(body)["stream"]) == ("it's a model", True)


def test_the_invitation_has_a_line_for_each_model_and_one_that_streams() -> None:
    text = demo.invitation(LOCAL, ["alpha", "beta"], "Ask:")
    lines = [line for line in text.splitlines() if line.startswith("curl")]
    assert ['"alpha"' in line for line in lines] == [True, False, True]
    assert lines[2].startswith("curl -N ")


ANNOUNCE = """
import os, sys
from swapd.testing.announcement import Address, announce_when_ready
announce_when_ready(Address("127.0.0.1", int(sys.argv[1])), "it is up\\n")
os.execv(sys.executable, [sys.executable, "-m", "swapd.testing.fake_server", *sys.argv[2:]])
"""


def announce(port: int, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", ANNOUNCE, str(port), "--health-path", "/ready", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.real_process
def test_the_announcement_comes_once_the_server_is_ready() -> None:
    port = demo_server.free_port()
    with announce(port, "--port", str(port), "--warm", "0.2") as process:
        assert process.stdout is not None
        assert [next(process.stdout)[:12], next(process.stdout)] == ["listening on", "it is up\n"]
        process.terminate()


@pytest.mark.real_process
def test_nothing_is_announced_when_the_server_ends_before_it_is_ready() -> None:
    with announce(demo_server.free_port(), "--exit-after", "0") as process:
        # The output ends only when the one who would announce is gone as well.
        assert "it is up" not in process.communicate(timeout=PATIENCE)[0]
