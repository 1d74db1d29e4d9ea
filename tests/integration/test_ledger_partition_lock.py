"""A dump while partitions are due takes nothing away: records go to the default partition."""

import asyncio
import contextlib
import time
from pathlib import Path

import psycopg
from psycopg import sql

from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.ledger import partitions
from counterpoise.ledger.journal import PostgresJournal
from counterpoise.ledger.shipper import Shipper
from counterpoise.ledger.spool import Spool
from ledger_samples import RealClock, decision


class Later(RealClock):
    """Real time, moved ahead as a test says."""

    def __init__(self) -> None:
        self.ahead_ns = 0

    def now_ns(self) -> int:
        return super().now_ns() + self.ahead_ns


def default_partitions_only(connection: "psycopg.Connection[tuple[str]]") -> bool:
    found = connection.execute(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
        "WHERE c.relnamespace = 'audit'::regnamespace AND c.relkind = 'r'"
    ).fetchall()
    assert found, "there are partitioned tables"
    return all(name.endswith("_rest") for (name,) in found)


async def test_records_are_shipped_while_a_dump_holds_every_table(
    database: str, tmp_path: Path
) -> None:
    clock = Later()
    with (
        psycopg.connect(database) as dump,
        psycopg.connect(database, autocommit=True) as looking,
        Spool(tmp_path) as spool,
    ):
        # What a dump holds on every table from its begin to its end.
        names = dump.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'audit'::regnamespace "
            "AND relkind IN ('r', 'p')"
        ).fetchall()
        for (name,) in names:
            dump.execute(
                sql.SQL("LOCK TABLE audit.{} IN ACCESS SHARE MODE").format(sql.Identifier(name))
            )
        assert default_partitions_only(looking)
        moving = Shipper(spool, database, clock, chain_name="okx:okx-7")
        journal = PostgresJournal(spool, moving, clock)
        task = asyncio.create_task(moving.run())
        try:
            started = time.monotonic()
            journal.append(decision(1, decided_ns=clock.now_ns()))
            assert await journal.flush(5.0), "the ledger was away while the dump ran"
            assert time.monotonic() - started < 3.0
            stored = looking.execute(
                "SELECT tableoid::regclass::text FROM audit.decision"
            ).fetchall()
            assert stored == [("audit.decision_rest",)]
            assert default_partitions_only(looking)
            assert moving.health() == (True, 0.0)
            # The dump ends, and a minute later they are made.
            dump.rollback()
            clock.ahead_ns = partitions.RETRY_NS + NS_PER_SECOND
            deadline = time.monotonic() + 10
            while default_partitions_only(looking):
                assert time.monotonic() < deadline, "no partition was made"
                await asyncio.sleep(0.05)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            journal.close()
