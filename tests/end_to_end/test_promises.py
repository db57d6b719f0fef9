"""What swapd promises of loads, swaps and unloads, on real processes and the real clock."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
import trio

from swapd.testing.running import Answer, Running, configuration, fake, run_swapd

pytestmark = pytest.mark.real_process

#: Seconds that no step of these tests takes on a machine that works.
LONG = 60

#: The command of a model that never comes up.
BROKEN = "sh -c 'echo no room on port ${PORT}; sleep 0.5; exit 3'"


async def changes(swapd: Running, count: int) -> list[tuple[str, str, str]]:
    """Return the first ``count`` transitions: model, new state, reason."""
    heard: list[dict[str, str]] = []
    async with swapd.lifecycle("?since=0") as websocket:
        with trio.fail_after(LONG):
            while len(heard) < count:
                heard.append(json.loads(await websocket.get_message()))
    return [(change["model"], change["new"], change["reason"]) for change in heard]


async def until_state(swapd: Running, model: str, state: str | None) -> None:
    """Wait until ``model`` is in ``state``; None is stopped."""
    with trio.fail_after(LONG):
        while (await swapd.states()).get(model) != state:  # noqa: ASYNC110  in another process
            await trio.sleep(0.02)


async def until_waiting(swapd: Running, count: int) -> None:
    """Wait until ``count`` requests are in the queue."""
    with trio.fail_after(LONG):
        while len((await swapd.snapshot())["queue"]) != count:  # noqa: ASYNC110  in another process
            await trio.sleep(0.02)


def status_of(answers: list[Answer]) -> Counter[int]:
    return Counter(answer.status for answer in answers)


async def test_a_model_that_nobody_used_idles_for_its_whole_ttl(tmp_path: Path) -> None:
    models = {"alpha": {"cmd": fake("alpha"), "ttl": 2}}
    async with run_swapd(tmp_path, configuration(models)) as swapd:
        await swapd.ask("POST", "/api/models/load/alpha?wait=1")
        ready = trio.current_time()
        await until_state(swapd, "alpha", None)
        assert trio.current_time() - ready > 1.9


async def test_a_request_is_never_cut_by_the_ttl_of_its_model(tmp_path: Path) -> None:
    slow = json.dumps({"delay": 2.5})
    models = {"alpha": {"cmd": fake("alpha", "--load", "1", "--fake", slow), "ttl": 1}}
    async with run_swapd(tmp_path, configuration(models)) as swapd:
        with trio.fail_after(LONG):
            assert (await swapd.chat("alpha")).status == 200
        await until_state(swapd, "alpha", None)
        assert [change[2] for change in await changes(swapd, 4)] == ["request"] * 2 + ["ttl"] * 2


async def test_an_unload_during_a_swap_is_final(tmp_path: Path) -> None:
    models = {"alpha": fake("alpha", "--sigterm-delay", "1"), "beta": fake("beta")}
    async with run_swapd(tmp_path, configuration(models)) as swapd:
        await swapd.chat("alpha")
        answers: list[Answer] = []

        async def ask() -> None:
            answers.append(await swapd.chat("beta"))

        with trio.fail_after(LONG):
            async with trio.open_nursery() as clients:
                clients.start_soon(ask)
                await until_state(swapd, "alpha", "stopping")
                assert (await swapd.ask("POST", "/api/models/unload/beta")).status == 200
            await until_state(swapd, "alpha", None)
            assert answers[0].status == 503
            assert "beta was unloaded" in answers[0].error
            assert await swapd.states() == {}
            assert (await swapd.chat("beta")).status == 200
        starts = [model for model, state, _ in await changes(swapd, 6) if state == "starting"]
        assert starts == ["alpha", "beta"]


async def test_a_slow_unload_delays_nobody_else(tmp_path: Path) -> None:
    models = {"alpha": fake("alpha", "--sigterm-delay", "2"), "beta": fake("beta")}
    together = {"all": {"swap": False, "exclusive": False, "members": ["alpha", "beta"]}}
    async with run_swapd(tmp_path, configuration(models, groups=together)) as swapd:
        await swapd.chat("alpha")
        await swapd.chat("beta")
        unloaded = trio.Event()

        async def unload() -> None:
            await swapd.ask("POST", "/api/models/unload/alpha")
            unloaded.set()

        served = 0
        with trio.fail_after(LONG):
            async with trio.open_nursery() as owner:
                owner.start_soon(unload)
                while not unloaded.is_set():
                    assert (await swapd.chat("beta")).status == 200
                    served += 1
        assert served > 20  # one request waiting for the unload would have made it one or two


async def test_endless_traffic_makes_way_for_who_has_waited_long_enough(tmp_path: Path) -> None:
    brief = json.dumps({"delay": 0.2})
    models = {"hot": fake("hot", "--fake", brief), "cold": fake("cold")}
    routing = {"scheduler": {"settings": {"fifo": {"maxWait": 1}}}}
    async with run_swapd(tmp_path, configuration(models, routing=routing)) as swapd:
        await swapd.chat("hot")
        served = trio.Event()
        answers: list[Answer] = []

        async def keep_asking() -> None:
            while not served.is_set():
                answers.append(await swapd.chat("hot"))

        with trio.fail_after(LONG):
            async with trio.open_nursery() as clients:
                for _ in range(3):
                    clients.start_soon(keep_asking)
                assert (await swapd.chat("cold")).status == 200
                served.set()
        assert status_of(answers) == {200: len(answers)}
        heard = await changes(swapd, 5)
        assert heard[2][:2] == ("hot", "stopping")


async def test_of_two_that_wait_the_one_of_higher_priority_comes_first(tmp_path: Path) -> None:
    models: Mapping[str, str | Mapping[str, object]] = {
        "alpha": fake("alpha", "--load", "2"),
        "low": fake("low"),
        "high": {"cmd": fake("high"), "aliases": ["urgent"]},
    }
    routing = {"scheduler": {"settings": {"fifo": {"priority": {"low": -5, "urgent": 100}}}}}
    async with run_swapd(tmp_path, configuration(models, routing=routing)) as swapd:
        with trio.fail_after(LONG):
            async with trio.open_nursery() as clients:
                clients.start_soon(swapd.chat, "alpha")
                await until_state(swapd, "alpha", "starting")
                clients.start_soon(swapd.chat, "low")
                await until_waiting(swapd, 2)
                clients.start_soon(swapd.chat, "high")
        starts = [model for model, state, _ in await changes(swapd, 10) if state == "starting"]
        assert starts == ["alpha", "high", "low"]


async def test_a_stop_command_is_over_before_the_next_life_begins(tmp_path: Path) -> None:
    note = tmp_path / "stopped"
    stop = f"sh -c 'kill -TERM ${{PID}}; sleep 1; date +%s.%N > {note}'"
    models: dict[str, dict[str, object]] = {"alpha": {"cmd": fake("alpha"), "cmdStop": stop}}
    async with run_swapd(tmp_path, configuration(models)) as swapd:
        await swapd.chat("alpha")
        with trio.fail_after(LONG):
            await swapd.ask("POST", "/api/models/unload/alpha")
            assert note.exists(), "the stop command still runs"
            assert (await swapd.chat("alpha")).status == 200
        await trio.sleep(1.2)  # as long as a stop command that was left behind would take
        assert await swapd.states() == {"alpha": "ready"}


async def test_a_broken_model_backs_off_and_what_it_displaced_comes_back(tmp_path: Path) -> None:
    models = {"alpha": fake("alpha"), "broken": BROKEN}
    async with run_swapd(tmp_path, configuration(models)) as swapd:
        await swapd.chat("alpha")
        with trio.fail_after(LONG):
            first = await swapd.chat("broken")
            await until_state(swapd, "alpha", "ready")
            second = await swapd.chat("broken")
        assert (first.status, second.status) == (503, 503)
        assert "exited with code 3" in first.error
        assert "no room on port" in second.error
        assert {first.headers["retry-after"], second.headers["retry-after"]} <= {"1", "2"}
        heard = await changes(swapd, 8)
        assert heard[6:] == [("alpha", "starting", "restored"), ("alpha", "ready", "restored")]
        assert [change for change in heard if change[:2] == ("broken", "starting")] == [heard[4]]
        assert await swapd.states() == {"alpha": "ready"}, (
            "evicted again for a model that backs off"
        )


async def test_many_who_ask_for_a_broken_model_start_it_once(tmp_path: Path) -> None:
    models = {"broken": BROKEN}
    answers: list[Answer] = []
    async with run_swapd(tmp_path, configuration(models)) as swapd:

        async def ask() -> None:
            answers.append(await swapd.chat("broken"))

        with trio.fail_after(LONG):
            async with trio.open_nursery() as clients:
                for _ in range(10):
                    clients.start_soon(ask)
        assert status_of(answers) == {503: 10}
        snapshot = await swapd.snapshot()
        assert snapshot["seq"] == 2, "one start, one end"


async def test_nothing_of_an_unload_of_all_runs_when_it_answers(tmp_path: Path) -> None:
    models = {
        "quick": fake("quick"),
        "slow": fake("slow", "--sigterm-delay", "1.5"),
    }
    together = {"all": {"swap": False, "exclusive": False, "members": ["quick", "slow"]}}
    async with run_swapd(tmp_path, configuration(models, groups=together)) as swapd:
        await swapd.chat("quick")
        await swapd.chat("slow")
        with trio.fail_after(LONG):
            async with trio.open_nursery() as clients:
                clients.start_soon(swapd.ask, "GET", "/unload")
                await until_state(swapd, "quick", None)
                clients.start_soon(swapd.chat, "quick")
                await until_waiting(swapd, 1)
        order = [(m, state) for m, state, _ in await changes(swapd, 10) if state != "ready"]
        again = order.index(("quick", "starting"), 1)
        assert order.index(("slow", "stopped")) < again, "it ran again before all was unloaded"


async def test_a_load_that_nobody_waits_for_delays_no_request(tmp_path: Path) -> None:
    models = {"alpha": fake("alpha", "--load", "200"), "beta": fake("beta")}
    async with run_swapd(tmp_path, configuration(models)) as swapd:
        async with swapd.open_chat("alpha"):
            await until_state(swapd, "alpha", "starting")
        with trio.fail_after(LONG):
            assert (await swapd.chat("beta")).status == 200


async def test_alternating_traffic_is_served_in_batches(tmp_path: Path) -> None:
    models = {"alpha": fake("alpha", "--load", "0.5"), "beta": fake("beta", "--load", "0.5")}
    answers: list[Answer] = []
    async with run_swapd(tmp_path, configuration(models)) as swapd:

        async def ask(model: str) -> None:
            answers.append(await swapd.chat(model))

        with trio.fail_after(LONG):
            async with trio.open_nursery() as clients:
                for model in ("alpha", "beta") * 10:
                    clients.start_soon(ask, model)
        assert status_of(answers) == {200: 20}
        assert (await swapd.snapshot())["seq"] == 6, "each loads once, and one makes way"


async def test_a_drain_lets_a_running_answer_finish(tmp_path: Path) -> None:
    models = {"alpha": fake("alpha", "--fake", json.dumps({"delay": 1.0}))}
    async with run_swapd(tmp_path, configuration(models)) as swapd:
        await swapd.ask("POST", "/api/models/load/alpha?wait=1")
        answers: list[Answer] = []

        async def ask() -> None:
            answers.append(await swapd.chat("alpha"))

        with trio.fail_after(LONG):
            async with trio.open_nursery() as clients:
                clients.start_soon(ask)
                await swapd.until_upstream("alpha", "requests", 1)
                assert (await swapd.ask("POST", "/api/models/unload/alpha?drain=1")).status == 200
                assert answers[0].status == 200
        assert await swapd.states() == {}
