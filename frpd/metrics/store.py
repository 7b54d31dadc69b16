"""Daily figures in a SQLite file. It blocks: for worker threads, which alone import this module.

The file is bounded: DAYS rows for each of at most MAX_PROXIES proxies. One that cannot be read
is set aside under another name, and a new one begun.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from typing import Final, NamedTuple

from frpd.metrics.statistics import (
    DAY_SECONDS,
    DAYS,
    MAX_OFFLINE,
    SavedFigures,
    SavedProxy,
    local_day,
)

VERSION: Final = 1
MAX_PROXIES: Final = 10 * MAX_OFFLINE
WAIT_SECONDS: Final = 2.0
FILE_MODE: Final = 0o640
_TABLES: Final = """
    CREATE TABLE proxy (name TEXT PRIMARY KEY, type TEXT, seen_at INTEGER) WITHOUT ROWID;
    CREATE TABLE day (name TEXT, day INTEGER, bytes_in INTEGER, bytes_out INTEGER,
        PRIMARY KEY (name, day)) WITHOUT ROWID;
    CREATE TABLE total (day INTEGER PRIMARY KEY, bytes_in INTEGER, bytes_out INTEGER);
"""


class Answer(NamedTuple):
    """What has come of reading or writing.

    Attributes:
        found: what was read.
        set_aside: what was wrong with the old file, and where it is now; "" if nothing was.
    """

    found: SavedFigures | None = None
    set_aside: str = ""


def load(path: str, now: float) -> Answer:
    """Read all figures that still count; a file that is not there has none.

    Raises:
        OSError, sqlite3.OperationalError: it cannot be read now.
    """
    if not os.path.exists(path):
        return Answer(SavedFigures((), (), ()))
    try:
        with _open(path) as database:
            return Answer(_read(database, now))
    except sqlite3.OperationalError:
        raise
    except (sqlite3.DatabaseError, ValueError, TypeError) as error:
        return Answer(SavedFigures((), (), ()), _set_aside(path, error, now))


def save(path: str, figures: SavedFigures, now: float) -> Answer:
    """Write figures in place of those of the same proxies, and forget what is old.

    Raises:
        OSError, sqlite3.OperationalError: it cannot be written now.
    """
    try:
        with _open(path) as database, database:
            _write(database, figures)
            _purge(database, now)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        return Answer(None, _set_aside(path, error, now))
    return Answer()


@contextlib.contextmanager
def _open(path: str) -> Iterator[sqlite3.Connection]:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))
    with contextlib.closing(sqlite3.connect(path, timeout=WAIT_SECONDS)) as database:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if not version:
            if database.execute("SELECT 1 FROM sqlite_master").fetchone():
                raise sqlite3.DatabaseError("it is somebody else's")
            database.execute("PRAGMA journal_mode = WAL")
            database.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
        elif version != VERSION:
            raise sqlite3.DatabaseError(f"its version is {version}, not {VERSION}")
        yield database


def _read(database: sqlite3.Connection, now: float) -> SavedFigures:
    if database.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
        raise sqlite3.DatabaseError("it is damaged")
    oldest = local_day(now) - DAYS
    days: dict[str, list[tuple[int, int, int]]] = {}
    for name, *row in database.execute(
        "SELECT name, day, bytes_in, bytes_out FROM day WHERE day > ?", (oldest,)
    ):
        days.setdefault(name, []).append(_numbers(row))
    proxies = [
        SavedProxy(str(name), str(kind), float(seen_at), tuple(days.get(name, ())))
        for name, kind, seen_at in database.execute(
            "SELECT name, type, seen_at FROM proxy WHERE seen_at > ? ORDER BY seen_at",
            (now - DAYS * DAY_SECONDS,),
        )
    ]
    totals = database.execute("SELECT day, bytes_in, bytes_out FROM total WHERE day > ?", (oldest,))
    return SavedFigures(tuple(proxies), tuple(_numbers(row) for row in totals), ())


def _numbers(row: list[object] | tuple[object, ...]) -> tuple[int, int, int]:
    day, bytes_in, bytes_out = row
    if not (isinstance(day, int) and isinstance(bytes_in, int) and isinstance(bytes_out, int)):
        raise TypeError("its numbers are none")
    return day, bytes_in, bytes_out


def _write(database: sqlite3.Connection, figures: SavedFigures) -> None:
    gone = [(name,) for name in figures.forgotten]
    database.executemany("DELETE FROM proxy WHERE name = ?", gone)
    database.executemany(
        "DELETE FROM day WHERE name = ?", gone + [(one.name,) for one in figures.proxies]
    )
    database.executemany(
        "INSERT OR REPLACE INTO proxy VALUES (?, ?, ?)",
        [(one.name, one.proxy_type, int(one.seen_at)) for one in figures.proxies],
    )
    database.executemany(
        "INSERT OR REPLACE INTO day VALUES (?, ?, ?, ?)",
        [(one.name, *day) for one in figures.proxies for day in one.days],
    )
    database.executemany("INSERT OR REPLACE INTO total VALUES (?, ?, ?)", figures.total)


def _purge(database: sqlite3.Connection, now: float) -> None:
    oldest = local_day(now) - DAYS
    database.execute("DELETE FROM total WHERE day <= ?", (oldest,))
    database.execute("DELETE FROM day WHERE day <= ?", (oldest,))
    database.execute("DELETE FROM proxy WHERE seen_at <= ?", (now - DAYS * DAY_SECONDS,))
    (count,) = database.execute("SELECT count(*) FROM proxy").fetchone()
    if count > MAX_PROXIES:
        database.execute(
            "DELETE FROM proxy WHERE name IN (SELECT name FROM proxy ORDER BY seen_at LIMIT ?)",
            (count - MAX_PROXIES,),
        )
    database.execute("DELETE FROM day WHERE name NOT IN (SELECT name FROM proxy)")


def _set_aside(path: str, error: Exception, now: float) -> str:
    """Give the file another name, one for each day; return what to tell."""
    target = f"{path}.corrupt-{time.strftime('%Y-%m-%d', time.localtime(now))}"
    os.replace(path, target)
    for suffix in ("-wal", "-shm"):  # belong to it, and would spoil the next one
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path + suffix)
    return f"{path} cannot be used ({error}), it is {target} now"
