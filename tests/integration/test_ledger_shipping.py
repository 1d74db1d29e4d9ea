"""Records reach Postgres in order and exactly once, whatever is killed on the way."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from counterpoise.domain.errors import LedgerUnavailable
from counterpoise.domain.orders import Durability
from counterpoise.ledger import connections, migrate, schema, shipper
from counterpoise.ledger.journal import PostgresJournal
from counterpoise.ledger.postgres import LocalPostgres
from counterpoise.ledger.shipper import Shipper
from counterpoise.ledger.spool import NewRecord, Spool
from ledger_samples import RealClock, approved_order, decision, fill, intent_of, order_event

TESTS = Path(__file__).parents[1]


def rows(dsn: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(statement).fetchall()


def numbers_shipped(dsn: str) -> list[tuple[object, ...]]:
    return rows(dsn, "SELECT spool_seq, event_ns FROM audit.fill ORDER BY spool_seq")


@contextlib.asynccontextmanager
async def shipping(shipper: Shipper) -> AsyncIterator[None]:
    task = asyncio.create_task(shipper.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.contextmanager
def journal_on(
    directory: Path, dsn: str, made: type[Shipper] = Shipper
) -> Iterator[tuple[PostgresJournal, Shipper]]:
    with Spool(directory) as spool:
        shipper = made(spool, dsn, RealClock(), chain_name="okx:okx-7")
        journal = PostgresJournal(spool, shipper, RealClock())
        try:
            yield journal, shipper
        finally:
            journal.close()


async def available(shipper: Shipper, *, wanted: bool, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while shipper.health()[0] is not wanted:
        assert time.monotonic() < deadline, "health did not change in time"
        await asyncio.sleep(0.01)


def postmaster(root: Path) -> int:
    return int((root / "data" / "postmaster.pid").read_text().split("\n")[0])


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_exactly_once_across_kills_of_the_server(
    reachable_path: Path, tmp_path: Path
) -> None:
    root = reachable_path / "postgres"
    # A killed process loses nothing it gave to the kernel; what counts is the commit.
    settings = {"synchronous_commit": "on"}
    with LocalPostgres(root, durable=False, settings=settings) as server:
        migrate.upgrade(server.dsn(), migrate.find_scripts())
        with journal_on(tmp_path, server.dsn()) as (journal, shipper):
            watching = asyncio.create_task(server.supervise())
            async with shipping(shipper):
                await available(shipper, wanted=True)
                number = 0
                for _ in range(3):
                    for _ in range(400):
                        number += 1
                        journal.append(fill(number))
                        if number % 20 == 0:
                            await asyncio.sleep(0.001)
                    os.kill(postmaster(root), signal.SIGKILL)
                    await available(shipper, wanted=False)
                    # Meanwhile a reduction goes out and an increase does not.
                    reduction = approved_order(reduce_only=True, number=number)
                    order = await journal.journal_order(reduction, intent_of(reduction))
                    assert order.durability is Durability.SPOOL
                    number += 1
                    await available(shipper, wanted=True)
                assert await journal.flush(20.0)
            watching.cancel()
            with pytest.raises(asyncio.CancelledError):
                await watching
        intents = {401, 802, 1203}
        assert numbers_shipped(server.dsn()) == [
            (one, one) for one in range(1, 1204) if one not in intents
        ]
        assert rows(server.dsn(), "SELECT spool_seq FROM audit.order_intent ORDER BY 1") == [
            (one,) for one in sorted(intents)
        ]
        assert rows(server.dsn(), "SELECT last_seq FROM ops.spool_cursor") == [(1203,)]


DAEMON = """
import asyncio, sys
from pathlib import Path
from ledger_samples import RealClock, fill
from counterpoise.ledger.journal import PostgresJournal
from counterpoise.ledger.shipper import Shipper
from counterpoise.ledger.spool import Spool

async def main():
    spool = Spool(Path(sys.argv[1]))
    shipper = Shipper(spool, sys.argv[2], RealClock(), chain_name="okx:okx-7")
    journal = PostgresJournal(spool, shipper, RealClock())
    shipping = asyncio.create_task(shipper.run())
    number = spool.last_seq
    while True:
        number += 1
        journal.append(fill(number))
        await asyncio.sleep(0.0005)

asyncio.run(main())
"""


async def test_exactly_once_across_kills_of_the_daemon(database: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{TESTS.parent / 'src'}:{TESTS}"}
    for _ in range(3):
        before = rows(database, "SELECT count(*) FROM audit.fill")[0][0]
        daemon = await asyncio.create_subprocess_exec(
            sys.executable, "-c", DAEMON, str(tmp_path), database, env=environment
        )
        try:
            deadline = time.monotonic() + 60
            while rows(database, "SELECT count(*) FROM audit.fill")[0][0] < before + 50:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)
        finally:
            daemon.kill()
            await daemon.wait()
    with journal_on(tmp_path, database) as (journal, shipper):
        async with shipping(shipper):
            assert await journal.flush(10.0)
        newest = shipper._spool.last_seq
    shipped = numbers_shipped(database)
    assert shipped == [(number, number) for number in range(1, newest + 1)]
    assert newest >= 150


async def test_an_increase_waits_until_postgres_is_back(
    reachable_path: Path, tmp_path: Path
) -> None:
    with LocalPostgres(reachable_path / "postgres", durable=False) as server:
        migrate.upgrade(server.dsn(), migrate.find_scripts())
        with journal_on(tmp_path, server.dsn()) as (journal, shipper):
            async with shipping(shipper):
                await available(shipper, wanted=True)
                server.stop()
                await available(shipper, wanted=False)
                refused = approved_order(reduce_only=False, number=1)
                started = time.monotonic()
                with pytest.raises(LedgerUnavailable, match=r"within 2\.0 s"):
                    await journal.journal_order(refused, intent_of(refused))
                assert time.monotonic() - started > 1.9
                assert shipper.health()[1] > 1.9
                waiting = approved_order(reduce_only=False, number=2)
                order = asyncio.create_task(journal.journal_order(waiting, intent_of(waiting)))
                await asyncio.to_thread(server.start)
                assert (await order).durability is Durability.POSTGRES
                assert rows(
                    server.dsn(),
                    "SELECT client_order_id FROM audit.order_intent ORDER BY spool_seq",
                ) == [(refused.intent.client_order_id,), (waiting.intent.client_order_id,)]
                assert shipper.health() == (True, 0.0)


async def test_a_frozen_server_is_noticed_and_nothing_is_lost(
    reachable_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "ROUND_TRIP_SECONDS", 0.3)
    monkeypatch.setattr(shipper, "PING_SECONDS", 0.1)
    root = reachable_path / "postgres"
    with LocalPostgres(root, durable=False) as server:
        migrate.upgrade(server.dsn(), migrate.find_scripts())
        with journal_on(tmp_path, server.dsn()) as (journal, moving):
            async with shipping(moving):
                await available(moving, wanted=True)
                pid = postmaster(root)
                frozen = [pid, *children(pid)]
                for one in frozen:
                    os.kill(one, signal.SIGSTOP)
                try:
                    journal.append(fill(1))
                    started = time.monotonic()
                    await available(moving, wanted=False)
                    assert time.monotonic() - started < 2.0
                finally:
                    for one in reversed(frozen):
                        os.kill(one, signal.SIGCONT)
                journal.append(fill(2))
                assert await journal.flush(15.0)
        assert numbers_shipped(server.dsn()) == [(1, 1), (2, 2)]


class AnswerLost(Shipper):
    """Commits, but the answer never arrives."""

    lost = 0

    async def _move(self, parcels: object, connection: object) -> None:
        await super()._move(parcels, connection)  # type: ignore[arg-type]
        if self.lost < 2:
            self.lost += 1
            raise psycopg.OperationalError("the connection broke after COMMIT")


async def test_a_lost_answer_to_commit_is_read_from_the_cursor(
    database: str, tmp_path: Path
) -> None:
    with journal_on(tmp_path, database, AnswerLost) as (journal, moving):
        for number in range(1, 4):
            journal.append(fill(number))
        async with shipping(moving):
            assert await journal.flush(10.0)
            journal.append(decision(1))
            assert await journal.flush(10.0)
        assert moving.lost == 2
    assert numbers_shipped(database) == [(1, 1), (2, 2), (3, 3)]
    assert rows(database, "SELECT spool_seq FROM audit.decision") == [(4,)]


async def test_two_shippers_of_one_spool_cannot_repeat_anything(
    database: str, tmp_path: Path
) -> None:
    with journal_on(tmp_path, database) as (journal, first):
        second = Shipper(first._spool, database, RealClock(), chain_name="okx:okx-7")
        async with shipping(first), shipping(second):
            for number in range(1, 301):
                journal.append(fill(number))
                second.wake()
                if number % 7 == 0:
                    await asyncio.sleep(0)
            assert await journal.flush(10.0)
    assert numbers_shipped(database) == [(number, number) for number in range(1, 301)]


async def test_a_fact_that_arrives_twice_is_kept_once(database: str, tmp_path: Path) -> None:
    with journal_on(tmp_path, database) as (journal, moving):
        async with shipping(moving):
            for _ in range(2):
                journal.append(fill(1))
                journal.append(order_event("e1", "cp1", "accepted"))
            assert await journal.flush(10.0)
        assert moving.refused_count == 0
    assert numbers_shipped(database) == [(1, 1)]
    assert rows(database, "SELECT event_id, spool_seq FROM audit.order_event") == [("e1", 2)]


async def test_a_record_postgres_refuses_does_not_stop_those_behind_it(
    database: str, tmp_path: Path
) -> None:
    with journal_on(tmp_path, database) as (journal, moving):
        moving._spool.append([NewRecord(table="unheard_of", body="{}", created_ns=1)])
        journal.append(decision(1))
        journal.append(decision(1, summary="the same id again"))
        journal.append(decision(2, slot_ns=2**63))
        journal.append(fill(1))
        async with shipping(moving):
            assert await journal.flush(10.0)
            again = approved_order(reduce_only=False)
            await journal.journal_order(again, intent_of(again))
            with pytest.raises(LedgerUnavailable, match="refused"):
                await journal.journal_order(again, intent_of(again))
        assert moving.refused_count == 4
    assert rows(
        database,
        "SELECT spool_seq, table_name, left(error, 13) FROM audit.refused_record ORDER BY 1",
    ) == [
        (1, "unheard_of", "no table unhe"),
        (3, "decision", "duplicate key"),
        (4, "decision", "bigint out of"),
        (7, "order_intent", "duplicate key"),
    ]
    assert rows(database, "SELECT summary FROM audit.decision") == [("Nothing to do.",)]
    assert numbers_shipped(database) == [(5, 1)]


async def test_the_daemon_writes_as_the_writer(database: str, tmp_path: Path) -> None:
    with journal_on(tmp_path, database) as (_, moving):
        connection = await moving._connect()
        user = (await connection.exec_driver_sql("SELECT current_user")).scalar_one()
        await connection.close()
    assert user == schema.WRITER_ROLE


async def test_what_postgres_has_is_deleted_from_the_spool(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipper, "PING_SECONDS", 0.05)
    with journal_on(tmp_path, database) as (journal, moving):
        async with shipping(moving):
            journal.append(fill(1))
            assert await journal.flush(10.0)
            deadline = time.monotonic() + 5
            while moving._spool.bytes_waiting:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)
            journal.append(fill(2))
            assert await journal.flush(10.0)
    assert numbers_shipped(database) == [(1, 1), (2, 2)]


async def test_bodies_are_kept_byte_for_byte(database: str, tmp_path: Path) -> None:
    text = '{"z":"1.50","a":{"é":1e-7},"z2":"\\u0000"}'
    with journal_on(tmp_path, database) as (journal, moving):
        async with shipping(moving):
            journal.append(decision(1, inputs=text, outputs="[1,  2]"))
            assert await journal.flush(10.0)
    assert rows(database, "SELECT inputs::text, outputs::text FROM audit.decision") == [
        (text, "[1,  2]")
    ]
