"""The tables of a store, and how a file comes to have them.

Rule 1: a file that llama-swap made stays one that it can use: its table is left as it is, and
what swapd knows beyond it lies in a table beside it.
Rule 2: ``PRAGMA user_version`` counts the migrations that a file has seen; each is one
transaction, so a file is never between two of them.
"""

from __future__ import annotations

from collections.abc import Callable
from sqlite3 import Connection

from swapd.errors import CannotStart
from swapd.telemetry.activity.columns import PEER_COLUMNS

_ACTIVITY = """
CREATE TABLE activity (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    ts_created INTEGER NOT NULL DEFAULT 0,
    model_id TEXT NOT NULL DEFAULT '',
    req_path TEXT NOT NULL DEFAULT '',
    resp_content_type TEXT NOT NULL DEFAULT '',
    resp_status_code INTEGER NOT NULL DEFAULT 0,
    cache_tokens INTEGER NOT NULL DEFAULT 0,
    draft_tokens INTEGER NOT NULL DEFAULT 0,
    draft_acc_tokens INTEGER NOT NULL DEFAULT 0,
    input_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    prompt_per_second REAL NOT NULL DEFAULT 0,
    tokens_per_second REAL NOT NULL DEFAULT 0,
    duration_ms INTEGER NOT NULL DEFAULT 0,
    error_msg TEXT NOT NULL DEFAULT '',
    metadata_json TEXT NOT NULL DEFAULT ''
)
"""

#: Also for whoever deletes rows by hand, and for llama-swap.
_BESIDE = (
    """
CREATE TABLE swapd_activity (
    id INTEGER PRIMARY KEY,
    started REAL, duration REAL, queued REAL, loaded REAL, first_byte REAL,
    prompt INTEGER, cached INTEGER, generated INTEGER, drafted INTEGER, accepted INTEGER,
    prompt_speed REAL, generation_speed REAL, served_ms REAL,
    key_name TEXT, session TEXT, selector TEXT, priority INTEGER
)
""",
    "CREATE INDEX swapd_activity_by_time ON activity (ts_created, id)",
    "CREATE INDEX swapd_activity_by_model ON activity (model_id, id)",
    """
CREATE TRIGGER swapd_activity_goes_too AFTER DELETE ON activity
BEGIN DELETE FROM swapd_activity WHERE id = old.id; END
""",
)


def prepare(connection: Connection) -> None:
    """Bring the tables of ``connection`` to the newest form.

    Raises:
      CannotStart: The file is of a newer swapd, or of another program.
      sqlite3.Error: It cannot be read or written.
    """
    for number, migrate in enumerate(_MIGRATIONS):
        if _version(connection) <= number:
            _migrate(connection, number, migrate)
    if (version := _version(connection)) > len(_MIGRATIONS):
        raise CannotStart(
            f"is of a newer swapd: its form is {version}, and this swapd knows none after"
            f" {len(_MIGRATIONS)}; use that swapd, or another file"
        )


def _migrate(connection: Connection, number: int, migrate: Callable[[Connection], None]) -> None:
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        if _version(connection) == number:  # another swapd may have been here first
            migrate(connection)
            connection.execute(f"PRAGMA user_version = {number + 1}")


def _version(connection: Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _begin(connection: Connection) -> None:
    """Make the tables, or adopt llama-swap's."""
    names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
    tables = {name for (name,) in connection.execute(names)}
    if "activity" in tables:
        _check(connection)
    elif tables:
        raise CannotStart(
            f"is a database of another program: it holds {', '.join(sorted(tables))};"
            " name a file of its own"
        )
    else:
        connection.execute(_ACTIVITY)
    for statement in _BESIDE:
        connection.execute(statement)


def _check(connection: Connection) -> None:
    """Raise unless the table ``activity`` is llama-swap's, as far as swapd must know it."""
    columns = connection.execute("PRAGMA table_info(activity)").fetchall()
    known = {name for _, name, *_ in columns}
    demanded = {
        name for _, name, _, needs, default, _ in columns if needs and default is None
    } - set(PEER_COLUMNS)
    if missing := set(PEER_COLUMNS) - known:
        raise CannotStart(_not_known(f"has no {', '.join(sorted(missing))}"))
    if demanded:
        raise CannotStart(_not_known(f"demands {', '.join(sorted(demanded))}"))


def _not_known(why: str) -> str:
    return (
        f"is of a llama-swap that swapd does not know, or of another program: its table activity"
        f" {why}; name another file"
    )


#: The first makes or adopts the tables; a change of them is one more.
_MIGRATIONS: tuple[Callable[[Connection], None], ...] = (_begin,)
