"""Requests are remembered off the event loop, whatever becomes of the store."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from swapd.errors import CannotStart, StoreUnreadable
from swapd.telemetry.activity.activity import LAST_WRITE, LINGER, PRUNE_EVERY, QUEUE, Activity
from swapd.telemetry.activity.keeping import Keeping, Retention
from swapd.telemetry.activity.row import Row
from tests.telemetry.activity.finished import NOW, finished

EVERYTHING = Retention()


class Kept:
    """An activity that runs, and what it has told."""

    def __init__(self, keeping: Keeping) -> None:
        self.on_stored: Callable[[Sequence[Row]], None] = self.take
        self.activity = Activity(
            keeping,
            on_stored=lambda rows: self.on_stored(rows),
            is_heard=lambda: self.is_heard,
            wall_clock=lambda: NOW,
        )
        self.is_heard = True
        self.told: list[Row] = []
        self.news = trio.Event()

    def take(self, rows: Sequence[Row]) -> None:
        self.told.extend(rows)
        self.news.set()
        self.news = trio.Event()

    async def until_told(self, count: int) -> list[Row]:
        while len(self.told) < count:
            await self.news.wait()
        return self.told

    async def ids(self) -> list[int]:
        return await self.activity.read(_ids)


async def until(holds: Callable[[], bool]) -> None:
    """Wait until ``holds``, which threads see to."""
    while not holds():
        await trio.to_thread.run_sync(bool)


def _ids(connection: sqlite3.Connection) -> list[int]:
    return [number for (number,) in connection.execute("SELECT id FROM activity ORDER BY id")]


def ids_in(path: Path) -> list[int]:
    connection = sqlite3.connect(path)
    try:
        return _ids(connection)
    finally:
        connection.close()


def take_away(folder: Path) -> None:
    for each in folder.iterdir():
        each.rename(folder / f"away-{each.name}")


@asynccontextmanager
async def keeping(
    path: Path | None = None, retention: Retention = EVERYTHING
) -> AsyncIterator[Kept]:
    kept = Kept(Keeping(path, retention))
    async with trio.open_nursery() as nursery:
        await nursery.start(kept.activity.run)
        yield kept
        nursery.cancel_scope.cancel()


@pytest.fixture(params=["memory", "file"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "a.db" if request.param == "file" else None


async def test_rows_are_told_when_they_are_there(path: Path | None) -> None:
    async with keeping(path) as kept:
        kept.activity.record(finished(model="a"))
        kept.activity.record(finished(model="b"))
        told = await kept.until_told(2)
        assert [(row.id, row.model) for row in told] == [(1, "a"), (2, "b")]
        assert await kept.ids() == [1, 2]


async def test_what_is_not_metered_is_not_remembered() -> None:
    async with keeping() as kept:
        kept.activity.record(finished(is_metered=False))
        kept.activity.record(finished())
        await kept.until_told(1)
        assert await kept.ids() == [1]


async def test_who_reads_finds_what_was_just_handed_in(path: Path | None) -> None:
    async with keeping(path) as kept:
        for count in range(1, 6):
            kept.activity.record(finished())
            assert await kept.ids() == [*range(1, count + 1)]


async def test_who_reads_does_not_wait_for_what_comes_after() -> None:
    many = 1000
    async with keeping() as kept:

        def keep_coming(rows: Sequence[Row]) -> None:
            kept.take(rows)
            if len(kept.told) < many:
                kept.activity.record(finished())

        kept.on_stored = keep_coming
        kept.activity.record(finished())
        assert 1 in await kept.ids()
        assert len(kept.told) < many


async def test_the_last_requests_are_written_at_the_end(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    async with keeping(file) as kept:
        for _ in range(1500):
            kept.activity.record(finished())
    assert ids_in(file) == [*range(1, 1501)]
    assert not (tmp_path / "a.db-wal").exists()


async def test_memory_keeps_the_newest() -> None:
    async with keeping(retention=Retention(rows=3)) as kept:
        for _ in range(10):
            kept.activity.record(finished())
        await kept.until_told(10)
        assert await kept.ids() == [8, 9, 10]


def models_of(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT model_id FROM activity ORDER BY id")]


async def test_what_nobody_hears_of_rests_until_it_is_read() -> None:
    async with keeping() as kept:
        kept.is_heard = False
        for name in "abc":
            kept.activity.record(finished(model=name))
        await trio.sleep(3 * LINGER)
        assert len(kept.activity._waiting) == 3
        assert await kept.activity.read(models_of) == ["a", "b", "c"]
        kept.activity.record(finished(model="d"))
        assert await kept.activity.read(models_of) == ["a", "b", "c", "d"]
        assert kept.told == []


async def test_time_alone_does_not_write_what_rests(mock_clock: MockClock) -> None:
    async with keeping(retention=Retention(rows=3)) as kept:
        kept.is_heard = False
        for name in "abc":
            kept.activity.record(finished(model=name))
        await wait_all_tasks_blocked()
        mock_clock.jump(2 * PRUNE_EVERY)
        await wait_all_tasks_blocked()
        assert kept.activity._writer.borrowed_tokens == 0
        assert len(kept.activity._waiting) == 3
        assert await kept.activity.read(models_of) == ["a", "b", "c"]


async def test_of_what_rests_only_as_many_wait_as_would_be_kept() -> None:
    async with keeping(retention=Retention(rows=3)) as kept:
        kept.activity.record(finished(model="first"))
        await kept.until_told(1)
        kept.is_heard = False
        for name in "abcdefgh":
            kept.activity.record(finished(model=name))
        assert len(kept.activity._waiting) == 3
        with trio.fail_after(LAST_WRITE):
            assert await kept.activity.read(models_of) == ["f", "g", "h"]


async def test_what_is_being_written_makes_no_room_for_what_rests() -> None:
    last = [finished(model="d")]

    def now() -> float:  # asked before each write
        while last:
            activity.record(last.pop())
        return NOW

    activity = Activity(
        Keeping(None, Retention(rows=3)),
        on_stored=lambda rows: None,
        is_heard=lambda: False,
        wall_clock=now,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(activity.run)
        for name in "abc":
            activity.record(finished(model=name))
        assert await activity.read(models_of) == ["a", "b", "c"]
        assert await activity.read(models_of) == ["b", "c", "d"]
        nursery.cancel_scope.cancel()


async def test_who_begins_to_hear_is_told_of_what_comes_then() -> None:
    async with keeping(retention=Retention(rows=3)) as kept:
        kept.is_heard = False
        for name in "vwxyzab":
            kept.activity.record(finished(model=name))
        kept.is_heard = True
        kept.activity.record(finished(model="c"))
        assert [(row.id, row.model) for row in await kept.until_told(1)] == [(4, "c")]
        kept.activity.record(finished(model="d"))
        assert [row.model for row in await kept.until_told(2)] == ["c", "d"]


async def test_a_file_has_what_nobody_hears_of(tmp_path: Path) -> None:
    async with keeping(tmp_path / "a.db") as kept:
        kept.is_heard = False
        kept.activity.record(finished())
        await kept.until_told(1)
        assert ids_in(tmp_path / "a.db") == [1]


async def test_a_copy_is_kept_though_nobody_hears_of_it() -> None:
    kept = Kept(Keeping(None, EVERYTHING, capture_bytes=1000))
    kept.is_heard = False
    async with trio.open_nursery() as nursery:
        await nursery.start(kept.activity.run)
        kept.activity.record(finished())
        await kept.until_told(1)
        nursery.cancel_scope.cancel()


async def test_no_more_rest_than_can_wait() -> None:
    async with keeping() as kept:
        kept.is_heard = False
        for _ in range(QUEUE // 2):
            kept.activity.record(finished())
        await until(lambda: not kept.activity._waiting)
        assert len(await kept.ids()) == QUEUE // 2


async def test_what_comes_during_the_last_write_does_not_rest() -> None:
    last = [finished()]

    def now() -> float:  # asked before each write
        while last:
            activity.record(last.pop())
        return NOW

    activity = Activity(
        Keeping(None, EVERYTHING),
        on_stored=lambda rows: None,
        is_heard=lambda: False,
        wall_clock=now,
    )
    with trio.fail_after(LAST_WRITE):
        async with trio.open_nursery() as nursery:
            await nursery.start(activity.run)
            activity.record(finished())
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()


async def test_a_store_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    file = tmp_path / "none" / "a.db"
    kept = Kept(Keeping(file, EVERYTHING))
    with pytest.raises(CannotStart, match=f"store.path: {file}: unable to open database file"):
        await kept.activity.run()


async def test_more_than_can_wait_is_counted_and_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with keeping() as kept:
        for _ in range(QUEUE + 3):
            kept.activity.record(finished())
        await kept.until_told(QUEUE)
        assert await kept.ids() == [*range(1, QUEUE + 1)]
        await wait_all_tasks_blocked()
    assert caplog.messages == [
        "requests come faster than they can be remembered: some are lost",
        "3 requests are not remembered",
    ]


async def test_a_store_that_fails_is_tried_again_and_loses_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    caplog.set_level(logging.INFO)
    file = tmp_path / "a.db"
    async with keeping(file) as kept:
        broken = sqlite3.connect(file)
        broken.execute("ALTER TABLE activity RENAME TO elsewhere")
        broken.commit()
        kept.activity.record(finished())
        await until(lambda: bool(caplog.messages))
        kept.activity.record(finished())
        await trio.sleep(60)  # which is many tries
        assert kept.told == []
        broken.execute("ALTER TABLE elsewhere RENAME TO activity")
        broken.commit()
        broken.close()
        assert [row.id for row in await kept.until_told(2)] == [1, 2]
        await until(lambda: len(caplog.messages) > 1)
    first, second = caplog.messages
    assert first.startswith(f"requests cannot be remembered: {file}: no such table: ")
    assert second == "requests are remembered again; 0 are lost"


async def test_another_file_is_gone_over_to(tmp_path: Path) -> None:
    one, other = tmp_path / "one.db", tmp_path / "other.db"
    async with keeping(one) as kept:
        kept.activity.record(finished())
        kept.activity.reconfigure(Keeping(other, EVERYTHING))
        await kept.until_told(1)
        await until(other.exists)
        kept.activity.record(finished())
        kept.activity.record(finished())
        await kept.until_told(3)
    assert (ids_in(one), ids_in(other)) == ([1], [1, 2])


async def test_no_time_passes_in_which_requests_still_go_where_they_went_before(
    mock_clock: MockClock, tmp_path: Path
) -> None:
    file = tmp_path / "a.db"
    async with keeping() as kept:
        kept.is_heard = False
        kept.activity.record(finished())
        await wait_all_tasks_blocked()
        kept.activity.reconfigure(Keeping(file, EVERYTHING))
        for _ in range(1000):
            if file.exists():
                break
            await trio.to_thread.run_sync(bool)
        kept.activity.record(finished())
    assert mock_clock.current_time() == 0
    assert ids_in(file) == [1]


async def test_a_file_that_is_left_for_memory_gets_all_that_came_before(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    async with keeping(file) as kept:
        kept.is_heard = False
        for _ in range(3):
            kept.activity.record(finished())
        kept.activity.reconfigure(Keeping(None, Retention(rows=1)))
        kept.activity.record(finished())
        await kept.ids()
    assert set(ids_in(file)) >= {1, 2, 3}


async def test_a_file_that_cannot_be_used_leaves_the_old_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "a.db"
    async with keeping(file) as kept:
        kept.activity.reconfigure(Keeping(tmp_path / "no" / "b.db", EVERYTHING))
        for number in (1, 2):
            kept.activity.record(finished())
            await kept.until_told(number)
        assert await kept.ids() == [1, 2]
    assert [message.partition(":")[0] for message in caplog.messages] == [
        "requests are remembered as before"
    ]


@pytest.mark.parametrize("replaced", [False, True])
async def test_a_file_that_somebody_takes_away_is_made_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, replaced: bool
) -> None:
    file = tmp_path / "a.db"
    async with keeping(file) as kept:
        kept.activity.captures.resize(1000)
        for _ in range(2):
            kept.activity.record(finished())
        await kept.until_told(2)
        kept.activity.captures.keep(2, b"of a row that is gone")
        take_away(tmp_path)
        if replaced:
            async with keeping(file):
                pass
        kept.activity.record(finished())
        assert [row.id for row in await kept.until_told(3)] == [1, 2, 1]
        assert await kept.ids() == [1]
        assert 2 not in kept.activity.captures
    assert ids_in(file) == [1]
    assert caplog.messages == [f"{file} was deleted or replaced: requests are remembered anew"]


async def test_who_reads_what_was_taken_away_has_it_made_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "a.db"
    async with keeping(file) as kept:
        file.unlink()
        with pytest.raises(StoreUnreadable):
            await kept.ids()
        await until(lambda: bool(caplog.messages))
        assert await kept.ids() == []


@pytest.mark.parametrize("whole", [False, True])
async def test_requests_wait_for_the_folder_of_their_file_to_come_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, whole: bool, autojump_clock: MockClock
) -> None:
    caplog.set_level(logging.INFO)
    folder, away = tmp_path / "folder", tmp_path / "away"
    folder.mkdir()
    file = folder / "a.db"
    async with keeping(file) as kept:
        folder.rename(away)
        kept.activity.record(finished())
        await until(lambda: bool(caplog.messages))
        kept.activity.record(finished())
        await trio.sleep(60)
        assert kept.told == []
        away.rename(folder) if whole else folder.mkdir()
        assert [row.id for row in await kept.until_told(2)] == [1, 2]
        await until(lambda: len(caplog.messages) > 2)
    assert ids_in(file) == [1, 2]
    assert caplog.messages == [
        f"requests cannot be remembered: {file}: the file was deleted, or replaced;"
        " it is tried again every 5 s",
        f"{file} was deleted or replaced: requests are remembered anew",
        "requests are remembered again; 0 are lost",
    ]


async def test_other_limits_hold_at_once() -> None:
    async with keeping() as kept:
        for _ in range(10):
            kept.activity.record(finished())
        await kept.until_told(10)
        kept.activity.reconfigure(Keeping(None, Retention(rows=2)))
        ids = await kept.ids()
        while ids != [9, 10]:
            ids = await kept.ids()


async def test_another_program_that_locks_the_file_is_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "a.db"
    async with keeping(file) as kept:
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        kept.activity.record(finished())
        for _ in range(20):
            assert ids_in(file) == []
            await trio.to_thread.run_sync(bool)
        other.execute("COMMIT")
        other.close()
        await kept.until_told(1)
    assert caplog.messages == []


async def test_what_cannot_be_written_at_the_end_is_told_and_not_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "a.db"
    async with keeping(file) as kept:
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        kept.activity.record(finished())
    other.close()
    assert caplog.messages[-1] == "swapd ends: 1 requests are not remembered"
