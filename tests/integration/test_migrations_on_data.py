"""Migrations up, down and up again on a record a daemon made: what a revision can hold stays."""

import asyncio
from pathlib import Path
from typing import Any

import psycopg
import pytest

import recorded_world
import virtual_loop
import virtual_world
from counterpoise.app import replay
from counterpoise.ledger import migrate
from counterpoise.ledger.reader import LedgerReader
from counterpoise.ledger.stored_record import StoredRecord
from counterpoise.ledger.verifying import Finding, verify

pytestmark = pytest.mark.timeout(240)

SCRIPTS = migrate.find_scripts()
#: Tables a revision brings -> the revision.
LATER = {
    "transfer": "0002",
    "clock": "0002",
    "pair": "0003",
    "block": "0004",
    "archived": "0005",
    "reconciliation": "0008",
    "attestation": "0011",
}
#: Columns a revision adds to a table that was there; below it they are lost.
ADDED = {
    "decision_outcome": {"naked_leg_seconds", "naked_notional_seconds"},
    "order_intent": {"post_only", "trigger_price"},
    "control": {"client_order_id", "stated_end", "filled_quantity"},
    "fill": {"cause"},
    "run": {"attestation_sha256"},
    "market_snapshot": {"quantity", "leg"},
}


def contents(dsn: str) -> dict[str, list[str]]:
    """Every row of every audit table as text, without what revisions added."""
    found: dict[str, list[str]] = {}
    with psycopg.connect(dsn, autocommit=True) as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'audit'::regnamespace "
            "AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname"
        ).fetchall()
        for (table,) in tables:
            columns = connection.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 "
                "AND NOT attisdropped ORDER BY attname",
                (f"audit.{table}",),
            ).fetchall()
            kept = ", ".join(name for (name,) in columns if name not in ADDED.get(table, set()))
            rows: list[tuple[Any, ...]] = connection.execute(
                f"SELECT ROW({kept})::text FROM audit.{table} ORDER BY 1"
            ).fetchall()
            found[table] = [row[0] for row in rows]
    return found


@pytest.mark.parametrize("revision", ["0005", "0001"])
def test_down_and_up_again_keeps_every_row_a_revision_can_hold(
    empty_database: str, tmp_path: Path, revision: str
) -> None:
    migrate.upgrade(empty_database, SCRIPTS)
    world = virtual_loop.run(virtual_world.live_through(9_002))
    kept = [*recorded_world.runs_of(world), *world.kept]
    asyncio.run(recorded_world.write_down(empty_database, tmp_path / "spool", kept))
    before = contents(empty_database)
    assert before["decision"]
    assert before["reconciliation"]
    assert migrate.downgrade(empty_database, SCRIPTS, revision) == revision
    below = contents(empty_database)
    lost = {table for table, since in LATER.items() if since > revision}
    assert before.keys() - below.keys() == lost
    assert below == {table: rows for table, rows in before.items() if table not in lost}
    assert migrate.upgrade(empty_database, SCRIPTS) == migrate.head(SCRIPTS)
    again = contents(empty_database)
    assert again == below | {table: [] for table in lost}
    with LedgerReader(empty_database) as reader:
        results = list(replay.replay(reader.decision_records()))
    assert len(results) == len(before["decision"])
    assert {each.result for each in results} == {replay.ReplayResult.EQUAL}
    if "block" in lost:
        return
    # What the way down lost was sealed: the chain names it.
    with StoredRecord(empty_database) as stored:
        faults = verify(stored).faults
    removed = [fault for fault in faults if fault.finding is Finding.ROW_REMOVED]
    assert len(removed) == len(before["reconciliation"])
    changed = {fault.where.split()[0] for fault in faults if fault not in removed}
    assert changed <= {"fill", "market_snapshot"}
    assert "market_snapshot" in changed
