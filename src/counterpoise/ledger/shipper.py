"""Moves records from the spool to Postgres: in order, each exactly once.

One transaction moves a batch and the spool's cursor. Whether a transaction whose COMMIT got lost
took place is read from the cursor after reconnecting, so nothing is guessed or repeated.
"""

import asyncio
import contextlib
import heapq
import itertools
import random
import uuid
from collections import defaultdict, deque
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import psycopg
import sqlalchemy as sa
import structlog
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from counterpoise.domain.errors import LedgerUnavailable, SpoolFailed
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.ledger import chain, codec, connections, schema
from counterpoise.ledger.partitions import Partitions
from counterpoise.ledger.sealer import ADOPTED_PLACES_MAX, Sealer
from counterpoise.ledger.spool import Spool, SpooledRecord
from counterpoise.ports import Clock

Result = TypeVar("Result")

#: Records per transaction.
BATCH_RECORDS_MAX: Final = 200
#: Bytes of bodies per transaction.
BATCH_BYTES_MAX: Final = 4 << 20
#: Pause before connecting again, seconds: the first and the longest.
BACKOFF_SECONDS_MIN: Final = 0.05
BACKOFF_SECONDS_MAX: Final = 2.0
#: With nothing to move, how often the server is asked whether it is there, seconds.
PING_SECONDS: Final = 1.0
#: Shipped records that may stay in the spool before they are deleted under load.
SHIPPED_KEPT_MAX: Final = 5_000
#: Longest wait for connections to close at the end, seconds.
END_SECONDS_MAX: Final = 1.0
#: Refused records remembered by number.
REFUSED_KEPT_MAX: Final = 1_000

#: How an outage shows: whatever ends the session without being a record's own fault.
_AWAY: Final = (SQLAlchemyError, psycopg.Error, OSError, TimeoutError, LedgerUnavailable)

_REFUSED: Final = "Postgres refused the record; see audit.refused_record"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parcel:
    """A spooled record made ready for its table."""

    spooled: SpooledRecord
    #: Columns of its table; None = it goes to `refused_record`.
    row: dict[str, Any] | None
    #: Why it was refused; "" = it was not.
    error: str


class Shipper:
    """The only writer of audit rows, and the one that seals them."""

    def __init__(self, spool: Spool, dsn: str, clock: Clock, *, chain_name: str) -> None:
        """Prepare; nothing is opened before `run`. `chain_name` is "venue:account"."""
        self._spool = spool
        self._dsn = dsn
        self._partitions = Partitions(clock)
        self._sealer = Sealer(chain_name, spool.spool_id, clock)
        self._clock = clock
        self._engine: AsyncEngine = create_async_engine(
            connections.sqlalchemy_url(dsn),
            poolclass=NullPool,
            connect_args=connections.connect_arguments("counterpoise shipper"),
        )
        self._available = False
        self._cursor = 0
        self._deleted = 0
        self._behind_ns: int | None = None
        self._backoff_seconds = BACKOFF_SECONDS_MIN
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()
        #: Who waits for a commit: (sequence number, tie break, future).
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []
        self._tie = itertools.count()
        #: What was given up at its time limit and may still be ending.
        self._abandoned: set[asyncio.Task[Any]] = set()
        #: Newest records that Postgres would not take, for waiters that come late.
        self._refused: deque[int] = deque(maxlen=REFUSED_KEPT_MAX)
        #: Records that Postgres would not take since the start.
        self.refused_count = 0
        #: A dead disk was said: it stays dead, and once is enough.
        self._said_dead = False

    # -- what others ask ---------------------------------------------------------------------

    def health(self) -> tuple[bool, float]:
        """Return whether Postgres takes commits now, and for how long records wait, seconds."""
        if self._cursor >= self._spool.last_seq:
            self._behind_ns = None
            return self._available, 0.0
        # Counted from the first record since it was caught up: asking the disk could hold the loop.
        now_ns = self._clock.now_ns()
        self._behind_ns = now_ns if self._behind_ns is None else self._behind_ns
        return self._available, (now_ns - self._behind_ns) / NS_PER_SECOND

    @property
    def sealer(self) -> Sealer:
        """The chain's end, for whoever publishes it."""
        return self._sealer

    def wake(self) -> None:
        """Tell it that the spool has new records; any thread may."""
        if self._behind_ns is None:
            self._behind_ns = self._clock.now_ns()
        loop = self._loop
        if loop is not None:
            # A loop that was closed meanwhile has no use for news.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._news.set)

    async def committed(self, seq: int) -> None:
        """Wait until Postgres has committed everything up to `seq`; the caller sets the limit.

        Raises LedgerUnavailable when Postgres took the record only as a refused one.
        """
        if seq <= self._cursor:
            if seq in self._refused:
                raise LedgerUnavailable(_REFUSED)
            return
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiters, (seq, next(self._tie), future))
        await future

    # -- the loop ----------------------------------------------------------------------------

    async def run(self) -> None:
        """Ship until cancelled; reconnect for ever with back-off.

        A spool that failed does not end it: what is stored and can be read still goes to Postgres.
        """
        self._loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    await self._session()
                except _AWAY as error:
                    if self._available:
                        log.warning(
                            "ledger.away",
                            error=connections.words(error, self._dsn).partition("\n")[0],
                        )
                    self._available = False
                except SpoolFailed as error:
                    self._say_dead(error)
                    self._available = False
                    self._backoff_seconds = BACKOFF_SECONDS_MAX
                await asyncio.sleep(self._backoff_seconds * random.uniform(0.5, 1.0))  # noqa: S311
                self._backoff_seconds = min(self._backoff_seconds * 2, BACKOFF_SECONDS_MAX)
        finally:
            self._loop = None
            self._available = False
            await self._end_abandoned()

    async def _session(self) -> None:
        connection = await self._timed(self._connect(), interruptible=False)
        try:
            self._cursor = await self._found_cursor(connection)
            await self._timed(self._sealer.read_head(connection))
            await self._adopt(connection)
            await self._timed(self._partitions.ensure(connection))
            if not self._available:
                log.info("ledger.available", cursor=self._cursor, newest=self._spool.last_seq)
            self._available = True
            self._backoff_seconds = BACKOFF_SECONDS_MIN
            self._wake_waiters()
            while True:
                self._news.clear()
                batch = await self._read()
                if batch:
                    await self._ship([_prepare(spooled) for spooled in batch], connection)
                    if self._cursor - self._deleted > SHIPPED_KEPT_MAX:
                        await self._delete_shipped()
                else:
                    await self._idle(connection)
        finally:
            # A frozen server must not hold the loop: the connection ends in the background.
            self._abandon(asyncio.ensure_future(_end(connection)))

    async def _read(self) -> list[SpooledRecord]:
        # On a thread: a disk that hangs must not hold the loop, where the guard lives.
        if self._cursor >= self._spool.last_seq:
            return []
        try:
            return await asyncio.to_thread(
                self._spool.read, self._cursor, BATCH_RECORDS_MAX, BATCH_BYTES_MAX
            )
        except SpoolFailed as error:
            # Asked again at the next look: a page that could not be read once may be readable.
            self._say_dead(error)
            return []

    async def _idle(self, connection: AsyncConnection) -> None:
        try:
            async with asyncio.timeout(PING_SECONDS):
                await self._news.wait()
        except TimeoutError:
            await self._delete_shipped()
            await self._timed(_ping(connection))
            await self._timed(self._partitions.ensure(connection))

    async def _delete_shipped(self) -> None:
        if self._deleted >= self._cursor or self._spool.failure is not None:
            return
        before, self._deleted = self._deleted, self._cursor
        try:
            await asyncio.to_thread(self._spool.delete_through, self._cursor)
        except SpoolFailed as error:
            # They stay, below the cursor: the next start passes over them.
            self._deleted = before
            self._say_dead(error)

    def _say_dead(self, error: SpoolFailed) -> None:
        # No increase goes out meanwhile: the journal's failure says so to whoever asks.
        if not self._said_dead:
            log.critical(
                "spool.failed", error=str(error), reason="nothing increases until a restart"
            )
        self._said_dead = True

    async def _connect(self) -> AsyncConnection:
        connection = await self._engine.connect()
        known = sa.text(
            "SELECT pg_catalog.pg_has_role(oid, 'MEMBER') FROM pg_catalog.pg_roles "
            "WHERE rolname = :role"
        )
        if (await connection.execute(known, {"role": schema.WRITER_ROLE})).scalar():
            await connection.execute(sa.text(f'SET ROLE "{schema.WRITER_ROLE}"'))
        await connection.commit()
        return connection

    async def _found_cursor(self, connection: AsyncConnection) -> int:
        cursor = await self._timed(_read_cursor(connection, self._spool.spool_id, 0))
        if cursor < self._deleted:
            # The database was restored to an earlier state: what lies between is nowhere else.
            log.error("ledger.gap", database=cursor, deleted=self._deleted)
        if cursor <= self._spool.taken_seq:
            return cursor
        # The spool is an older one than Postgres knows (a restored directory, a lost tail): the
        # numbers up to the cursor are given away. What was found at opening is among what was
        # handed over; what came since is new, and goes on under a name nobody has counted yet.
        # The cursor comes first: a crash between the two leaves a name that nobody uses.
        if self._spool.failure is not None:
            # It cannot take another name any more, and none is left behind for each attempt.
            raise self._spool.failure
        through = max(self._spool.opened_seq, self._cursor)
        renamed = str(uuid.uuid4())
        log.error("ledger.spool_older", database=cursor, spool=through, renamed=renamed)
        await self._timed(_read_cursor(connection, renamed, through))
        await asyncio.to_thread(self._spool.rename, renamed, through)
        self._sealer.spool_id = renamed
        self._deleted = through
        return through

    async def _adopt(self, connection: AsyncConnection) -> None:
        # Rows an older version of this daemon stored stand outside any chain: seal them first.
        through = await self._timed(self._sealer.unsealed_through(connection, self._cursor))
        for first in range(1, through + 1, ADOPTED_PLACES_MAX):
            last = min(first + ADOPTED_PLACES_MAX - 1, through)
            await self._timed(self._sealer.adopt(connection, first, last))

    async def _ship(self, parcels: Sequence[_Parcel], connection: AsyncConnection) -> None:
        # Halves a batch that holds a record Postgres cannot take, until that one stands alone.
        try:
            await self._timed(self._move(parcels, connection))
        except (DataError, IntegrityError) as error:
            if len(parcels) > 1:
                middle = len(parcels) // 2
                await self._ship(parcels[:middle], connection)
                await self._ship(parcels[middle:], connection)
                return
            log.error("ledger.record_refused", seq=parcels[0].spooled.seq, error=str(error.orig))
            refused = _Parcel(spooled=parcels[0].spooled, row=None, error=str(error.orig))
            parcels = [refused]
            await self._timed(self._move(parcels, connection))
        refused_seqs = [parcel.spooled.seq for parcel in parcels if parcel.row is None]
        self.refused_count += len(refused_seqs)
        self._refused.extend(refused_seqs)
        self._cursor = parcels[-1].spooled.seq
        if self._cursor >= self._spool.last_seq:
            self._behind_ns = None
        self._wake_waiters()

    async def _move(self, parcels: Sequence[_Parcel], connection: AsyncConnection) -> None:
        rows: defaultdict[sa.Table, list[dict[str, Any]]] = defaultdict(list)
        spool_id = self._spool.spool_id
        leaves: dict[int, bytes] = {}
        for parcel in parcels:
            spooled = parcel.spooled
            table, row = schema.REFUSED, parcel.row
            if row is not None:
                table = schema.TABLES[schema.RECORD_TYPES[spooled.table]]
            else:
                row = {"table_name": spooled.table, "body": spooled.body, "error": parcel.error}
            leaves[spooled.seq] = chain.leaf(str(table.name), spool_id, spooled.seq, row)
            rows[table].append(row | {"spool_id": spool_id, "spool_seq": spooled.seq})
        cursor = schema.SPOOL_CURSOR
        async with connection.begin():
            moved = await connection.execute(
                sa.update(cursor)
                .where(cursor.c.spool_id == spool_id)
                .where(cursor.c.last_seq == self._cursor)
                .values(last_seq=parcels[-1].spooled.seq, updated_at=sa.func.clock_timestamp())
            )
            if moved.rowcount != 1:
                # A transaction given up at its time limit took place after all: look again.
                raise LedgerUnavailable("the spool's cursor moved")
            for table, values in rows.items():
                insert = postgresql.insert(table)
                if table.name not in schema.REPEATABLE:
                    await connection.execute(insert, values)
                    continue
                # Only what was stored is sealed: a fact told twice is one row.
                once = insert.on_conflict_do_nothing().returning(table.c.spool_seq)
                stored = set((await connection.execute(once, values)).scalars())
                for repeated in {row["spool_seq"] for row in values} - stored:
                    del leaves[repeated]
            head = await self._sealer.seal(connection, leaves)
        self._sealer.committed(head)

    # -- plumbing ----------------------------------------------------------------------------

    def _wake_waiters(self) -> None:
        while self._waiters and self._waiters[0][0] <= self._cursor:
            seq, _, future = heapq.heappop(self._waiters)
            if future.done():
                continue
            if seq in self._refused:
                future.set_exception(LedgerUnavailable(_REFUSED))
            else:
                future.set_result(None)

    async def _timed(
        self, work: Coroutine[Any, Any, Result], *, interruptible: bool = True
    ) -> Result:
        # Cancelling psycopg waits until the server has answered the cancel, which a frozen one
        # never does. Hence the work is left behind instead of awaited to its end. Connecting is
        # not interrupted: it has a limit of its own, and half a connection would stay open.
        task = asyncio.ensure_future(work)
        try:
            done, _ = await asyncio.wait({task}, timeout=connections.ROUND_TRIP_SECONDS)
            if done:
                return task.result()
        except asyncio.CancelledError:
            self._abandon(task, interrupt=interruptible)
            raise
        self._abandon(task, interrupt=interruptible)
        raise LedgerUnavailable("Postgres did not answer in time")

    def _abandon(self, task: asyncio.Task[Any], *, interrupt: bool = False) -> None:
        self._abandoned.add(task)
        task.add_done_callback(self._ended)
        if interrupt:
            task.cancel()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._abandoned.discard(task)
        # Asking for the exception keeps asyncio from reporting what nobody waits for.
        if task.cancelled() or task.exception() is not None:
            return
        if isinstance(task.result(), AsyncConnection):
            self._abandon(asyncio.ensure_future(_end(task.result())))

    async def _end_abandoned(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS_MAX):
                while self._abandoned:
                    await asyncio.wait(self._abandoned)
        for task in self._abandoned:
            task.cancel()


def _prepare(spooled: SpooledRecord) -> _Parcel:
    record_type = schema.RECORD_TYPES.get(spooled.table)
    if record_type is None:
        return _Parcel(spooled=spooled, row=None, error=f"no table {spooled.table}")
    try:
        record = codec.decode(spooled.body, record_type)
    except ValueError as error:
        log.error("ledger.record_refused", seq=spooled.seq, error=str(error))
        return _Parcel(spooled=spooled, row=None, error=str(error))
    return _Parcel(spooled=spooled, row=schema.row_of(record), error="")


async def _read_cursor(connection: AsyncConnection, spool_id: str, begin: int) -> int:
    # `begin`: what a name that was never seen starts from.
    table = schema.SPOOL_CURSOR
    async with connection.begin():
        await connection.execute(
            postgresql.insert(table)
            .values(spool_id=spool_id, last_seq=begin)
            .on_conflict_do_nothing()
        )
        found = await connection.execute(
            sa.select(table.c.last_seq).where(table.c.spool_id == spool_id)
        )
        return int(found.scalar_one())


async def _ping(connection: AsyncConnection) -> None:
    await connection.execute(sa.text("SELECT 1"))
    await connection.rollback()


async def _end(connection: AsyncConnection) -> None:
    # `invalidate` skips the roundtrip of a rollback, which a dead server would not answer.
    with contextlib.suppress(*_AWAY):
        await connection.invalidate()
        await connection.close()
