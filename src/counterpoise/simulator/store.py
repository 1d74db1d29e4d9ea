"""The simulator's memory on disk: every command before it is carried out, and now and then a state.

The exchange is a pure function of its seed, its commands and the instants they came at. So the
commands are what must not be lost: each is committed (fsync) before it is carried out and before
its answer leaves. A restart takes the last whole state and carries out the commands after it.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: Layout of the file; another number is refused rather than guessed at.
SCHEMA_VERSION: Final = 1

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS command (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at_ns INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS whole (
    id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS accepted (
    order_id TEXT PRIMARY KEY, seq INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
"""


class StateUnreadable(Exception):
    """The state file is damaged or was written by another version; start with `--fresh`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCommand:
    """One command as it was written."""

    #: Market time it was carried out at, ns.
    at_ns: int
    #: Canonical JSON of the command.
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredOrder:
    """One order that was ever taken."""

    #: The venue's id.
    order_id: str
    #: Its place among all orders.
    sequence: int
    #: Canonical JSON of it.
    body: bytes


class Store:
    """One SQLite file. Writes return when they are on disk, if it is `durable`."""

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        self._durable = durable
        self._connection = sqlite3.connect(path, isolation_level=None)
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
            self._connection.executescript(_SCHEMA)
            version = self.value("schema_version")
        except sqlite3.DatabaseError as damage:
            self._connection.close()
            raise StateUnreadable(f"{path}: {damage}; start it with --fresh") from damage
        if version is None:
            self.put("schema_version", str(SCHEMA_VERSION))
        elif version != str(SCHEMA_VERSION):
            self._connection.close()
            raise StateUnreadable(
                f"{path} has layout {version}, this simulator reads {SCHEMA_VERSION};"
                " start it with --fresh"
            )

    def value(self, name: str) -> str | None:
        """Return a named figure; None = never written."""
        row = self._connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def put_lightly(self, name: str, value: str) -> None:
        """Write a named figure that survives the end of the process, not that of the machine."""
        if not self._durable:
            self.put(name, value)
            return
        self._connection.execute("PRAGMA synchronous = NORMAL")
        try:
            self.put(name, value)
        finally:
            self._connection.execute("PRAGMA synchronous = FULL")

    def put(self, name: str, value: str) -> None:
        """Write a named figure."""
        self._connection.execute(
            "INSERT INTO meta VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, value),
        )

    def append(self, at_ns: int, bodies: Sequence[bytes]) -> None:
        """Write commands in order, all or none, before they are carried out."""
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(
            "INSERT INTO command (at_ns, body) VALUES (?, ?)", [(at_ns, body) for body in bodies]
        )
        self._connection.execute("COMMIT")

    def keep(self, body: bytes, accepted: Sequence[StoredOrder] = ()) -> None:
        """Write a whole state that contains every command so far, and forget those.

        `accepted` are the orders that were taken or changed since the last one.
        """
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(
            "INSERT INTO accepted VALUES (?, ?, ?)"
            " ON CONFLICT (order_id) DO UPDATE SET body = excluded.body",
            [(each.order_id, each.sequence, each.body) for each in accepted],
        )
        row = self._connection.execute("SELECT coalesce(max(seq), 0) FROM command").fetchone()
        seq = int(row[0])
        self._connection.execute(
            "INSERT INTO whole VALUES (1, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, body = excluded.body",
            (seq, body),
        )
        self._connection.execute("DELETE FROM command WHERE seq <= ?", (seq,))
        self._connection.execute("COMMIT")

    def whole(self) -> bytes | None:
        """Return the last whole state; None = none yet."""
        row = self._connection.execute("SELECT body FROM whole").fetchone()
        return None if row is None else bytes(row[0])

    def commands(self) -> list[StoredCommand]:
        """Return the commands after the last whole state, in order."""
        rows = self._connection.execute("SELECT at_ns, body FROM command ORDER BY seq")
        return [StoredCommand(at_ns=int(at_ns), body=bytes(body)) for at_ns, body in rows]

    def accepted(self) -> list[bytes]:
        """Return every order that was ever taken, as last kept, in the order they came."""
        rows = self._connection.execute("SELECT body FROM accepted ORDER BY seq")
        return [bytes(row[0]) for row in rows]

    def close(self) -> None:
        """Release the file; safe to call twice."""
        self._connection.close()
