"""Migrations up, down and up again on a record a daemon made: what a revision can hold stays."""

import asyncio
import json
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
#: Revision -> tables that are not there yet, at least.
LATER = {
    "0005": {"reconciliation", "attestation"},
    "0001": {"transfer", "clock", "pair", "block", "archived", "reconciliation", "attestation"},
}

Contents = dict[str, list[dict[str, Any]]]


def contents(dsn: str) -> Contents:
    """Every row of every audit table, numbers as the text they are."""
    found: Contents = {}
    with psycopg.connect(dsn, autocommit=True) as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'audit'::regnamespace "
            "AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname"
        ).fetchall()
        for (table,) in tables:
            order = "chain, block_no" if table == "block" else "1"
            rows: list[tuple[str]] = connection.execute(
                f"SELECT row_to_json(t)::text FROM audit.{table} t ORDER BY {order}"
            ).fetchall()
            found[table] = [json.loads(row, parse_float=str, parse_int=str) for (row,) in rows]
    return found


def fitted(rows: Contents, shape: Contents) -> Contents:
    """Tables and columns of `rows` that `shape` has as well."""
    return {
        table: [{name: row[name] for name in row if name in shape[table][0]} for row in rows[table]]
        for table in shape
    }


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
    lost = before.keys() - below.keys()
    assert lost >= LATER[revision]
    assert below == fitted(before, below)
    assert migrate.upgrade(empty_database, SCRIPTS) == migrate.head(SCRIPTS)
    again = contents(empty_database)
    assert fitted(again, below) == below
    assert [again[table] for table in sorted(lost)] == [[] for _ in lost]
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
    narrowed = {
        name for name, rows in below.items() if rows and rows[0].keys() != before[name][0].keys()
    }
    assert "market_snapshot" in changed
    assert changed <= narrowed
