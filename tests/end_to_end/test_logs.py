"""The log of a real swapd: what it says, where, and what it never says."""

from __future__ import annotations

import json
import subprocess
from functools import partial
from pathlib import Path

import pytest
import trio

from swapd.testing.running import COMMAND, Answer, Running, configuration, fake, run_swapd
from tests.web.raw import receive_until

pytestmark = pytest.mark.real_process

KEY = "canary-key-5e1f"
PROMPT = "canary prompt about a heart"


async def ask(swapd: Running, path: str, body: object = None, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await swapd.ask("GET" if body is None else "POST", path, body, named)


async def put_everywhere(swapd: Running) -> None:
    """Send the key in every place where somebody has put one, and prompts in all that has some."""
    chat = {"model": "m", "messages": [{"role": "user", "content": PROMPT}]}
    for key in ({"authorization": f"Bearer {KEY}"}, {"x_api_key": KEY}):
        answer = await ask(swapd, "/v1/chat/completions", chat, **key)
        assert answer.status == 200
        await ask(swapd, "/v1/messages", {**chat, "stream": True}, **key)
        await ask(swapd, "/v1/nowhere", chat, **key)
        await ask(swapd, "/v1/chat/completions", {**chat, "model": "unknown"}, **key)
        await ask(swapd, "/v1/chat/completions", b'{"prompt": "' + PROMPT.encode(), **key)
        await ask(swapd, "/v1/chat/completions", PROMPT.encode(), **key)
        await ask(swapd, "/upstream/m/completion", chat, **key)
        await ask(swapd, "/infill", {"model": "bad", "prompt": PROMPT}, **key)
    words = {"user_agent": KEY, "x_request_id": KEY, "cookie": KEY, "x_forwarded_for": KEY}
    for path in (f"/v1/models?key={KEY}", f"/v1/{KEY}", f"/upstream/{KEY}/x?api_key={KEY}"):
        await ask(swapd, path, authorization=f"Bearer {KEY}", **words)
        await ask(swapd, path, None, **words)


async def test_no_key_and_no_prompt_is_ever_logged(tmp_path: Path) -> None:
    models = {"m": fake("m"), "bad": "sh -c 'exit 3' ${PORT}"}
    config = configuration(models, logLevel="debug", apiKeys=[KEY])
    async with run_swapd(tmp_path, config) as swapd:
        await put_everywhere(swapd)
        kept = await ask(swapd, "/logs", authorization=f"Bearer {KEY}")
        swapd.process.terminate()
        await swapd.until_said("shutdown complete")
    said = "\n".join(swapd.lines) + kept.body.decode()
    assert said.count("POST /v1/chat/completions") >= 16, "else nothing is shown"
    assert "canary" not in said


async def test_the_last_words_of_a_server_tell_no_key(tmp_path: Path) -> None:
    models = {"bad": f"sh -c 'echo no such option: {KEY}; exit 3' ${{PORT}}"}
    async with run_swapd(tmp_path, configuration(models, apiKeys=[KEY, "other-key"])) as swapd:
        key = {"x_api_key": "other-key"}
        refused = await ask(swapd, "/v1/chat/completions", {"model": "bad"}, **key)
        assert refused.error.endswith("its last words:\nno such option: ***")
        printed = await ask(swapd, "/logs/stream/bad?no-follow", **key)
        assert printed.body.decode() == f"no such option: {KEY}\n"


async def test_for_programs_every_line_is_an_object(tmp_path: Path) -> None:
    config = configuration({"m": fake("m")})
    async with run_swapd(tmp_path, config, "--log-format", "json") as swapd:
        assert (await swapd.chat("m")).status == 200
        await ask(swapd, "/nowhere", x_request_id="mine")
        swapd.process.terminate()
        await swapd.until_said("shutdown complete")
    lines = [json.loads(line) for line in swapd.lines if line.startswith("{")]
    assert len(lines) >= len(swapd.lines) - 1  # the last one is not swapd's
    ready = next(line for line in lines if line.get("new") == "ready")
    assert (ready["model"], ready["reason"], ready["level"]) == ("m", "request", "info")
    (chat, nowhere) = (line for line in lines if line["event"] == "request")
    assert (chat["status"], chat["path"], chat.get("error")) == (200, "/v1/chat/completions", None)
    assert (nowhere["status"], nowhere["request_id"], nowhere["error"]) == (
        404,
        "mine",
        "not found",
    )


async def test_a_reload_changes_how_lines_say_the_time(tmp_path: Path) -> None:
    async with run_swapd(tmp_path, configuration({"m": fake("m")}), "--watch-config") as swapd:
        assert await swapd.until_said("swapd listens on")
        changed = configuration({"m": fake("m")}, logTimeFormat="rfc3339")
        (tmp_path / "config.yaml").write_text(changed)
        line = await swapd.until_said("configuration reloaded")
        assert line.startswith("20")


async def test_what_models_print_goes_where_it_is_wanted_and_can_be_read_anyway(
    tmp_path: Path,
) -> None:
    config = configuration({"m": fake("m")}, logToStdout="upstream")
    async with run_swapd(tmp_path, config) as swapd:
        assert (await swapd.chat("m")).status == 200
        await swapd.until_said("POST /v1/chat/completions")
        own = await ask(swapd, "/logs/stream/proxy?no-follow")
    assert b"m: starting -> ready" in own.body
    assert not any("->" in line for line in swapd.lines)


async def test_the_command_shows_a_log_and_follows_it_to_the_end(tmp_path: Path) -> None:
    async with run_swapd(tmp_path, configuration({"m": fake("m")})) as swapd:
        assert (await swapd.chat("m")).status == 200
        command = [*COMMAND, "logs", "--url", swapd.url]
        run = partial(trio.run_process, capture_stdout=True, capture_stderr=True, check=False)
        shown = await run([*command, "m", "--json"])
        lines = [json.loads(line)["line"] for line in shown.stdout.splitlines()]
        assert "POST /v1/chat/completions" in lines
        refused = await run([*command, "other"])
        assert refused.returncode == 1
        assert b"model not found: 'other'" in refused.stderr
        async with trio.open_nursery() as nursery:
            following: trio.Process = await nursery.start(
                partial(
                    trio.run_process, [*command, "proxy", "-f"], stdout=subprocess.PIPE, check=False
                )
            )
            assert following.stdout is not None
            await receive_until(following.stdout, b"m: starting -> ready")
            swapd.process.terminate()
        assert following.returncode == 0


async def test_who_follows_a_model_goes_on_through_its_lives(tmp_path: Path) -> None:
    async with run_swapd(tmp_path, configuration({"m": fake("m")})) as swapd:
        command = [*COMMAND, "logs", "m", "-f", "--url", swapd.url]
        async with trio.open_nursery() as nursery:
            following: trio.Process = await nursery.start(
                partial(trio.run_process, command, stdout=subprocess.PIPE, check=False)
            )
            assert following.stdout is not None
            for _ in range(2):
                assert (await swapd.chat("m")).status == 200
                await receive_until(following.stdout, b"POST /v1/chat/completions")
                assert (await ask(swapd, "/api/models/unload/m", b"")).status == 200
                await receive_until(following.stdout, b"SIGTERM")
            swapd.process.terminate()
        assert following.returncode == 0


async def test_a_reader_of_standard_output_that_stops_stops_nothing(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(configuration({"m": fake("m")}))
    argv = [*COMMAND, "serve", "--config", str(path), "--listen", f"unix:{tmp_path}/s"]
    async with trio.open_nursery() as nursery:
        process: trio.Process = await nursery.start(
            partial(trio.run_process, argv, stdout=subprocess.PIPE, check=False)
        )
        assert process.stdout is not None
        await receive_until(process.stdout, b"swapd listens on")
        asked = b"GET /" + b"x" * 500 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n"
        async with await trio.open_unix_socket(tmp_path / "s") as client:
            for _ in range(300):  # more than twice what the pipe holds
                await client.send_all(asked)
                assert b"404" in await receive_until(client, b"}}")
        process.terminate()
        with trio.fail_after(60):
            await process.wait()
        assert process.returncode == 0
