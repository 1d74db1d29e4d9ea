"""Every journal keeps the same promises: the one of tests and the one on Postgres."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Protocol

import psycopg
import pytest

from counterpoise import ports
from counterpoise.domain.errors import LedgerUnavailable, SpoolFailed
from counterpoise.domain.orders import Durability
from counterpoise.ledger import schema
from counterpoise.ledger.journal import MemoryJournal, PostgresJournal
from counterpoise.ledger.shipper import Shipper
from counterpoise.ledger.spool import Spool
from ledger_samples import RealClock, approved_order, decision, fill, intent_of, outcome


class Rig(Protocol):
    """A journal and what a test does to its surroundings."""

    journal: ports.Journal

    async def database_away(self) -> None: ...

    async def database_back(self) -> None: ...

    def break_disk(self) -> None: ...

    async def written(self) -> list[str]:
        """Tables of the records that arrived, in order."""
        ...


class MemoryRig:
    def __init__(self) -> None:
        self.memory = MemoryJournal(RealClock())
        self.journal: ports.Journal = self.memory

    async def database_away(self) -> None:
        self.memory.available = False

    async def database_back(self) -> None:
        self.memory.available = True

    def break_disk(self) -> None:
        self.memory.failure = SpoolFailed("set by the test")

    async def written(self) -> list[str]:
        return [schema.TABLE_NAMES[type(record)] for record in self.memory.records]

    async def close(self) -> None:
        pass


class PostgresRig:
    def __init__(self, directory: Path, dsn: str) -> None:
        self.dsn = dsn
        self.spool = Spool(directory)
        self.shipper = Shipper(self.spool, dsn, RealClock(), chain_name="okx:okx-7")
        self.stored = PostgresJournal(
            self.spool, self.shipper, RealClock(), increase_wait_seconds_max=3.0
        )
        self.journal: ports.Journal = self.stored
        self.shipping: asyncio.Task[None] | None = None

    async def database_away(self) -> None:
        assert self.shipping is not None
        self.shipping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.shipping
        self.shipping = None

    async def database_back(self) -> None:
        self.shipping = asyncio.create_task(self.shipper.run())

    def break_disk(self) -> None:
        self.spool._writer.execute("PRAGMA query_only = on")

    async def written(self) -> list[str]:
        union = " UNION ALL ".join(
            f"SELECT spool_seq, '{table.name}' FROM audit.{table.name}"
            for table in schema.TABLES.values()
        )
        async with await psycopg.AsyncConnection.connect(self.dsn) as connection:
            rows = await (await connection.execute(f"{union} ORDER BY 1")).fetchall()
        return [row[1] for row in rows]

    async def close(self) -> None:
        if self.shipping is not None:
            await self.database_away()
        self.stored.close()
        self.spool.close()


@pytest.fixture(params=["memory", "postgres"])
async def rig(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[MemoryRig | PostgresRig]:
    made: MemoryRig | PostgresRig
    if request.param == "memory":
        made = MemoryRig()
    else:
        made = PostgresRig(tmp_path, request.getfixturevalue("database"))
    await made.database_back()
    yield made
    await made.close()


async def test_records_arrive_in_the_order_they_were_appended(rig: Rig) -> None:
    counters = [rig.journal.append(record) for record in (decision(1), fill(1), outcome(1))]
    assert counters == [1, 2, 3]
    assert await rig.journal.flush(5.0)
    assert await rig.written() == ["decision", "fill", "decision_outcome"]


async def test_an_increase_is_committed_to_postgres_with_all_before_it(rig: Rig) -> None:
    approved = approved_order(reduce_only=False)
    rig.journal.append(decision(1))
    before_ns = time.time_ns()
    order = await rig.journal.journal_order(approved, intent_of(approved))
    assert order.durability is Durability.POSTGRES
    assert order.approved is approved
    assert order.spool_seq == 2
    assert before_ns <= order.journaled_ns <= time.time_ns()
    assert await rig.written() == ["decision", "order_intent"]


async def test_a_reduction_waits_for_the_local_disk_only(rig: Rig) -> None:
    await rig.database_away()
    approved = approved_order(reduce_only=True)
    order = await rig.journal.journal_order(approved, intent_of(approved))
    assert order.durability is Durability.SPOOL
    assert order.spool_seq == 1


async def test_an_increase_is_refused_while_postgres_is_away(rig: Rig) -> None:
    await rig.database_away()
    approved = approved_order(reduce_only=False)
    with pytest.raises(LedgerUnavailable, match="did not commit"):
        await rig.journal.journal_order(approved, intent_of(approved))
    assert not await rig.journal.flush(0.1)


async def test_what_was_written_meanwhile_arrives_afterwards_in_order(rig: Rig) -> None:
    await rig.database_away()
    approved = approved_order(reduce_only=True)
    rig.journal.append(decision(1))
    await rig.journal.journal_order(approved, intent_of(approved))
    rig.journal.append(outcome(1))
    await rig.database_back()
    assert await rig.journal.flush(5.0)
    assert await rig.written() == ["decision", "order_intent", "decision_outcome"]


async def test_a_dead_disk_stops_increases_and_nothing_else(rig: Rig) -> None:
    rig.break_disk()
    increase = approved_order(reduce_only=False)
    with pytest.raises(SpoolFailed):
        await rig.journal.journal_order(increase, intent_of(increase))
    reduction = approved_order(reduce_only=True, number=2)
    order = await rig.journal.journal_order(reduction, intent_of(reduction))
    assert order.durability is Durability.LOG
    rig.journal.append(fill(1))
    assert not await rig.journal.flush(0.5)


async def test_an_intent_of_another_order_is_our_bug(rig: Rig) -> None:
    approved = approved_order(reduce_only=True, number=1)
    other = approved_order(reduce_only=True, number=2)
    with pytest.raises(AssertionError, match="another order"):
        await rig.journal.journal_order(approved, intent_of(other))


async def test_not_a_number_is_refused_where_it_is_appended(rig: Rig) -> None:
    with pytest.raises(ValueError, match="no JSON form"):
        rig.journal.append(decision(1, equity=Decimal("NaN")))


async def test_half_a_surrogate_pair_does_not_stop_the_record(rig: Rig) -> None:
    rig.journal.append(decision(1, summary="bad \ud800 text and \x00 too"))
    assert await rig.journal.flush(5.0)
    assert await rig.written() == ["decision"]


async def test_many_waiters_are_served_in_order(rig: Rig) -> None:
    async def journal(number: int) -> int:
        approved = approved_order(reduce_only=number % 2 == 0, number=number)
        return (await rig.journal.journal_order(approved, intent_of(approved))).spool_seq

    assert await asyncio.gather(*(journal(number) for number in range(1, 41))) == list(range(1, 41))
