"""What swapd writes down and shows, and the limits of its server."""

from __future__ import annotations

from pathlib import Path

import pytest

from swapd.config.load import parse
from swapd.config.observing import LogTo
from tests.config.reading import complaint, read


def test_without_a_word_nothing_private_is_kept() -> None:
    config = read("")
    assert (config.capture_buffer_bytes, config.metrics_max_in_memory, config.store) == (
        0,
        1000,
        None,
    )
    assert (config.performance.disabled, config.performance.every) == (False, 5)
    assert (config.logging.level, config.logging.time_format) == ("info", "")
    assert config.logging.to_stdout is LogTo.PROXY
    assert config.include_aliases_in_list is False
    assert config.session_headers == ("X-Session-ID", "X-Litellm-Session-Id")


def test_without_a_word_the_server_has_its_limits() -> None:
    server = read("").server
    assert (server.max_body, server.allowed_hosts) == (0, ())
    assert (server.header_timeout, server.keep_alive) == (30, 15)
    assert (server.shutdown_grace, server.drain_timeout) == (30, 300)
    assert server.fast_transport
    assert read("").cors.origins == ()


def test_the_server_is_read_whole() -> None:
    config = read(
        """
        server: {maxBody: 1000000, allowedHosts: ['*', ~], headerTimeout: 1.5, keepAlive: 0,
                 drainTimeout: 1, fastTransport: no}
        cors: {origins: [https://app.example]}
        """
    )
    assert (config.server.max_body, config.server.allowed_hosts) == (1_000_000, ("*",))
    assert (config.server.header_timeout, config.server.keep_alive) == (1.5, 0)
    assert not config.server.fast_transport
    assert config.cors.origins == ("https://app.example",)


@pytest.mark.parametrize(
    "host", ["swapd.lan", "Swapd.lan:8080", "192.168.0.2", "'[::1]:80'", "'*'"]
)
def test_a_host_is_a_name_or_an_address(host: str) -> None:
    assert read(f"server: {{allowedHosts: [{host}]}}").server.allowed_hosts == (host.strip("'"),)


@pytest.mark.parametrize(
    "host", ["http://swapd.lan", "swapd.lan/", "'*.lan'", "'::1'", "a b", "''"]
)
def test_anything_else_is_no_host(host: str) -> None:
    assert "must be a host name" in complaint(f"server: {{allowedHosts: [{host}]}}")


@pytest.mark.parametrize(
    "origin",
    ["https://app.example", "http://localhost:3000/", "app://obsidian.md", "'null'", "'*'"],
)
def test_an_origin_has_a_scheme_and_a_host(origin: str) -> None:
    assert read(f"cors: {{origins: [{origin}]}}").cors.origins == (origin.strip("'"),)


@pytest.mark.parametrize(
    "origin",
    ["app.example", "https://", "https://a.example/chat", "'https://*.a'", "'https://u@a'"],
)
def test_anything_else_is_no_origin(origin: str) -> None:
    assert "must be an origin" in complaint(f"cors: {{origins: [{origin}]}}")


@pytest.mark.parametrize(
    ("text", "headers"),
    [
        ("{}", ("X-Session-ID", "X-Litellm-Session-Id")),
        ("{activity: {}}", ("X-Session-ID", "X-Litellm-Session-Id")),
        (
            "{activity: {session_id: [' X-Trace-ID ', '', x-trace-id, X-Session-ID]}}",
            ("X-Trace-ID", "X-Session-ID"),
        ),
        ("{activity: {session_id: []}}", ()),
        ("{activity: {session_id: ~}}", ()),
    ],
)
def test_headers_of_a_session(text: str, headers: tuple[str, ...]) -> None:
    assert read(f"ui: {text}").session_headers == headers


@pytest.mark.parametrize(
    ("every", "seconds"),
    [("30s", 30), ("5000ms", 5), ("1m30s", 90), ("1.5h", 5400), ("5000000us", 5), ("~", 5)],
)
def test_durations_have_a_unit(every: str, seconds: float) -> None:
    assert read(f"performance: {{every: {every}}}").performance.every == seconds


@pytest.mark.parametrize("every", ["30", "4s", "-10s", "1d", "s", "5 s", "[5s]", "''", "4.9s"])
def test_what_is_no_such_duration_is_told_even_when_it_does_not_matter(every: str) -> None:
    text = f"performance: {{disabled: true, every: {every}}}"
    assert complaint(text).startswith("1:38: performance.every: must be ")


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("performance: {every: 0s}", "1:22: performance.every: 0 is too low, 5s is used"),
        ("captureBuffer: -1", "1:16: captureBuffer: -1 is too low, 0 is used"),
        ("metricsMaxInMemory: 0", "1:21: metricsMaxInMemory: is no number of requests, 1000 is"),
        (
            "logLevel: debgu",
            "1:11: logLevel: must be one of debug, info, warn, error, did you mean debug?; info",
        ),
        ("logTimeFormat: iso", "1:16: logTimeFormat: unknown format; no time is written"),
    ],
)
def test_what_is_read_differently_than_written_is_a_warning(text: str, warning: str) -> None:
    (found,) = parse(text, "c").warnings
    assert found.startswith(f"c:{warning}")


@pytest.mark.parametrize(
    ("text", "level", "time_format"),
    [
        ("logLevel: ' WARN '", "warn", ""),
        ("logTimeFormat: RFC3339Nano", "info", "rfc3339nano"),
        ("logLevel: error\nlogTimeFormat: kitchen", "error", "kitchen"),
    ],
)
def test_the_log_is_read_as_people_write_it(text: str, level: str, time_format: str) -> None:
    logging = read(text).logging
    assert (logging.level, logging.time_format) == (level, time_format)


@pytest.mark.parametrize("where", ["proxy", "upstream", "both", "none"])
def test_lines_go_where_they_are_sent(where: str) -> None:
    assert read(f"logToStdout: {where}").logging.to_stdout == where


@pytest.mark.parametrize("where", ["Proxy", "''", "all", "[proxy]", "{}"])
def test_there_is_no_other_place_for_lines(where: str) -> None:
    expected = "logToStdout: must be proxy, upstream, both or none"
    assert complaint(f"logToStdout: {where}").partition(": ")[2].startswith(expected)


def test_the_buffer_of_captures_is_in_mebibytes() -> None:
    assert read("captureBuffer: 5").capture_buffer_bytes == 5 * 1024 * 1024


def test_a_store_is_a_file_that_can_be_written(tmp_path: Path) -> None:
    file = tmp_path / "swapd.db"
    store = read(f"store: {{path: ' {file} ', maxRows: 10, maxDays: 7}}").store
    assert store
    assert (store.path, store.max_rows, store.max_days) == (str(file), 10, 7)
    file.touch()
    assert read(f"store: {{path: {file}}}").store


@pytest.mark.parametrize(
    ("store", "message"),
    [
        ("{}", "1:1: store: a store needs a path, the file to write"),
        ("{path: ' '}", "1:15: store.path: a store needs a path, the file to write"),
        ("{path: FOLDER}", "1:15: store.path: is a directory, not a file"),
        ("{path: FOLDER/no/such/x.db}", "1:15: store.path: the directory "),
        ("{path: FILE/x.db}", "1:15: store.path: the directory "),
        (f"{{path: FOLDER/{'x' * 300}}}", "1:15: store.path: cannot be written: File name too"),
        (f"{{path: FOLDER/{'x' * 300}/y}}", "1:15: store.path: cannot be written: File name too"),
        ("{path: LOOP}", "1:15: store.path: cannot be written: "),
        ('{path: "a\\0"}', "1:15: store.path: must not contain a NUL character"),
        ("{path: x, maxRows: -1}", "1:27: store.maxRows: must be at least 0"),
    ],
)
def test_what_is_no_store_is_told(tmp_path: Path, store: str, message: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for word, file in (("FOLDER", ""), ("FILE", "file"), ("LOOP", "loop")):
        store = store.replace(word, str(tmp_path / file))
    text = f"store: {store}"
    assert complaint(text).startswith(message)


@pytest.mark.parametrize("keys", ["", "\n  # - secret", " ~", " ${env.EMPTY}"])
def test_a_list_of_keys_that_says_nothing_is_no_open_door(keys: str) -> None:
    told = complaint(f"apiKeys:{keys}", {"EMPTY": ""})
    assert told.endswith("apiKeys: holds no key; write apiKeys: [] to let all enter")


def test_an_empty_list_of_keys_lets_all_enter() -> None:
    config = parse("apiKeys: []", "c")
    assert (config.api_keys, config.warnings) == ((), ())
