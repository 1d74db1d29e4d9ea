"""A spool that is older than what Postgres counted of it loses nothing and repeats nothing."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from counterpoise.domain.orders import Durability
from counterpoise.ledger import shipper
from counterpoise.ledger.journal import PostgresJournal
from counterpoise.ledger.shipper import Shipper
from counterpoise.ledger.spool import Spool
from counterpoise.ledger.stored_record import StoredRecord
from counterpoise.ledger.verifying import verify
from ledger_samples import RealClock, approved_order, decision, intent_of


@contextlib.asynccontextmanager
async def opened(
    directory: Path, dsn: str, *, before: tuple[int, ...] = ()
) -> AsyncIterator[tuple[PostgresJournal, Spool]]:
    """A journal that ships; `before` = decisions that are stored before the first look."""
    with Spool(directory) as spool:
        moving = Shipper(spool, dsn, RealClock(), chain_name="okx:okx-7")
        journal = PostgresJournal(spool, moving, RealClock())
        for number in before:
            journal.append(decision(number))
        while spool.last_seq < spool.opened_seq + len(before):  # noqa: ASYNC110  a thread writes
            await asyncio.sleep(0.01)
        task = asyncio.create_task(moving.run())
        try:
            assert await journal.flush(10.0)
            yield journal, spool
            assert moving.refused_count == 0
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            journal.close()


async def record(directory: Path, dsn: str, *numbers: int) -> None:
    async with opened(directory, dsn) as (journal, _):
        for number in numbers:
            journal.append(decision(number))
        assert await journal.flush(10.0)


def decisions(dsn: str) -> list[str]:
    with psycopg.connect(dsn) as connection:
        found = connection.execute("SELECT decision_id FROM audit.decision ORDER BY decided_ns")
        return [one[0] for one in found]


def named(*numbers: int) -> list[str]:
    return [f"decision-{number}" for number in numbers]


def assert_verified(dsn: str, rows: int) -> None:
    with StoredRecord(dsn) as stored:
        report = verify(stored)
    assert (report.faults, report.rows) == ((), rows)


async def test_what_a_restored_spool_takes_reaches_postgres(database: str, tmp_path: Path) -> None:
    await record(tmp_path / "spool", database, 1, 2)
    shutil.copytree(tmp_path / "spool", tmp_path / "kept")
    await record(tmp_path / "spool", database, 3, 4, 5)
    async with opened(tmp_path / "kept", database) as (journal, spool):
        former = spool.spool_id
        journal.append(decision(6))
        increase = approved_order(reduce_only=False)
        order = await journal.journal_order(increase, intent_of(increase))
        assert order.durability is Durability.POSTGRES
        with psycopg.connect(database) as connection:
            (intents,) = connection.execute("SELECT count(*) FROM audit.order_intent").fetchone()
        assert intents == 1
    assert decisions(database) == named(1, 2, 3, 4, 5, 6)
    # The next start goes on under the same name; nothing is looked for behind it again.
    async with opened(tmp_path / "kept", database) as (journal, spool):
        assert spool.spool_id == former
        journal.append(decision(7))
        assert await journal.flush(10.0)
    assert decisions(database) == named(1, 2, 3, 4, 5, 6, 7)
    assert_verified(database, 8)


async def test_a_restored_spool_that_takes_nothing_is_not_waited_for(
    database: str, tmp_path: Path
) -> None:
    await record(tmp_path / "spool", database, 1)
    shutil.copytree(tmp_path / "spool", tmp_path / "kept")
    await record(tmp_path / "spool", database, 2)
    for _ in range(2):
        async with opened(tmp_path / "kept", database) as (_, spool):
            assert spool.last_seq == 1
    assert decisions(database) == named(1, 2)


@pytest.mark.parametrize("new", [(11, 12), (11, 12, 13, 14, 15)])
async def test_what_waited_in_the_copy_comes_once_and_what_is_new_not_less(
    database: str, tmp_path: Path, new: tuple[int, ...]
) -> None:
    # The copy holds two records that were handed over after it was made. New ones end below
    # Postgres's cursor of five in the first case, above it in the second.
    with Spool(tmp_path / "spool") as spool:
        journal = PostgresJournal(
            spool, Shipper(spool, database, RealClock(), chain_name="okx:okx-7"), RealClock()
        )
        journal.append(decision(1))
        journal.append(decision(2))
        journal.close()
    shutil.copytree(tmp_path / "spool", tmp_path / "kept")
    await record(tmp_path / "spool", database, 3, 4, 5)
    async with opened(tmp_path / "kept", database, before=new):
        pass
    assert decisions(database) == named(1, 2, 3, 4, 5, *new)
    assert_verified(database, 5 + len(new))


async def test_a_cursor_that_runs_ahead_of_a_living_daemon_swallows_nothing(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipper, "PING_SECONDS", 0.05)
    async with opened(tmp_path, database) as (journal, spool):
        journal.append(decision(1))
        assert await journal.flush(10.0)
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("UPDATE ops.spool_cursor SET last_seq = 100")
        journal.append(decision(2))
        assert await journal.flush(10.0)
        while spool.bytes_waiting:  # noqa: ASYNC110  the shipper deletes when idle
            await asyncio.sleep(0.02)
        journal.append(decision(3))
        assert await journal.flush(10.0)
    assert decisions(database) == named(1, 2, 3)
    assert_verified(database, 3)
