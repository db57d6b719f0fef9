"""Rows in SQLite: a file, or memory.  Everything here blocks; activity.py has it done in threads.

Rule 1: one thread at a time writes, by the one connection that may; who closes it waits, too, since
SQLite does not survive that a connection is closed while it is used.
Rule 2: a file is read by connections of the moment, which see what was committed and never wait
for the writer; memory has only one connection, so reading and writing take turns.
Rule 3: nothing takes long: rows are written and deleted some at a time, each time whole or not.
Rule 4: nothing is written to a file that has been deleted or replaced: nobody would find it.
Rule 5: rows are counted where there may be too many, and reckoned otherwise.  What others write to
the file counts too: a hundredth more may be there then, so that it is not counted all the time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from swapd.errors import CannotStart
from swapd.telemetry.activity.columns import OWN_COLUMNS, PEER_COLUMNS, own_values, peer_values
from swapd.telemetry.activity.keeping import Retention
from swapd.telemetry.activity.row import Row, Value, row_of
from swapd.telemetry.activity.schema import prepare
from swapd.telemetry.finished import Finished

#: How many rows are deleted in one transaction.
CHUNK = 1000

#: Seconds that a lock of another program is waited for.
_PATIENCE = 2.0

#: How often it is tried again to have a write-ahead log, when others are in the way.
_TRIES = 20

#: How many rows a statement adds.  After each the event loop may take its lock back, which costs
#: more than a row.  Every value is a variable, of which an old SQLite has 999 in a statement.
_AT_ONCE = (32, 16, 8, 4, 2, 1)


class _Insert:
    """Adds rows to one table."""

    def __init__(self, table: str, columns: Sequence[str]) -> None:
        marks = f"({', '.join('?' * len(columns))})"
        into = f"INSERT INTO {table} ({', '.join(columns)}) VALUES"
        self._statements = {n: f"{into} {', '.join([marks] * n)}" for n in _AT_ONCE}

    def add(self, connection: sqlite3.Connection, rows: Sequence[Sequence[Value]]) -> None:
        """Add ``rows``, in their order."""
        at = 0
        for number, statement in self._statements.items():
            while len(rows) - at >= number:
                values = [*chain.from_iterable(rows[at : at + number])]
                connection.execute(statement, values)
                at += number


_PEERS = _Insert("activity", PEER_COLUMNS[1:])
_OWN = _Insert("swapd_activity", OWN_COLUMNS)
_NEWEST = "SELECT coalesce(max(id), 0) FROM activity"
_OLDEST = "SELECT id FROM activity ORDER BY id LIMIT ?"
_AGED = "SELECT id FROM activity WHERE ts_created < ? ORDER BY ts_created LIMIT ?"


class _Tally(NamedTuple):
    """How many rows there are: exactly, or at most if others have written since."""

    rows: int
    newest: int
    #: What SQLite changes when another connection has written.
    version: int
    is_exact: bool = True


@dataclass(frozen=True, slots=True)
class Done:
    """Rows that were added, and whether there may be more to delete."""

    rows: Sequence[Row]
    may_prune: bool


class Store:
    """All rows of one file, or of this run of swapd."""

    def __init__(self, path: Path | None) -> None:
        """Open or make the file at ``path``; None is memory.

        Raises:
          CannotStart: It cannot be used; the text names it and the reason.
        """
        self.path = path
        self._turn = Lock()  # who holds it has the writing connection for itself
        self._is_closed = False
        self._tally: _Tally | None = None  # None is to be counted
        try:
            self._writing = self._connect("rwc")
        except sqlite3.Error as error:
            raise CannotStart(f"store.path: {path}: {error}") from error
        try:
            self._prepare()
            self._file = self._file_there()
        except BaseException:
            self._writing.close()
            raise

    def _connect(self, mode: str) -> sqlite3.Connection:
        where = f"{self.path.absolute().as_uri()}?mode={mode}" if self.path else ":memory:"
        return sqlite3.connect(
            where,
            uri=True,
            timeout=_PATIENCE,
            isolation_level=None,  # transactions are begun where they are meant
            check_same_thread=False,  # one thread at a time, but not always the same
        )

    def _prepare(self) -> None:
        try:
            mode = self._go_over_to_log()
            # Safe in WAL whatever happens to swapd; a loss of power costs the last rows at most.
            self._writing.execute("PRAGMA synchronous = NORMAL")
            prepare(self._writing)
        except (sqlite3.Error, CannotStart) as error:
            raise CannotStart(f"store.path: {self.path}: {error}") from error
        if self.path is not None and mode != "wal":
            raise CannotStart(
                f"store.path: {self.path}: SQLite cannot use its write-ahead log there; put the"
                " file on a disk of this machine"
            )

    def _go_over_to_log(self) -> str:
        """Have the file use a write-ahead log; return what it uses from now on.

        Another swapd may be doing so at this moment.  SQLite does not wait for that by itself.
        """
        for _ in range(_TRIES):
            with suppress(sqlite3.OperationalError):
                return self._journal_mode()
            self._writing.execute("BEGIN EXCLUSIVE")  # for this it waits
            self._writing.execute("COMMIT")
        return self._journal_mode()

    def _journal_mode(self) -> str:
        (mode,) = self._writing.execute("PRAGMA journal_mode = WAL").fetchone()
        return str(mode)

    def work(self, finished: Sequence[Finished], keep: Retention, now: float) -> Done:
        """Add a row for each of ``finished``, and delete some that are not kept any more.

        All of it is done or, if it cannot be, nothing.

        Args:
          finished: In their order.
          keep: What is remembered.
          now: In Unix seconds.

        Raises:
          sqlite3.Error: It cannot be done now.
        """
        if self.is_gone():
            raise sqlite3.OperationalError("the file was deleted, or replaced")
        with self._transaction() as connection:
            rows = _add(connection, [row_of(0, each) for each in finished])
            tally, gone = None, 0
            if keep.rows:
                tally = _reckoned(connection, self._tally, len(rows), keep.rows)
                surplus = tally.rows - keep.rows if tally.is_exact else 0
                gone += _delete(connection, _OLDEST, min(CHUNK, max(0, surplus)))
            if keep.seconds:
                gone += _delete(connection, _AGED, int(now - keep.seconds), CHUNK)
        self._tally = tally and tally._replace(rows=tally.rows - gone)
        return Done(rows, may_prune=gone >= CHUNK)

    def is_gone(self) -> bool:
        """Tell whether it was given back, or the file is not there any more, or another one is."""
        return self._is_closed or self._file_there() != self._file

    def _file_there(self) -> tuple[int, int] | None:
        """Return what tells the file at ``path`` from all others; None if there is none."""
        if self.path is None:
            return None
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def recount(self) -> None:
        """Count the rows anew when it matters: another program may have written some."""
        self._tally = None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._turn:
            self._writing.execute("BEGIN IMMEDIATE")
            try:
                yield self._writing
                self._writing.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # SQLite may have rolled back already
                    self._writing.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Open a connection for reading, for the length of the block, in one transaction.

        Raises:
          sqlite3.Error: It cannot be read now.
        """
        if self.path is None:
            with self._turn:
                yield self._writing
            return
        with closing(self._connect("ro")) as connection:
            connection.execute("BEGIN")
            yield connection

    def close(self) -> None:
        """Give the file back, whole and without a write-ahead log beside it."""
        with self._turn:
            self._is_closed = True
            self._writing.close()


def _add(connection: sqlite3.Connection, drafts: Sequence[Row]) -> list[Row]:
    """Return ``drafts`` with the numbers that they have got, which follow each other."""
    if not drafts:
        return []
    _PEERS.add(connection, [peer_values(draft) for draft in drafts])
    (last,) = connection.execute("SELECT last_insert_rowid()").fetchone()
    numbers = range(last + 1 - len(drafts), last + 1)
    rows = [draft._replace(id=number) for number, draft in zip(numbers, drafts, strict=True)]
    _OWN.add(connection, [own_values(row.id, row.own) for row in rows if row.own is not None])
    return rows


def _reckoned(connection: sqlite3.Connection, last: _Tally | None, added: int, most: int) -> _Tally:
    """Return how many rows there are, by what was known before ``added`` of them (rule 5)."""
    version, newest = _one(connection, "PRAGMA data_version"), _one(connection, _NEWEST)
    if last is not None:
        newest = max(newest, last.newest)
        if last.is_exact and version == last.version:
            return _Tally(last.rows + added, newest, version)
        # No number is given twice: there are no more new rows than there are new numbers.
        count = last.rows + max(added, newest - last.newest)
        if count <= most + most // 100:
            return _Tally(count, newest, version, is_exact=False)
    return _Tally(_one(connection, "SELECT count(*) FROM activity"), newest, version)


def _one(connection: sqlite3.Connection, query: str) -> int:
    (number,) = connection.execute(query).fetchone()
    return int(number)


def _delete(connection: sqlite3.Connection, which: str, *values: int) -> int:
    return connection.execute(f"DELETE FROM activity WHERE id IN ({which})", values).rowcount
