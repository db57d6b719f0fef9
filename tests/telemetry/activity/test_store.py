"""Rows lie in SQLite, whole, as many as are to be kept, and in a file of llama-swap's too."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier, Event

import pytest

from swapd.errors import CannotStart
from swapd.telemetry.activity.keeping import Retention
from swapd.telemetry.activity.pages import Wanted, find_page
from swapd.telemetry.activity.row import Own, Row
from swapd.telemetry.activity.store import CHUNK, Store
from swapd.telemetry.usage.usage import UNKNOWN, Usage
from tests.telemetry.activity.finished import NOW, finished

EVERYTHING = Retention()

#: The form of this version.
NEWEST = 1

#: As llama-swap makes it.
PEERS = """
CREATE TABLE goose_db_version (id INTEGER PRIMARY KEY, version_id INTEGER, is_applied INTEGER);
CREATE TABLE activity (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  ts_created INTEGER NOT NULL,
  model_id TEXT NOT NULL DEFAULT '', req_path TEXT NOT NULL DEFAULT '',
  resp_content_type TEXT NOT NULL DEFAULT '', resp_status_code INTEGER NOT NULL DEFAULT 0,
  cache_tokens INTEGER NOT NULL DEFAULT 0, draft_tokens INTEGER NOT NULL DEFAULT 0,
  draft_acc_tokens INTEGER NOT NULL DEFAULT 0, input_tokens INTEGER NOT NULL DEFAULT 0,
  output_tokens INTEGER NOT NULL DEFAULT 0, prompt_per_second REAL NOT NULL DEFAULT 0,
  tokens_per_second REAL NOT NULL DEFAULT 0, duration_ms INTEGER NOT NULL DEFAULT 0,
  error_msg TEXT NOT NULL DEFAULT '', metadata_json TEXT NOT NULL DEFAULT '');
CREATE INDEX idx_activity_ts ON activity (ts_created DESC, id DESC);
INSERT INTO activity (ts_created, model_id, req_path, resp_status_code, cache_tokens, draft_tokens,
  draft_acc_tokens, input_tokens, output_tokens, prompt_per_second, tokens_per_second, duration_ms)
  VALUES (1600000000, 'old', '/v1/completions', 200, -1, -1, -1, 12, 7, -1, 9.5, 321);
"""


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "a.db" if request.param == "file" else None)) as store:
        yield store


def rows_of(store: Store) -> list[Row]:
    with store.reading() as connection:
        return [*find_page(connection, Wanted(limit=10_000, ascending=True)).rows]


def ids_of(store: Store) -> list[int]:
    return [row.id for row in rows_of(store)]


def run(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


def test_a_row_comes_back_as_it_was_told(store: Store) -> None:
    told = finished(
        usage=Usage(10, 4, 5, 3, 2, 100.5, 20.25, 1600.0),
        error="broken off",
        key="alice",
        session="s-1",
        selector="fast",
        priority=3,
    )
    added = store.work([told], EVERYTHING, NOW).rows
    assert rows_of(store) == [*added]
    assert added == [
        Row(
            id=1,
            created=1_700_000_000,
            model="m",
            path="/v1/chat/completions",
            content_type="application/json",
            status=200,
            cached=4,
            drafted=3,
            accepted=2,
            prompt=10,
            generated=5,
            prompt_per_second=100.5,
            generated_per_second=20.25,
            duration_ms=1600,
            error="broken off",
            metadata='{"fifo_priority": "3", "selector": "fast"}',
            own=Own(
                started=NOW - 1.5,
                duration=1.5,
                queued=0.25,
                loaded=0.5,
                first_byte=0.75,
                usage=told.usage,
                key="alice",
                session="s-1",
                selector="fast",
                priority=3,
            ),
        )
    ]


def test_what_is_unknown_is_told_in_llama_swaps_way_and_in_ours(store: Store) -> None:
    some, nothing = store.work(
        [finished(usage=Usage(prompt=1)), finished(usage=UNKNOWN)], EVERYTHING, NOW
    ).rows
    assert (some.prompt, some.generated, some.cached, some.generated_per_second) == (1, -1, -1, -1)
    assert (nothing.prompt, nothing.generated, nothing.cached, nothing.drafted) == (0, 0, 0, 0)
    assert [row.own and row.own.usage.generated for row in rows_of(store)] == [None, None]


@pytest.mark.parametrize(
    "odd",
    [
        {"usage": Usage(prompt=10**30, generated=-(10**30))},
        {"usage": Usage(prompt_per_second=float("nan"), generated_per_second=float("inf"))},
        {"usage": Usage(served_ms=float("inf"))},
        {"usage": Usage(served_ms=1e300)},
        {"error": "a lone \ud800 surrogate", "model": "\udcff", "session": "\udcff"},
        {"error": "x" * 100_000, "path": "/\0"},
        {"model": ""},
    ],
)
def test_no_value_that_a_server_says_keeps_others_from_being_stored(
    store: Store, odd: dict[str, object]
) -> None:
    store.work([finished(), finished(**odd), finished()], EVERYTHING, NOW)
    assert ids_of(store) == [1, 2, 3]
    assert len(rows_of(store)[1].error) <= 2048


@pytest.mark.parametrize(
    "wanted", ["model_id = 'm' ORDER BY id DESC", "ts_created < 1 ORDER BY ts_created"]
)
def test_rows_of_a_model_and_of_a_time_are_found_without_a_look_at_all(
    store: Store, wanted: str
) -> None:
    with store.reading() as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN SELECT id FROM activity WHERE {wanted}")
        assert [row[-1].split()[0] for row in plan] == ["SEARCH"]


def test_the_newest_rows_are_kept(store: Store) -> None:
    for _ in range(4):
        store.work([finished()] * 5, Retention(rows=7), NOW)
    assert ids_of(store) == [*range(14, 21)]


def test_no_row_that_is_too_old_is_kept(store: Store) -> None:
    keep = Retention(seconds=100)
    store.work([finished(time=NOW - ago) for ago in (500, 100, 99, 101, 102, 0)], keep, NOW)
    assert ids_of(store) == [2, 3, 6]
    store.work([], keep, NOW + 50)
    assert ids_of(store) == [6]


def test_rows_are_deleted_some_at_a_time(store: Store) -> None:
    store.work([finished()] * (CHUNK + 10), EVERYTHING, NOW)
    assert store.work([], Retention(rows=5), NOW).may_prune
    assert ids_of(store) == [*range(CHUNK + 1, CHUNK + 11)]
    assert not store.work([], Retention(rows=5), NOW).may_prune
    assert ids_of(store) == [*range(CHUNK + 6, CHUNK + 11)]


def test_what_is_ours_of_a_row_goes_with_it(store: Store) -> None:
    store.work([finished()] * 5, Retention(rows=2), NOW)
    with store.reading() as connection:
        assert connection.execute("SELECT id FROM swapd_activity").fetchall() == [(4,), (5,)]


@pytest.mark.parametrize("count", [1, 31, 32, 33, 100])
def test_many_at_once_are_told_as_they_are_found(store: Store, count: int) -> None:
    before = store.work([finished(), finished()], Retention(rows=1), NOW).rows
    batch = [finished(path=f"/{n}", duration=float(n)) for n in range(count)]
    told = [before[-1], *store.work(batch, EVERYTHING, NOW).rows]
    assert told == rows_of(store)
    assert [row.id for row in told] == [*range(2, count + 3)]
    ours = [(row.path, row.own.duration) for row in told[1:] if row.own is not None]
    assert ours == [(f"/{n}", float(n)) for n in range(count)]


def test_no_number_is_given_twice(tmp_path: Path) -> None:
    for expected in ([1, 2], [3, 4]):
        with closing(Store(tmp_path / "a.db")) as store:
            assert [
                row.id for row in store.work([finished()] * 2, EVERYTHING, NOW).rows
            ] == expected
            store.work([], Retention(seconds=1), NOW + 1000)
            assert ids_of(store) == []


def test_rows_of_another_program_are_counted_when_it_is_asked_for(tmp_path: Path) -> None:
    file, keep = tmp_path / "a.db", Retention(rows=3)
    with closing(Store(file)) as store:
        store.work([finished()] * 3, keep, NOW)
        run(file, "INSERT INTO activity (ts_created) VALUES (1), (2)")
        store.recount()
        store.work([], keep, NOW)
        assert ids_of(store) == [3, 4, 5]


def test_two_who_write_to_one_file_keep_no_more_than_one_would(tmp_path: Path) -> None:
    keep = Retention(rows=1000)
    file = tmp_path / "a.db"
    with closing(Store(file)) as one, closing(Store(file)) as other:
        one.work([finished()] * 950, keep, NOW)
        for turn in range(30):
            for store in (one, other):
                store.work([finished()] * 3, keep, NOW)
                there = ids_of(store)
                assert len(there) <= 1000 + 10 + 3, turn
                assert len(there) >= min(1000, there[-1])
                assert there == [*range(there[0], there[-1] + 1)]


def test_rows_that_others_delete_are_not_deleted_twice(tmp_path: Path) -> None:
    file, keep = tmp_path / "a.db", Retention(rows=10)
    with closing(Store(file)) as store:
        store.work([finished()] * 10, keep, NOW)
        run(file, "DELETE FROM activity WHERE id <= 6")
        for number in range(11, 18):
            store.work([finished()], keep, NOW)
            assert ids_of(store) == [*range(max(7, number - 9), number + 1)]


def test_a_file_that_was_emptied_fills_up_again(tmp_path: Path) -> None:
    keep = Retention(rows=3, seconds=100)
    with closing(Store(tmp_path / "a.db")) as store:
        store.work([finished()] * 3, keep, NOW)
        for _ in range(2):
            store.work([], keep, NOW + 200)
        assert ids_of(store) == []
        for newest in (4, 5, 6, 7):
            store.work([finished(time=NOW + 200)], keep, NOW + 200)
            assert ids_of(store) == [*range(max(4, newest - 2), newest + 1)]


def test_what_cannot_be_written_is_not_written_in_part(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "a.db")) as store:
        store.work([finished()], EVERYTHING, NOW)
        forbid = "CREATE TRIGGER no BEFORE INSERT ON activity WHEN new.model_id = 'n' "
        run(tmp_path / "a.db", f"{forbid} BEGIN SELECT raise(ABORT, 'no'); END")
        with pytest.raises(sqlite3.Error, match="no"):
            store.work([finished(), finished(model="n")], Retention(rows=1), NOW)
        assert ids_of(store) == [1]
        assert [row.id for row in store.work([finished()], EVERYTHING, NOW).rows] == [2]


def test_a_file_is_read_while_it_is_written(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "a.db")) as store:
        store.work([finished()], EVERYTHING, NOW)
        with store.reading() as connection:
            assert len(connection.execute("SELECT id FROM activity").fetchall()) == 1
            store.work([finished()], EVERYTHING, NOW)
            assert len(connection.execute("SELECT id FROM activity").fetchall()) == 1
        assert ids_of(store) == [1, 2]


def test_a_file_keeps_its_rows_and_has_a_write_ahead_log(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "a.db")) as store:
        store.work([finished()], EVERYTHING, NOW)
        assert (tmp_path / "a.db-wal").exists()
    with closing(Store(tmp_path / "a.db")) as store:
        assert ids_of(store) == [1]
    assert not (tmp_path / "a.db-wal").exists()


def test_llama_swaps_file_is_adopted_with_its_history(tmp_path: Path) -> None:
    file = tmp_path / "llama-swap.db"
    run(file, PEERS)
    with closing(Store(file)) as store:
        store.work([finished()], EVERYTHING, NOW)
        old, new = rows_of(store)
    assert (old.id, old.model, old.prompt, old.cached, old.own) == (1, "old", 12, -1, None)
    assert (new.id, new.own is None) == (2, False)


@pytest.mark.parametrize("script", ["", PEERS])
def test_swapds_that_begin_with_one_file_at_once_share_it(tmp_path: Path, script: str) -> None:
    for number in range(25):  # who is first is up to chance
        path = tmp_path / f"{number}.db"
        run(path, script)
        gate = Barrier(4)

        def begin(path: Path = path, gate: Barrier = gate) -> None:
            gate.wait()
            with closing(Store(path)) as store:
                store.work([finished()], EVERYTHING, NOW)

        with ThreadPoolExecutor(gate.parties) as swapds:
            for begun in [swapds.submit(begin) for _ in range(gate.parties)]:
                begun.result()
        with closing(Store(path)) as store:
            assert len(rows_of(store)) == gate.parties + bool(script)


def test_llama_swap_can_go_on_with_its_file(tmp_path: Path) -> None:
    file = tmp_path / "llama-swap.db"
    run(file, PEERS)
    with closing(sqlite3.connect(file)) as connection:
        before = connection.execute("PRAGMA table_info(activity)").fetchall()
        Store(file).close()
        assert connection.execute("PRAGMA table_info(activity)").fetchall() == before
        connection.execute("INSERT INTO activity (ts_created, model_id) VALUES (5, 'back')")
        connection.commit()
    with closing(Store(file)) as store:
        assert [row.model for row in rows_of(store)] == ["old", "back"]


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (
            f"PRAGMA user_version = {NEWEST + 1}; CREATE TABLE x (y)",
            f"is of a newer swapd: its form is {NEWEST + 1}, and this swapd knows none after"
            f" {NEWEST}; use that swapd, or another file",
        ),
        (
            "CREATE TABLE songs (name); CREATE TABLE bands (name)",
            "is a database of another program: it holds bands, songs; name a file of its own",
        ),
        (
            "CREATE TABLE activity (id INTEGER PRIMARY KEY, ts_created)",
            "is of a llama-swap that swapd does not know, or of another program: its table"
            " activity has no cache_tokens, draft_acc_tokens, draft_tokens, duration_ms,"
            " error_msg, input_tokens, metadata_json, model_id, output_tokens, prompt_per_second,"
            " req_path, resp_content_type, resp_status_code, tokens_per_second; name another file",
        ),
        (
            PEERS.replace("req_path TEXT", "owner TEXT NOT NULL, req_path TEXT").partition(
                "INSERT"
            )[0],
            "is of a llama-swap that swapd does not know, or of another program: its table"
            " activity demands owner; name another file",
        ),
    ],
)
def test_a_file_of_others_is_left_as_it_is(tmp_path: Path, script: str, why: str) -> None:
    file = tmp_path / "a.db"
    run(file, script)
    with pytest.raises(CannotStart) as error:
        Store(file)
    assert str(error.value) == f"store.path: {file}: {why}"
    with closing(sqlite3.connect(file)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master").fetchall()
    assert ("swapd_activity",) not in names


def test_what_is_no_database_is_told(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    file.write_text("models: {}\n" * 100)
    with pytest.raises(CannotStart, match=f"store.path: {file}: file is not a database"):
        Store(file)


def test_who_closes_waits_for_what_is_being_written(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    store = Store(file)
    with ThreadPoolExecutor() as threads, closing(sqlite3.connect(file)) as other:
        other.isolation_level = None
        other.execute("BEGIN IMMEDIATE")  # the writer waits for that
        begun = Event()
        store._writing.set_trace_callback(lambda statement: begun.set())
        written = threads.submit(store.work, [finished()] * CHUNK, EVERYTHING, NOW)
        begun.wait()
        closed = threads.submit(store.close)
        for _ in range(20):
            threads.submit(bool).result()
            assert not store.is_gone()
        other.execute("ROLLBACK")
        assert len(written.result().rows) == CHUNK
        closed.result()
    assert store.is_gone()


@pytest.mark.parametrize("name", ["a?mode=memory", "a#b", ":memory:", "a%41", "ä b"])
def test_any_name_is_a_files(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(Store(Path(name))) as store:
        store.work([finished()], EVERYTHING, NOW)
        assert ids_of(store) == [1]
    assert [each.name for each in tmp_path.iterdir()] == [name]
