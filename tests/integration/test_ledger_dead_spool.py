"""A disk that is full under the spool ends neither the shipping nor the daemon around it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from counterpoise.domain.errors import SpoolFailed
from counterpoise.domain.orders import Durability
from counterpoise.ledger import shipper as shipper_module
from counterpoise.ledger.journal import PostgresJournal
from counterpoise.ledger.shipper import Shipper
from counterpoise.ledger.spool import NewRecord, Spool
from ledger_samples import RealClock, approved_order, decision, fill, intent_of


def fill_disk(spool: Spool) -> None:
    """No page more, as on a full disk, and write until that shows."""
    spool._writer.execute("PRAGMA max_page_count=1")
    big = NewRecord(table="nothing", body="x" * 10_000_000, created_ns=1)
    with pytest.raises(SpoolFailed, match="full"):
        spool.append([big])


def numbers(dsn: str, statement: str) -> list[int]:
    with psycopg.connect(dsn) as connection:
        return [row[0] for row in connection.execute(statement).fetchall()]


@contextlib.asynccontextmanager
async def shipping(moving: Shipper) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(moving.run())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until_available(moving: Shipper) -> None:
    deadline = time.monotonic() + 30
    while not moving.health()[0]:
        assert time.monotonic() < deadline, "Postgres did not answer in time"
        await asyncio.sleep(0.01)


async def test_a_full_disk_holds_increases_back_and_ends_nothing(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipper_module, "PING_SECONDS", 0.05)
    with Spool(tmp_path) as spool:
        moving = Shipper(spool, database, RealClock(), chain_name="okx:okx-7")
        journal = PostgresJournal(spool, moving, RealClock())
        async with shipping(moving) as task:
            await until_available(moving)
            for number in range(1, 6):
                journal.append(fill(number))
            assert await journal.flush(10.0)
            # Shipped and not deleted yet: the quiet moment after it deletes.
            spool.append([NewRecord(table="nothing", body="{}", created_ns=1)])
            moving.wake()
            fill_disk(spool)
            await asyncio.sleep(0.5)
            assert not task.done(), task
            assert moving.health() == (True, 0.0)
            assert journal.failure is not None, "who minds the health holds increases back by this"
            journal.append(decision(1))
            increase, reduction = (approved_order(reduce_only=one) for one in (False, True))
            with pytest.raises(SpoolFailed, match="full"):
                await journal.journal_order(increase, intent_of(increase))
            order = await journal.journal_order(reduction, intent_of(reduction))
            assert (order.durability, order.spool_seq) == (Durability.LOG, 0)
        journal.close()
    assert numbers(database, "SELECT event_ns FROM audit.fill ORDER BY 1") == [1, 2, 3, 4, 5]


async def test_what_was_stored_before_the_disk_was_full_is_still_shipped(
    database: str, tmp_path: Path
) -> None:
    with Spool(tmp_path) as spool:
        moving = Shipper(spool, database, RealClock(), chain_name="okx:okx-7")
        journal = PostgresJournal(spool, moving, RealClock())
        for number in range(1, 6):
            journal.append(fill(number))
        deadline = time.monotonic() + 10
        while spool.last_seq < 5:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        fill_disk(spool)
        # Postgres answers only now; the stop waits for it although the spool is dead.
        async with shipping(moving) as task:
            assert await journal.flush(10.0) is False
            assert numbers(database, "SELECT event_ns FROM audit.fill ORDER BY 1") == [
                1, 2, 3, 4, 5
            ]  # fmt: skip
            assert not task.done()
        journal.close()


async def test_a_disk_that_cannot_be_read_is_a_dead_one_and_ends_nothing(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipper_module, "PING_SECONDS", 0.05)
    with Spool(tmp_path) as spool:
        moving = Shipper(spool, database, RealClock(), chain_name="okx:okx-7")
        journal = PostgresJournal(spool, moving, RealClock())
        async with shipping(moving) as task:
            await until_available(moving)
            reader = spool._reader
            reader.close()
            journal.append(fill(1))
            deadline = time.monotonic() + 10
            while journal.failure is None:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.3)
            assert not task.done(), task
            assert "could not be read" in str(journal.failure)
            assert moving.health()[0], "Postgres answers all the same"
            assert moving.health()[1] > 0, "and a record waits"
        journal.close()
