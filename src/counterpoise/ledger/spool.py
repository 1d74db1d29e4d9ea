"""The local queue every record enters first: SQLite, write-ahead log, `synchronous=FULL`.

A record is durable when `append` returns. A failed write is never tried again: after a failed
fsync the kernel may have dropped the pages and say "clean", so the spool is dead until the
daemon is started anew. What it holds is still read.
"""

import fcntl
import sqlite3
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from counterpoise.domain.errors import SpoolFailed

#: Largest total of bodies waiting, bytes: months of an outage at this daemon's rate.
BYTES_MAX: Final = 1 << 30
#: Bytes a row costs beside its body, counted so that empty bodies are bounded too.
_ROW_OVERHEAD_BYTES: Final = 64

_PRAGMAS: Final = (
    "journal_mode=wal",
    "synchronous=full",
    # macOS: a plain fsync stops at the drive's cache.
    "fullfsync=1",
    "checkpoint_fullfsync=1",
    "wal_autocheckpoint=2000",
)
# AUTOINCREMENT: a sequence number is never given twice, even after everything was deleted.
_TABLES: Final = (
    (
        "CREATE TABLE IF NOT EXISTS record (seq INTEGER PRIMARY KEY AUTOINCREMENT, "
        "table_name TEXT NOT NULL, body TEXT NOT NULL, created_ns INTEGER NOT NULL)"
    ),
    "CREATE TABLE IF NOT EXISTS identity (spool_id TEXT NOT NULL)",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRecord:
    """A record on its way into the spool."""

    #: Its table's name without the schema.
    table: str
    #: Canonical JSON of the record.
    body: str
    #: When it was made, ns.
    created_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpooledRecord:
    """A record in the spool."""

    #: Counted from 1, without repetition for the life of the spool.
    seq: int
    #: Its table's name without the schema.
    table: str
    #: Canonical JSON of the record.
    body: str
    #: When it was made, ns.
    created_ns: int


class Spool:
    """One directory's spool; at most one process has it open. Methods may run on any thread."""

    def __init__(self, directory: Path, *, bytes_max: int = BYTES_MAX) -> None:
        """Open or create it. Raises SpoolFailed when it is in use or cannot be written."""
        self._bytes_max = bytes_max
        self._writing = threading.Lock()
        self._reading = threading.Lock()
        self._failure: SpoolFailed | None = None
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Held open for the spool's life; the kernel frees it when the process dies.
            self._lock = (directory / "lock").open("a")
        except OSError as error:
            raise SpoolFailed(f"spool {directory} cannot be opened: {error}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise SpoolFailed(f"spool {directory} is in use by another process") from error
        try:
            self._open_database(directory / "spool.sqlite")
        except sqlite3.Error as error:
            self._lock.close()
            raise SpoolFailed(f"spool {directory} cannot be opened: {error}") from error

    def _open_database(self, path: Path) -> None:
        self._writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for pragma in _PRAGMAS:
            self._writer.execute(f"PRAGMA {pragma}")
        self._writer.execute("BEGIN IMMEDIATE")
        for table in _TABLES:
            self._writer.execute(table)
        found = self._writer.execute("SELECT spool_id FROM identity").fetchone()
        if found is None:
            found = (str(uuid.uuid4()),)
            self._writer.execute("INSERT INTO identity VALUES (?)", found)
        self._writer.execute("COMMIT")
        #: Names this spool's sequence numbers; another one only by `rename`.
        self.spool_id: str = found[0]
        self._reader = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        count, length = self._reader.execute(
            "SELECT count(*), coalesce(sum(length(CAST(body AS BLOB))), 0) FROM record"
        ).fetchone()
        self._bytes: int = length + count * _ROW_OVERHEAD_BYTES
        last = self._reader.execute("SELECT seq FROM sqlite_sequence").fetchone()
        self._last_seq: int = 0 if last is None else last[0]
        #: Newest number that was there at opening: what came later is this process's own.
        self.opened_seq: int = self._last_seq
        self._taken_seq = self._last_seq

    @property
    def failure(self) -> SpoolFailed | None:
        """Why nothing more is accepted; None = it works."""
        return self._failure

    @property
    def last_seq(self) -> int:
        """Sequence number of the newest durable record, 0 before the first."""
        return self._last_seq

    @property
    def taken_seq(self) -> int:
        """Newest number that anyone can have handed over: found at opening or read since."""
        return self._taken_seq

    @property
    def bytes_waiting(self) -> int:
        """Bytes of the records that were not deleted yet."""
        return self._bytes

    def append(self, records: Sequence[NewRecord]) -> int:
        """Store records in order, durable on return; give the first one's sequence number.

        Raises SpoolFailed, and from then on for ever.
        """
        assert records, "an empty batch has no sequence number"
        added = sum(len(record.body.encode()) + _ROW_OVERHEAD_BYTES for record in records)
        with self._writing:
            if self._failure is not None:
                raise self._failure
            if self._bytes + added > self._bytes_max:
                raise self._fail(f"spool is full: {self._bytes} of {self._bytes_max} bytes wait")
            first = self._last_seq + 1
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                last = first - 1
                for record in records:
                    cursor = self._writer.execute(
                        "INSERT INTO record (table_name, body, created_ns) VALUES (?, ?, ?)",
                        (record.table, record.body, record.created_ns),
                    )
                    last += 1
                    assert cursor.lastrowid == last, "the spool's numbers have a gap"
                self._writer.execute("COMMIT")
            except sqlite3.Error as error:
                raise self._fail(f"spool could not be written: {error}") from error
            self._bytes += added
            self._last_seq = last
        return first

    def read(self, after: int, limit: int, bytes_max: int) -> list[SpooledRecord]:
        """Return up to `limit` records behind `after`, at most `bytes_max` but at least one.

        Raises SpoolFailed; a disk that cannot be read counts as dead for writing too.
        """
        found: list[SpooledRecord] = []
        total = 0
        with self._reading:
            try:
                rows = self._reader.execute(
                    "SELECT seq, table_name, body, created_ns FROM record WHERE seq > ? "
                    "ORDER BY seq LIMIT ?",
                    (after, limit),
                )
                for seq, table, body, created_ns in rows:
                    total += len(body)
                    if found and total > bytes_max:
                        break
                    found.append(
                        SpooledRecord(seq=seq, table=table, body=body, created_ns=created_ns)
                    )
                rows.close()
            except sqlite3.Error as error:
                raise self._fail(f"spool could not be read: {error}") from error
            if found:
                self._taken_seq = max(self._taken_seq, found[-1].seq)
        return found

    def delete_through(self, seq: int) -> None:
        """Forget records up to `seq`, which Postgres has committed. Raises SpoolFailed."""
        self._delete_through(seq, None)

    def rename(self, spool_id: str, seq: int) -> None:
        """Take another name for the numbers above `seq`; forget the records up to it.

        They stay under the former name, which the caller knows to be committed. Raises
        SpoolFailed.
        """
        self._delete_through(seq, spool_id)
        self.spool_id = spool_id

    def _delete_through(self, seq: int, renamed: str | None) -> None:
        with self._writing:
            if self._failure is not None:
                raise self._failure
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                if renamed is not None:
                    self._writer.execute("UPDATE identity SET spool_id = ?", (renamed,))
                count, length = self._writer.execute(
                    "SELECT count(*), coalesce(sum(length(CAST(body AS BLOB))), 0) "
                    "FROM record WHERE seq <= ?",
                    (seq,),
                ).fetchone()
                self._writer.execute("DELETE FROM record WHERE seq <= ?", (seq,))
                self._writer.execute("COMMIT")
            except sqlite3.Error as error:
                raise self._fail(f"spool could not be written: {error}") from error
            self._bytes -= length + count * _ROW_OVERHEAD_BYTES

    def close(self) -> None:
        """Close the files and let another process in; safe to call twice."""
        with self._writing, self._reading:
            self._failure = self._failure or SpoolFailed("spool is closed")
            self._reader.close()
            self._writer.close()
            self._lock.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def _fail(self, message: str) -> SpoolFailed:
        # The first reason stays: it is the one that tells what happened.
        self._failure = self._failure or SpoolFailed(message)
        return self._failure
