"""The one write path of the record, and the only place that gives an order its third stamp.

`append` puts a record on an in-order queue; one thread writes the queue to the spool, as many
records per fsync as have gathered. The shipper takes them on to Postgres.
"""

import asyncio
import contextlib
import dataclasses
import itertools
import queue
import sqlite3
import threading
from typing import Any, Final

import structlog

from counterpoise.domain.errors import LedgerUnavailable, SpoolFailed
from counterpoise.domain.orders import ApprovedOrder, Durability, JournaledOrder
from counterpoise.domain.records import IntentWritten, Record
from counterpoise.ledger import codec, schema
from counterpoise.ledger.shipper import Shipper
from counterpoise.ledger.spool import NewRecord, Spool
from counterpoise.ports import Clock

#: Longest wait of an increase for its commit in Postgres, seconds.
INCREASE_WAIT_SECONDS_MAX: Final = 2.0
#: Longest wait for the local fsync, seconds; a reduction waits no longer for a hanging disk.
LOCAL_WAIT_SECONDS_MAX: Final = 1.0
#: Records waiting for the writer thread; more means the disk hangs.
QUEUE_RECORDS_MAX: Final = 50_000
#: Records per fsync.
GROUP_RECORDS_MAX: Final = 500

log = structlog.get_logger(__name__)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One thing on the queue, in the order it was appended."""

    #: None = nothing to store: a mark in the order that `flush` waits for.
    record: NewRecord | None
    #: Told the sequence number of the record, or of the newest one before a mark.
    future: asyncio.Future[int] | None


class PostgresJournal:
    """`ports.Journal` on the spool and the shipper. `append` belongs to the loop's thread."""

    def __init__(
        self,
        spool: Spool,
        shipper: Shipper,
        clock: Clock,
        *,
        increase_wait_seconds_max: float = INCREASE_WAIT_SECONDS_MAX,
        local_wait_seconds_max: float = LOCAL_WAIT_SECONDS_MAX,
    ) -> None:
        """Start the writer thread."""
        self._spool = spool
        self._shipper = shipper
        self._clock = clock
        self._increase_wait_seconds_max = increase_wait_seconds_max
        self._local_wait_seconds_max = local_wait_seconds_max
        self._counter = itertools.count(1)
        # None ends the thread.
        self._queue: queue.Queue[_Entry | None] = queue.Queue(QUEUE_RECORDS_MAX)
        self._failure: SpoolFailed | None = None
        #: Held to enter the queue, so that nothing can come behind the end of it.
        self._entering = threading.Lock()
        #: Records that could not be stored since the spool failed.
        self.lost_count = 0
        self._thread = threading.Thread(target=self._write, name="journal", daemon=True)
        self._thread.start()

    @property
    def failure(self) -> SpoolFailed | None:
        """Why records are no longer stored; None = they are."""
        return self._failure or self._spool.failure

    def append(self, record: Record) -> int:
        """Queue a record for the spool in order; return a local counter at once.

        Does not raise when the spool has failed (see `failure`): what happened has happened, and
        a reduction must not end because it could not be noted. Raises ValueError for NaN.
        """
        return self._put(record, None)

    async def journal_order(self, approved: ApprovedOrder, intent: IntentWritten) -> JournaledOrder:
        """Stamp an order once its intent and everything before it is committed.

        An increase waits for Postgres (LedgerUnavailable after the time limit, SpoolFailed when
        the disk is dead). A reduction waits for the local fsync only, and not even for that when
        the disk is dead or hangs: the log then is told, which is best effort. Its line leaves with
        the log's next turn, before or after the order, and is synced nowhere; a process killed in
        between, a full disk under the log or a reader of it that stalls loses the line, and the
        venue's own list of orders and executions is what is left.
        """
        _check_same_order(approved, intent)
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._put(intent, future)
        try:
            seq, durability = await self._stored(future), Durability.SPOOL
        except SpoolFailed as error:
            if approved.intent.increases:
                raise
            log.critical("journal.order_in_log_only", error=str(error), intent=_encode(intent))
            seq, durability = 0, Durability.LOG
        if approved.intent.increases:
            try:
                async with asyncio.timeout(self._increase_wait_seconds_max):
                    await self._shipper.committed(seq)
            except TimeoutError:
                raise LedgerUnavailable(
                    f"Postgres did not commit within {self._increase_wait_seconds_max} s"
                ) from None
            durability = Durability.POSTGRES
        return JournaledOrder(
            approved=approved,
            spool_seq=seq,
            durability=durability,
            journaled_ns=self._clock.now_ns(),
        )

    async def flush(self, timeout_seconds: float) -> bool:
        """Wait until Postgres has everything; False = it will not, or not in time.

        With a dead spool what it had stored before is waited for all the same.
        """
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout_seconds):
                self._enqueue(_Entry(record=None, future=future))
                try:
                    seq = await future
                except SpoolFailed:
                    if self._spool.failure is None:
                        return False
                    seq = self._spool.last_seq
                await self._shipper.committed(seq)
        except TimeoutError:
            return False
        except LedgerUnavailable:
            # Postgres has the last record, though only among the refused ones.
            return True
        return self.failure is None

    def close(self) -> None:
        """Store what is queued and end the thread; the spool stays open. Safe to call twice.

        What is appended from now on is lost and said to be, as after a dead disk. Any thread may;
        it takes up to two local waits.
        """
        with self._entering:
            self._failure = self._failure or SpoolFailed("the journal is closed")
        if self._thread.is_alive():
            # A full queue means the thread hangs in the disk; it ends with the process.
            with contextlib.suppress(queue.Full):
                self._queue.put(None, timeout=self._local_wait_seconds_max)
                self._thread.join(self._local_wait_seconds_max)

    # -- the loop's side ---------------------------------------------------------------------

    def _put(self, record: Record, future: asyncio.Future[int] | None) -> int:
        spoolable = NewRecord(
            table=schema.TABLE_NAMES[type(record)],
            body=_encode(record),
            created_ns=self._clock.now_ns(),
        )
        self._enqueue(_Entry(record=spoolable, future=future))
        return next(self._counter)

    def _enqueue(self, entry: _Entry) -> None:
        with self._entering:
            if self.failure is None:
                try:
                    self._queue.put_nowait(entry)
                except queue.Full:
                    self._failure = SpoolFailed(f"{QUEUE_RECORDS_MAX} records wait for the disk")
                else:
                    return
        self._lose([entry], self.failure or SpoolFailed("spool failed"))

    async def _stored(self, future: asyncio.Future[int]) -> int:
        try:
            async with asyncio.timeout(self._local_wait_seconds_max):
                return await future
        except TimeoutError:
            raise SpoolFailed(
                f"the local fsync took more than {self._local_wait_seconds_max} s"
            ) from None

    # -- the thread's side -------------------------------------------------------------------

    def _write(self) -> None:
        ended = False
        while not ended:
            entries: list[_Entry] = []
            entry = self._queue.get()
            while entry is not None:
                entries.append(entry)
                if len(entries) == GROUP_RECORDS_MAX:
                    break
                try:
                    entry = self._queue.get_nowait()
                except queue.Empty:
                    break
            ended = entry is None
            if entries:
                self._store(entries)

    def _store(self, entries: list[_Entry]) -> None:
        records = [entry.record for entry in entries if entry.record is not None]
        try:
            first = self._spool.append(records) if records else self._spool.last_seq + 1
        except SpoolFailed as error:
            self._lose(entries, error)
            return
        except (sqlite3.Error, OSError, AssertionError) as error:
            # The thread must live: what it cannot store it says, and nothing increases.
            self._failure = SpoolFailed(f"the spool broke: {error!r}")
            self._lose(entries, self._failure)
            return
        self._shipper.wake()
        seq = first - 1
        for entry in entries:
            if entry.record is not None:
                seq += 1
            if entry.future is not None:
                _resolve(entry.future, seq)

    def _lose(self, entries: list[_Entry], error: SpoolFailed) -> None:
        for entry in entries:
            if entry.record is not None:
                self.lost_count += 1
                # The log is the last place that can keep it.
                log.critical(
                    "journal.record_lost", table=entry.record.table, body=entry.record.body
                )
            if entry.future is not None:
                _resolve(entry.future, error)


class MemoryJournal:
    """`ports.Journal` that keeps records in a list, for tests and backtests."""

    def __init__(self, clock: Clock) -> None:
        """Start empty and available."""
        self._clock = clock
        #: Everything appended, in order; intents included.
        self.records: list[Record] = []
        #: False = Postgres is away: increases raise LedgerUnavailable.
        self.available = True
        #: Set = the spool is dead: every increase raises it.
        self.failure: SpoolFailed | None = None

    def append(self, record: Record) -> int:
        """Keep a record; return how many there are."""
        _encode(record)
        self.records.append(record)
        return len(self.records)

    async def journal_order(self, approved: ApprovedOrder, intent: IntentWritten) -> JournaledOrder:
        """Stamp an order; for an increase LedgerUnavailable while not `available`."""
        _check_same_order(approved, intent)
        increases = approved.intent.increases
        if self.failure is not None and increases:
            raise self.failure
        seq = self.append(intent)
        # Gives others a turn, as a real commit does.
        await asyncio.sleep(0)
        if increases and not self.available:
            raise LedgerUnavailable("Postgres did not commit: the journal was set unavailable")
        return JournaledOrder(
            approved=approved,
            spool_seq=seq,
            durability=_memory_durability(increases=increases, failed=self.failure is not None),
            journaled_ns=self._clock.now_ns(),
        )

    async def flush(self, timeout_seconds: float) -> bool:  # noqa: ARG002 - the port's signature
        """Return whether Postgres would have everything."""
        return self.available and self.failure is None


def _memory_durability(*, increases: bool, failed: bool) -> Durability:
    if increases:
        return Durability.POSTGRES
    return Durability.LOG if failed else Durability.SPOOL


def _check_same_order(approved: ApprovedOrder, intent: IntentWritten) -> None:
    assert intent.client_order_id == approved.intent.client_order_id, "the intent of another order"
    assert intent.reduce_only == approved.intent.reduce_only, "the intent of another order"
    assert intent.quantity == approved.quantity, "what is written is not what was approved"


def _encode(record: Record) -> str:
    try:
        return codec.encode(record)
    except UnicodeEncodeError:
        # A venue's message may hold half of a surrogate pair, which no encoding can store.
        texts: dict[str, Any] = {
            field.name: value.encode("utf-8", "replace").decode()
            for field in dataclasses.fields(record)
            if isinstance(value := getattr(record, field.name), str)
        }
        return codec.encode(dataclasses.replace(record, **texts))


def _resolve(future: asyncio.Future[int], result: int | SpoolFailed) -> None:
    def settle() -> None:
        if future.done():
            return
        if isinstance(result, SpoolFailed):
            future.set_exception(result)
        else:
            future.set_result(result)

    # The loop may have been closed while the thread was in the disk.
    with contextlib.suppress(RuntimeError):
        future.get_loop().call_soon_threadsafe(settle)
