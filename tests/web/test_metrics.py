"""What Prometheus scrapes."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
import trio

from swapd.ids import Generation, ModelId
from swapd.policy.life import ModelState, Reason, Transition
from swapd.telemetry.host.figures import Gpu, Interface, Sample, System
from swapd.views import ModelView
from swapd.web.upstream_metrics import MOST_BYTES
from tests.telemetry.metrics.scraped import Scraped, finished
from tests.upstream.scripted import Connection
from tests.upstream.scripted import serving as scripted
from tests.web.floor import Floor, chat, configured, floor, get

SYSTEM = System(
    *((12.5, 100.0), 64 * 2**30, 2**30, 3 * 2**30, 4096, 1024, (1.0, 0.5, 0.25)),
    (Interface("eth0", 123, 456),),
)
CARD = Gpu(0, 'RTX "4090"', "GPU-1", 41, None, 97, 6 * 2**30, 24 * 2**30, None, 320.5)
NOW = datetime(2026, 1, 1, tzinfo=UTC)

LLAMA = b"# TYPE llamacpp:prompt_tokens_total counter\nllamacpp:prompt_tokens_total 27\n"


def become(web: Floor, state: ModelState, model: str = "m") -> None:
    """Have the model of the floor be in ``state``."""
    old = ModelState.STARTING if state is ModelState.READY else ModelState.READY
    change = Transition(ModelId(model), old, state, Reason.REQUEST, Generation(1))
    web.lifecycle.publish(change)


async def scrape(web: Floor, path: str = "/metrics") -> Scraped:
    reply = await web.ask(get(path))
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Scraped(reply.body)


async def test_each_model_tells_its_state_its_queue_and_its_backoff() -> None:
    async with floor() as web:
        become(web, ModelState.READY)
        web.models.seen = ModelView(ModelId("m"), in_flight=2, waiting=3, backoff=1.5)
        found = await scrape(web)
    states = {
        state: found.value("swapd_model_state", model="m", state=state) for state in ModelState
    }
    assert states == {"stopped": 0, "starting": 0, "ready": 1, "stopping": 0}
    assert found.value("swapd_model_requests_in_flight", model="m") == 2
    assert found.value("swapd_model_queue_length", model="m") == 3
    assert found.value("swapd_model_backoff_seconds", model="m") == 1.5
    assert found.labels("swapd_build_info")[0]["version"]
    assert found.types["swapd_model_state"] == "gauge"


async def test_models_of_peers_tell_what_is_under_way_and_have_no_state() -> None:
    peers = {"far": {"proxy": "http://127.0.0.1:1", "models": ["x"]}}
    async with floor(peers=peers) as web:
        with web.services.requests.track("far/x", method="POST", path="/", client=None):
            found = await scrape(web)
    assert found.value("swapd_model_requests_in_flight", model="far/x") == 1
    assert {labels["model"] for labels in found.labels("swapd_model_state")} == {"m"}


async def test_what_was_counted_is_shown() -> None:
    async with floor(peers={"far": {"proxy": "http://127.0.0.1:1", "models": ["x"]}}) as web:
        for model in ("m", "far/x", "unknown"):
            web.services.accounts.observe(finished(model))
        found = await scrape(web)
    assert {labels["model"] for labels in found.labels("swapd_requests_total")} == {"m", "far/x"}
    assert found.value("swapd_unnamed_requests_total") == 1


async def test_a_thousand_unknown_names_leave_no_labels() -> None:
    async with floor() as web:
        before = len((await scrape(web)).series)
        for number in range(1000):
            web.services.accounts.observe(finished(f"name{number}", status=404))
        reply = await web.ask(chat(b'{"model": "nobody"}'))
        assert reply.status == 404
        assert len((await scrape(web)).series) == before


async def test_the_machine_is_told_under_the_names_of_llama_swap() -> None:
    async with floor() as web:
        web.services.monitor.history.add(Sample(NOW, SYSTEM, (CARD,)))
        found = await scrape(web)
    gpu = {"id": "0", "name": 'RTX "4090"', "uuid": "GPU-1"}
    expected: dict[tuple[str, frozenset[tuple[str, str]]], float] = {
        (name, frozenset(labels.items())): value
        for name, labels, value in (
            ("llamaswap_cpu_util_percent", {"core": "0"}, 12.5),
            ("llamaswap_cpu_util_percent", {"core": "1"}, 100),
            ("llamaswap_memory_total_bytes", {}, 64 * 2**30),
            ("llamaswap_memory_used_bytes", {}, 2**30),
            ("llamaswap_memory_free_bytes", {}, 3 * 2**30),
            ("llamaswap_swap_total_bytes", {}, 4096),
            ("llamaswap_swap_used_bytes", {}, 1024),
            ("llamaswap_load_average", {"interval": "1m"}, 1),
            ("llamaswap_load_average", {"interval": "5m"}, 0.5),
            ("llamaswap_load_average", {"interval": "15m"}, 0.25),
            ("llamaswap_network_bytes_total", {"interface": "eth0", "direction": "recv"}, 123),
            ("llamaswap_network_bytes_total", {"interface": "eth0", "direction": "sent"}, 456),
            ("llamaswap_gpu_temperature_celsius", gpu, 41),
            ("llamaswap_gpu_util_percent", gpu, 97),
            ("llamaswap_gpu_memory_util_percent", gpu, 25),
            ("llamaswap_gpu_memory_used_bytes", gpu, 6 * 2**30),
            ("llamaswap_gpu_memory_total_bytes", gpu, 24 * 2**30),
            ("llamaswap_gpu_power_draw_watts", gpu, 320.5),
        )
    }
    assert {key: at for key, at in found.series.items() if "llamaswap" in key[0]} == expected
    assert found.types["llamaswap_network_bytes"] == "counter"


async def test_a_card_without_a_uuid_has_no_such_label() -> None:
    async with floor() as web:
        web.services.monitor.history.add(Sample(NOW, None, (Gpu(0, "x", watts=5.0),)))
        found = await scrape(web)
    assert found.value("llamaswap_gpu_power_draw_watts", id="0", name="x") == 5
    assert "llamaswap_memory_total_bytes" not in found.text


async def test_without_measurements_the_models_are_told_all_the_same() -> None:
    async with floor(performance={"disabled": True}) as web:
        found = await scrape(web)
    assert "llamaswap_" not in found.text
    assert found.value("swapd_model_state", model="m", state="stopped") == 1


@pytest.mark.parametrize("path", ["/metrics", "/metrics/upstream"])
async def test_a_key_is_asked_for(path: str) -> None:
    async with floor(apiKeys=["sesame"]) as web:
        assert (await web.ask(get(path))).status == 401
        bearer = get(path, head=b"authorization: Bearer sesame\r\n")
        assert (await web.ask(bearer)).status == 200


# -- the metrics of the models' servers ------------------------------------------------------


def ok(body: bytes, *, head: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n%s\r\n%s" % (len(body), head, body)


async def test_what_a_ready_models_server_shows_is_passed_on_with_its_name() -> None:
    async with floor() as web:
        web.upstream.then(web.upstream.answer(ok(LLAMA)))
        become(web, ModelState.READY)
        found = await scrape(web, "/metrics/upstream")
        assert web.models.leases == 0
        (asked,) = web.upstream.requests
    assert found.value("llamacpp:prompt_tokens_total", model="m") == 27
    assert found.value("swapd_upstream_up", model="m") == 1
    assert asked.startswith(b"GET /metrics HTTP/1.1\r\n")
    assert b"accept: text/plain;version=0.0.4\r\n" in asked


@pytest.mark.parametrize("state", [s for s in ModelState if s is not ModelState.READY])
async def test_no_other_model_is_asked_or_started(state: ModelState) -> None:
    async with floor() as web:
        become(web, state)
        found = await scrape(web, "/metrics/upstream")
        assert (web.upstream.connections, web.models.leases) == (0, 0)
    assert found.labels("swapd_upstream_up") == []


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (
            b"HTTP/1.1 501 Not Implemented\r\ncontent-length: 0\r\n\r\n",
            "# m: its server answers /metrics with status 501 (llama-server needs --metrics)\n",
        ),
        (
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            "# m: its server answers /metrics with status 404\n",
        ),
        (b"garbage\r\n\r\n", "# m: the server sent an invalid response: "),
        (b"", "# m: the server closed the connection before it answered\n"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx 1\n",
            "# m: the connection broke after 4 bytes of the answer\n",
        ),
        (
            ok(b"\x1f\x8b", head=b"content-encoding: gzip\r\n"),
            "# m: its server compresses its metrics, which it was not asked to do\n",
        ),
        (
            ok(b"x 1\n" * (MOST_BYTES // 4 + 1)),
            f"# m: its server shows more than {MOST_BYTES} bytes\n",
        ),
    ],
)
async def test_a_server_that_shows_nothing_is_down_and_a_comment_says_why(
    answer: bytes, why: str
) -> None:
    async with floor() as web:

        async def script(connection: Connection) -> None:
            await connection.request()
            with suppress(trio.BrokenResourceError):  # it was too much
                await connection.send(answer)

        web.upstream.then(script)
        become(web, ModelState.READY)
        found = await scrape(web, "/metrics/upstream")
    assert found.value("swapd_upstream_up", model="m") == 0
    assert found.text.startswith(why)
    assert len(found.series) == 1


async def test_a_page_in_the_place_of_metrics_is_left_out() -> None:
    async with floor() as web:
        web.upstream.then(web.upstream.answer(ok(b"<html>\n<p>Hi</p>\n")))
        become(web, ModelState.READY)
        found = await scrape(web, "/metrics/upstream")
    assert found.text.startswith("# m: left out 2 lines")
    assert len(found.series) == 1


async def test_one_that_hangs_does_not_take_the_others_along() -> None:
    others = {"cmd": "serve ${PORT}"}
    hanging, stalling = trio.Event(), trio.Event()
    async with floor() as web:

        async def answers(connection: Connection) -> None:
            await connection.request()
            await hanging.wait()  # all are asked at once: it is the first one
            await stalling.wait()
            await connection.send(ok(LLAMA))

        async def hangs(connection: Connection) -> None:
            hanging.set()
            await connection.left()

        async def stalls(connection: Connection) -> None:
            await connection.request()
            stalling.set()
            await connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nx 1\n")
            await connection.left()

        async with scripted(answers) as quick, scripted(hangs) as slow, scripted(stalls) as half:
            servers = {"quick": quick, "slow": slow, "half": half}
            more = {name: {**others, "proxy": at.url} for name, at in servers.items()}
            web.services.reconfigure(configured({}, web.upstream.url, models=more))
            for name in more:
                become(web, ModelState.READY, name)
            found = await scrape(web, "/metrics/upstream")
    up = {name: found.value("swapd_upstream_up", model=name) for name in more}
    assert up == {"quick": 1, "slow": 0, "half": 0}
    assert "# slow: does not answer within 2 s\n" in found.text
    assert "# half: does not answer within 2 s\n" in found.text
    assert found.value("llamacpp:prompt_tokens_total", model="quick") == 27
