"""What is remembered of requests outlives swapd, however it ends."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import trio

from swapd.testing.running import COMMAND, Running, configuration, fake, run_swapd

pytestmark = pytest.mark.real_process

#: Seconds that no step of these tests takes on a machine that works.
LONG = 60


def rows_in(file: Path) -> list[tuple[int, str]]:
    """Return the rows of ``file``, which must be whole, and each with what is swapd's."""
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        own = connection.execute("SELECT id FROM swapd_activity ORDER BY id").fetchall()
        rows = connection.execute("SELECT id, model_id FROM activity ORDER BY id").fetchall()
        assert [number for number, _ in rows] == [number for (number,) in own]
        return rows


async def listed(running: Running) -> list[int]:
    told = json.loads((await running.ask("GET", "/api/metrics/activity?limit=999")).body)
    return [entry["id"] for entry in told["data"]]


async def test_a_kill_in_the_midst_of_writing_leaves_a_whole_file(tmp_path: Path) -> None:
    file = tmp_path / "activity.db"
    config = configuration({"a": fake("a")}, store={"path": str(file)})
    answered = 0

    async def keep_asking(running: Running) -> None:
        nonlocal answered
        while True:
            try:
                await running.chat("a")
            except OSError:  # it was killed
                return
            answered += 1

    with trio.fail_after(LONG):
        async with run_swapd(tmp_path, config) as running:
            await running.chat("a")
            async with trio.open_nursery() as nursery:
                for _ in range(8):
                    nursery.start_soon(keep_asking, running)
                while answered < 100:
                    await running.ask("GET", "/api/metrics/activity?limit=1")
                seen = max(await listed(running))
                running.process.kill()
        rows = rows_in(file)
        assert [number for number, _ in rows] == [*range(1, len(rows) + 1)]
        assert len(rows) >= seen
        async with run_swapd(tmp_path, config) as running:
            await running.chat("a")
            assert len(await listed(running)) == min(999, len(rows) + 1)


async def test_an_orderly_end_writes_everything(tmp_path: Path) -> None:
    file = tmp_path / "activity.db"
    config = configuration({"a": fake("a")}, store={"path": str(file)})
    with trio.fail_after(LONG):
        async with run_swapd(tmp_path, config) as running:
            for _ in range(5):
                await running.chat("a")
            running.process.terminate()
            await running.process.wait()
    assert rows_in(file) == [(number, "a") for number in range(1, 6)]
    assert not file.with_name("activity.db-wal").exists()


async def test_swapd_does_not_start_with_what_is_no_store(tmp_path: Path) -> None:
    file = tmp_path / "activity.db"
    file.write_text("this is no database, and it is long enough to be none" * 20)
    config = configuration({"a": fake("a")}, store={"path": str(file)})
    (tmp_path / "c.yaml").write_text(config)
    serve = [*COMMAND, "serve", "--config", str(tmp_path / "c.yaml"), "--listen", "127.0.0.1:0"]
    with trio.fail_after(LONG):
        ended = await trio.run_process(serve, check=False, capture_stderr=True)
    assert ended.returncode == 1
    assert ended.stderr.decode() == f"store.path: {file}: file is not a database\n"
