"""One writer per account: taking over, keeping, losing."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from counterpoise.domain.errors import LeaseLost, StartRefused
from counterpoise.ledger.lease import Lease
from ledger_samples import RealClock, SetClock

NAME = "okx:7"
TESTS = Path(__file__).parents[1]

HOLDER = """
import asyncio, sys
from ledger_samples import RealClock
from counterpoise.ledger.lease import Lease

async def main():
    lease = Lease(sys.argv[1], sys.argv[2], RealClock())
    print("epoch", await lease.acquire(), flush=True)
    await lease.run()

asyncio.run(main())
"""


def cut(dsn: str) -> None:
    """End the sessions that hold leases, as a network would."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name = 'counterpoise lease'"
        )


def change(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement)


def holder_process(dsn: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, dsn, NAME],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{TESTS.parent / 'src'}:{TESTS}"},
    )


async def test_a_released_lease_passes_on_at_once_with_the_next_epoch(database: str) -> None:
    first, second = (Lease(database, NAME, RealClock()) for _ in range(2))
    assert await first.acquire() == 1
    assert first.may_increase()
    await first.release()
    assert not first.may_increase()
    started = time.monotonic()
    assert await second.acquire() == 2
    assert time.monotonic() - started < 1.0
    await second.release()


async def test_accounts_do_not_disturb_each_other(database: str) -> None:
    first, other = Lease(database, NAME, RealClock()), Lease(database, "okx:8", RealClock())
    assert await first.acquire() == 1
    assert await other.acquire() == 1
    await first.release()
    await other.release()


async def test_a_living_holder_is_named_and_keeps_it(database: str) -> None:
    with holder_process(database) as holder:
        try:
            assert holder.stdout is not None
            # A log line may come first.
            assert "epoch 1\n" in (holder.stdout.readline(), holder.stdout.readline())
            started = time.monotonic()
            with pytest.raises(StartRefused, match=f"{socket.gethostname()}:{holder.pid}"):
                await Lease(database, NAME, RealClock()).acquire()
            assert time.monotonic() - started < 2.0
        finally:
            # Killed by 9: its process is gone, so nobody waits out its time.
            holder.kill()
            holder.wait()
        after = Lease(database, NAME, RealClock())
        started = time.monotonic()
        assert await after.acquire() == 2
        assert time.monotonic() - started < 2.0
        await after.release()


async def test_a_holder_elsewhere_is_waited_for(database: str) -> None:
    first = Lease(database, NAME, RealClock(), ttl_seconds=1.0)
    await first.acquire()
    # As if on another machine: whether it lives cannot be known.
    change(database, "UPDATE ops.lease SET machine = 'other', holder = 'elsewhere:1'")
    cut(database)
    second = Lease(database, NAME, RealClock(), ttl_seconds=1.0)
    started = time.monotonic()
    assert await second.acquire() == 2
    assert 0.6 < time.monotonic() - started < 3.0
    # By then the first one had stopped, and now it knows.
    assert not first.may_increase()
    assert not first.fenced
    with pytest.raises(LeaseLost, match="epoch 2"):
        await first.beat()
    assert first.fenced
    with pytest.raises(LeaseLost):
        await first.beat()
    # It must not give away what is not its own.
    await first.release()
    assert await second.beat()
    await second.release()


async def test_a_holder_elsewhere_that_beats_is_left_alone(database: str) -> None:
    first = Lease(database, NAME, RealClock(), ttl_seconds=1.0)
    await first.acquire()
    change(database, "UPDATE ops.lease SET machine = 'other', holder = 'elsewhere:1'")
    cut(database)
    beating = asyncio.create_task(first.run())
    with pytest.raises(StartRefused, match="elsewhere:1"):
        await Lease(database, NAME, RealClock(), ttl_seconds=1.0).acquire()
    assert first.may_increase()
    assert not first.fenced
    beating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await beating
    await first.release()


async def test_a_lease_taken_by_force_stops_every_send_within_a_second(database: str) -> None:
    lease = Lease(database, NAME, RealClock())
    await lease.acquire()
    beating = asyncio.create_task(lease.run())
    await asyncio.sleep(1.2)
    assert lease.may_increase()
    change(database, "UPDATE ops.lease SET epoch = epoch + 1, holder = 'elsewhere:1'")
    taken = time.monotonic()
    with pytest.raises(LeaseLost, match="elsewhere:1"):
        async with asyncio.timeout(5):
            await beating
    assert time.monotonic() - taken < 1.0
    # What the performer asks right before each send: no increase, and no reduction either.
    assert not lease.may_increase()
    assert lease.fenced
    await lease.release()


async def test_a_lost_connection_keeps_the_epoch(database: str) -> None:
    lease = Lease(database, NAME, RealClock())
    assert await lease.acquire() == 1
    cut(database)
    assert await lease.beat()
    assert (lease.epoch, lease.fenced, lease.may_increase()) == (1, False, True)
    await lease.release()


async def test_without_a_beat_nothing_may_increase_after_its_time(database: str) -> None:
    clock = SetClock()
    lease = Lease(database, NAME, clock)
    await lease.acquire()
    clock.seconds += 8.9
    assert lease.may_increase()
    clock.seconds += 0.2
    assert not lease.may_increase()
    assert not lease.fenced
    assert await lease.beat()
    assert lease.may_increase()
    await lease.release()


async def test_a_lost_row_is_written_again_with_the_same_epoch(database: str) -> None:
    lease = Lease(database, NAME, RealClock())
    await lease.acquire()
    change(database, "DELETE FROM ops.lease")
    assert await lease.beat()
    assert (lease.epoch, lease.fenced) == (1, False)
    await lease.release()


async def test_no_database_is_a_refused_start() -> None:
    lease = Lease("postgresql://x@/x?host=/nonexistent", NAME, RealClock())
    with pytest.raises(StartRefused, match="cannot be taken"):
        await lease.acquire()
