"""The account's one writer: a Postgres session lock, an epoch and a heartbeat.

The advisory lock says at once that another daemon lives; the row's epoch is the fencing token,
and its heartbeat bounds how long a holder that lost its connection may still believe. The lock
is a session's, so the connection must be a direct one (a transaction pool would share it).
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import psycopg
import structlog

from counterpoise.domain.errors import LeaseLost, StartRefused
from counterpoise.ledger import connections, schema
from counterpoise.ports import Clock

#: How long a heartbeat is believed, seconds.
TTL_SECONDS: Final = 10.0
#: Time between heartbeats, seconds: a lease that was taken by force is noticed within a second.
BEAT_SECONDS: Final = TTL_SECONDS / 20
#: A start waits this much longer than a heartbeat is believed, seconds.
WAIT_SECONDS: Final = 2.0
#: The holder stops this long before anyone else may start, seconds.
MARGIN_SECONDS: Final = 1.0
#: How often a start looks again at a lease that may be dead, seconds.
_POLL_SECONDS: Final = 0.25

_AWAY: Final = (psycopg.Error, OSError, TimeoutError)

_READ: Final = (
    "SELECT epoch, holder, machine, released, heartbeat_at, "
    "extract(epoch FROM clock_timestamp() - heartbeat_at)::float8 FROM ops.lease WHERE name = %s"
)
# The row must still be what was judged: (epoch, heartbeat) in the WHERE clause is the compare.
_TAKE: Final = (
    "UPDATE ops.lease SET epoch = epoch + 1, holder = %s, machine = %s, released = false, "
    "acquired_at = clock_timestamp(), heartbeat_at = clock_timestamp() "
    "WHERE name = %s AND epoch = %s AND heartbeat_at = %s RETURNING epoch"
)
_CREATE: Final = (
    "INSERT INTO ops.lease (name, epoch, holder, machine, released, acquired_at, heartbeat_at) "
    "VALUES (%s, %s, %s, %s, false, clock_timestamp(), clock_timestamp()) "
    "ON CONFLICT (name) DO NOTHING RETURNING epoch"
)
_BEAT: Final = (
    "UPDATE ops.lease SET heartbeat_at = clock_timestamp() WHERE name = %s AND epoch = %s"
)
_RELEASE: Final = "UPDATE ops.lease SET released = true WHERE name = %s AND epoch = %s"
_LOCK: Final = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"

log = structlog.get_logger(__name__)


class Lease:
    """One daemon's claim to write for one account."""

    def __init__(
        self, dsn: str, name: str, clock: Clock, *, ttl_seconds: float = TTL_SECONDS
    ) -> None:
        """Prepare; nothing is opened before `acquire`. `name` is "<venue>:<account_id>"."""
        self._dsn = dsn
        self._name = name
        self._clock = clock
        self._ttl_seconds = ttl_seconds
        self._holder = f"{socket.gethostname()}:{os.getpid()}"
        self._machine = _machine()
        self._connection: psycopg.AsyncConnection[tuple[Any, ...]] | None = None
        self._locked = False
        self._epoch: int | None = None
        self._valid_until = 0.0
        self._fenced = False

    @property
    def epoch(self) -> int:
        """The fencing token. Only after `acquire`."""
        assert self._epoch is not None, "the lease was not acquired"
        return self._epoch

    @property
    def fenced(self) -> bool:
        """True once another epoch was seen: another daemon writes, nothing more may be sent."""
        return self._fenced

    def may_increase(self) -> bool:
        """Tell whether nobody else can have taken the lease yet; ask right before each order."""
        margin = min(MARGIN_SECONDS, self._ttl_seconds / 5)
        return not self._fenced and self._clock.monotonic() < self._valid_until - margin

    async def acquire(self) -> int:
        """Take the lease and return its epoch.

        Waits while the last holder may still believe that it holds it: at most one TTL, and not
        at all when it released it or its process is gone from this machine. Raises StartRefused
        naming a holder that lives, or when Postgres does not answer.
        """
        deadline = self._clock.monotonic() + self._ttl_seconds + WAIT_SECONDS
        first_beat: object = None
        try:
            await self._connect()
            while True:
                row = await self._row()
                if await self._take(row):
                    return self.epoch
                if row is not None:
                    first_beat = first_beat or row[4]
                    if row[4] != first_beat or (self._held_here(row) and not self._locked):
                        raise StartRefused(self._refusal(row))
                if self._clock.monotonic() >= deadline:
                    raise StartRefused(self._refusal(row))
                await asyncio.sleep(_POLL_SECONDS)
        except _AWAY as error:
            await self._drop()
            raise StartRefused(f"the lease cannot be taken: {self._words(error)}") from error
        except BaseException:
            await self._drop()
            raise

    async def beat(self) -> bool:
        """Prolong the lease; False = Postgres does not answer, try again.

        The epoch stays as long as nobody else took the lease, whatever became of the
        connection. Raises LeaseLost when somebody did.
        """
        if self._fenced:
            raise LeaseLost(f"lease {self._name} was taken by another daemon")
        # A connection that broke since the last beat shows only now: once more on a new one.
        fresh = self._connection is None
        return await self._try_beat() or (not fresh and await self._try_beat())

    async def run(self, on_beat: Callable[[bool], Awaitable[None] | None] | None = None) -> None:
        """Beat until cancelled, telling `on_beat` whether each one held. Raises LeaseLost."""
        while True:
            held = await self.beat()
            if on_beat is not None:
                told = on_beat(held)
                if told is not None:
                    await told
            beat_seconds = min(BEAT_SECONDS, self._ttl_seconds / 5)
            await asyncio.sleep(beat_seconds if held else _POLL_SECONDS)

    async def release(self) -> None:
        """Give the lease up, so that the next daemon need not wait; safe to call twice."""
        self._valid_until = 0.0
        if self._epoch is not None and not self._fenced:
            with contextlib.suppress(*_AWAY):
                async with asyncio.timeout(connections.ROUND_TRIP_SECONDS):
                    await self._connect()
                    await self._execute(_RELEASE, self._name, self._epoch)
        await self._drop()

    # -- the row -----------------------------------------------------------------------------

    async def _take(self, row: tuple[Any, ...] | None) -> bool:
        if not self._locked:
            return False
        started = self._clock.monotonic()
        if row is None:
            taken = await self._execute(_CREATE, self._name, 1, self._holder, self._machine)
        else:
            epoch, _, _, released, heartbeat, age_seconds = row
            if not (released or age_seconds > self._ttl_seconds or self._died_here(row)):
                return False
            taken = await self._execute(
                _TAKE, self._holder, self._machine, self._name, epoch, heartbeat
            )
        found = await taken.fetchone()
        if found is None:
            return False
        self._epoch = int(found[0])
        self._valid_until = started + self._ttl_seconds
        log.info("lease.acquired", name=self._name, epoch=self._epoch)
        return True

    async def _try_beat(self) -> bool:
        started = self._clock.monotonic()
        try:
            async with asyncio.timeout(self._ttl_seconds / 3):
                await self._connect()
                kept = await self._execute(_BEAT, self._name, self.epoch)
                if kept.rowcount != 1:
                    await self._recreate()
        except _AWAY as error:
            log.warning("lease.away", error=self._words(error))
            await self._drop()
            return False
        self._valid_until = started + self._ttl_seconds
        return True

    async def _recreate(self) -> None:
        # No row with our epoch: either another daemon's, or a database that lost the row.
        row = await self._row()
        if row is None:
            await self._execute(_CREATE, self._name, self.epoch, self._holder, self._machine)
            row = await self._row()
        if row is None or row[0] != self.epoch:
            self._fenced = True
            self._valid_until = 0.0
            raise LeaseLost(self._refusal(row))

    async def _row(self) -> tuple[Any, ...] | None:
        if not self._locked:
            locked = await (await self._execute(_LOCK, self._name)).fetchone()
            self._locked = locked == (True,)
        return await (await self._execute(_READ, self._name)).fetchone()

    def _died_here(self, row: tuple[Any, ...]) -> bool:
        # Its session lock is free (we have it) and its process is gone: nobody believes any more.
        holder, machine = row[1], row[2]
        if not machine or machine != self._machine:
            return False
        pid = int(holder.rpartition(":")[2])
        return pid == os.getpid() or not _alive(pid)

    def _held_here(self, row: tuple[Any, ...]) -> bool:
        return bool(row[2]) and row[2] == self._machine and not row[3] and not self._died_here(row)

    def _refusal(self, row: tuple[Any, ...] | None) -> str:
        holder = "another session" if row is None else f"{row[1]} (epoch {row[0]})"
        return f"lease {self._name} is held by {holder}; stop that daemon first"

    # -- the connection ----------------------------------------------------------------------

    async def _connect(self) -> None:
        if self._connection is None or self._connection.closed:
            self._locked = False
            self._connection = await connections.open_async(
                self._dsn, "counterpoise lease", schema.WRITER_ROLE
            )
            if self._epoch is not None:
                # After a reconnect the lock is taken again if it is free; the row decides.
                await self._execute(_LOCK, self._name)

    async def _execute(self, statement: str, *values: object) -> psycopg.AsyncCursor[Any]:
        assert self._connection is not None, "not connected"
        async with asyncio.timeout(connections.ROUND_TRIP_SECONDS):
            return await self._connection.execute(statement, values)

    def _words(self, error: BaseException) -> str:
        said = connections.words(error, self._dsn).partition("\n")[0]
        return said or type(error).__name__

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        self._locked = False
        if connection is not None:
            with contextlib.suppress(*_AWAY):
                await connection.close()


def _machine() -> str:
    # Names this boot and this process table, so that a pid means the same to both; "" = unknown.
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        table = Path("/proc/self/ns/pid").readlink()
    except OSError:
        return ""
    return f"{boot} {table}"


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    # A zombie waits for its parent and runs no code.
    return state not in ("Z", "X")
