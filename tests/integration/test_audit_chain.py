"""Nobody rewrites the record unseen: every kind of change, on every table, as writer and owner."""

import asyncio
import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from psycopg import sql

from counterpoise.domain.errors import StartRefused
from counterpoise.domain.records import IntentWritten, Record
from counterpoise.ledger import (
    archiving,
    chain,
    checkpoints,
    connections,
    exporting,
    migrate,
    schema,
    sealed_rows,
)
from counterpoise.ledger.exported_record import ExportedRecord
from counterpoise.ledger.journal import PostgresJournal
from counterpoise.ledger.shipper import Shipper
from counterpoise.ledger.spool import NewRecord, Spool
from counterpoise.ledger.stored_record import StoredRecord
from counterpoise.ledger.verifying import Fault, Finding, Report, verify
from ledger_samples import RealClock
from record_samples import every_table, sample

CHAIN = "okx:okx-7"
TABLES = [name for name, _ in every_table()]
SEALED = sorted(sealed_rows.SEALED)


async def write(
    dsn: str, directory: Path, numbers: range, made: Callable[[Record], Record] = lambda row: row
) -> None:
    """Send records of every class, and one that Postgres refuses, down the real write path."""
    with Spool(directory) as spool:
        shipper = Shipper(spool, dsn, RealClock(), chain_name=CHAIN)
        journal = PostgresJournal(spool, shipper, RealClock())
        task = asyncio.create_task(shipper.run())
        try:
            for number in numbers:
                for _, record_type in every_table():
                    journal.append(made(sample(record_type, number)))
            journal._spool.append([NewRecord(table="no_table", body="{}", created_ns=1)])
            shipper.wake()
            assert await journal.flush(20.0)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            journal.close()


@pytest.fixture
def record(database: str, tmp_path: Path) -> str:
    asyncio.run(write(database, tmp_path / "spool", range(3)))
    return database


def checked(dsn: str) -> Report:
    with StoredRecord(dsn) as stored:
        return verify(stored)


@contextlib.contextmanager
def as_forger(dsn: str) -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
    """The owner with the triggers off: the one who can do anything."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for name in (*SEALED, "block"):
            connection.execute(f"ALTER TABLE audit.{name} DISABLE TRIGGER ALL")
        yield connection


def only(faults: tuple[Fault, ...]) -> Fault:
    assert len(faults) == 1, faults
    return faults[0]


def place_of(connection: "psycopg.Connection[tuple[Any, ...]]", table: str) -> tuple[str, int]:
    row = connection.execute(
        f"SELECT spool_id, spool_seq FROM audit.{table} ORDER BY spool_seq LIMIT 1"
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def test_an_honest_record_verifies(record: str) -> None:
    report = checked(record)
    assert report.faults == ()
    # Three of each class and the refused one, each sealed once.
    assert report.rows == 3 * len(TABLES) + 1
    with psycopg.connect(record) as connection:
        newest = connection.execute(
            "SELECT block_no, hash FROM audit.block ORDER BY block_no DESC LIMIT 1"
        ).fetchone()
    assert newest is not None
    assert report.heads == {CHAIN: chain.Head(block_no=newest[0], hash=newest[1])}
    with StoredRecord(record) as stored:
        assert stored.heads() == report.heads


async def test_a_fact_told_twice_is_one_row_and_one_leaf(database: str, tmp_path: Path) -> None:
    await write(database, tmp_path / "spool", range(2))
    # The other spool repeats what carries an id from outside, and only that is left out.
    await write(database, tmp_path / "other", range(2))
    with psycopg.connect(database) as connection:
        fills = connection.execute("SELECT count(*) FROM audit.fill").fetchone()
        refused = connection.execute(
            "SELECT count(*) FROM audit.refused_record WHERE table_name = 'run'"
        ).fetchone()
    assert fills == (2,)
    assert refused == (2,)
    with StoredRecord(database) as stored:
        assert verify(stored).faults == ()


def test_the_writer_may_not_change_anything(record: str) -> None:
    with psycopg.connect(record, autocommit=True) as connection:
        connection.execute(connections.set_role(schema.WRITER_ROLE))
        for table in (*SEALED, "block"):
            for statement in (
                f"UPDATE audit.{table} SET spool_id = spool_id",
                f"DELETE FROM audit.{table}",
                f"TRUNCATE audit.{table}",
                f"ALTER TABLE audit.{table} DISABLE TRIGGER ALL",
                f"DROP TABLE audit.{table}",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement)
    assert checked(record).faults == ()


def test_the_owner_is_stopped_by_the_triggers(record: str) -> None:
    with psycopg.connect(record, autocommit=True) as connection:
        for table in (*SEALED, "block"):
            for statement in (
                f"UPDATE audit.{table} SET spool_id = spool_id",
                f"DELETE FROM audit.{table}",
                f"TRUNCATE audit.{table}",
            ):
                with pytest.raises(psycopg.errors.RestrictViolation):
                    connection.execute(statement)


def test_a_change_of_any_column_is_found_and_named(record: str) -> None:
    widest = max(len(columns) for columns in sealed_rows.COLUMNS.values())
    with as_forger(record) as connection:
        for index in range(widest):
            # One column of each table at a time.
            changed = [
                change(connection, table, columns[index])
                for table, columns in sorted(sealed_rows.COLUMNS.items())
                if index < len(columns)
            ]
            faults = checked(record).faults
            assert {fault.where for fault in faults} == {place for place, _ in changed}, changed
            assert {fault.finding for fault in faults} == {Finding.ROW_CHANGED}
            for _, undo in changed:
                connection.execute(undo)
    assert checked(record).faults == ()


def change(
    connection: "psycopg.Connection[tuple[Any, ...]]", table: str, column: str
) -> tuple[str, sql.Composed]:
    """Change one column of a table's first row; return the row's place and what undoes it."""
    spool_id, seq = place_of(connection, table)
    found = connection.execute(
        f"SELECT {column}::text, pg_typeof({column})::text FROM audit.{table} WHERE spool_seq = %s",
        (seq,),
    ).fetchone()
    assert found is not None
    before, kind = found
    statement = sql.SQL("UPDATE audit.{} SET {} = {}::{} WHERE spool_seq = {}")
    names = (sql.Identifier(table), sql.Identifier(column))
    lie, truth = (
        statement.format(*names, sql.Literal(text), sql.SQL(kind), sql.Literal(seq))
        for text in (forged(kind, before), before)
    )
    connection.execute(lie)
    return f"{table} {spool_id}:{seq}", truth


def forged(kind: str, text: str) -> str:
    """The smallest lie a column of this type can tell."""
    if kind == "numeric":
        # The same number, one digit more precise: what was written is not what stands there.
        return text + "0" if "." in text else text + ".0"
    if kind == "bigint":
        return str(int(text) + 1)
    if kind == "double precision":
        return repr(float(text) * (1 + 2**-52) or 5e-324)
    if kind == "boolean":
        return "f" if text in ("t", "true") else "t"
    if kind == "text[]":
        return text.replace("REASON", "REAS0N")
    # json: one space more.
    return text + " "


def test_removed_moved_and_inserted_rows_are_found(record: str) -> None:
    with as_forger(record) as connection:
        for table in SEALED:
            move_rows(record, connection, table)
    assert checked(record).faults == ()


def move_rows(record: str, connection: "psycopg.Connection[tuple[Any, ...]]", table: str) -> None:
    spool_id, seq = place_of(connection, table)
    columns = ", ".join((*sealed_rows.COLUMNS[table], "spool_id"))
    connection.execute(f"CREATE TEMP TABLE kept_{table} AS SELECT * FROM audit.{table}")
    # Inserted behind everything, into a place of its own.
    connection.execute(
        f"CREATE TEMP TABLE lie_{table} AS SELECT {columns}, 900001 AS spool_seq FROM audit.{table} "
        f"WHERE spool_seq = {seq}"
    )
    unique = key_column(table)
    if unique is not None:
        connection.execute(f"UPDATE lie_{table} SET {unique} = {unique} || 'x'")
    elif table == "instrument":
        connection.execute("UPDATE lie_instrument SET valid_from_ns = 1")
    connection.execute(
        f"INSERT INTO audit.{table} ({columns}, spool_seq) SELECT * FROM lie_{table}"
    )
    fault = only(checked(record).faults)
    assert fault.finding is Finding.ROW_INSERTED
    assert fault.where == f"{table} {spool_id}:900001"
    # Removed.
    connection.execute(f"DELETE FROM audit.{table} WHERE spool_seq IN ({seq}, 900001)")
    fault = only(checked(record).faults)
    assert fault.finding is Finding.ROW_REMOVED
    assert fault.where == f"{spool_id}:{seq}"
    connection.execute(f"DELETE FROM audit.{table}")
    overriding = "OVERRIDING SYSTEM VALUE" if table in ("order_denial", "trading_state") else ""
    connection.execute(f"INSERT INTO audit.{table} {overriding} SELECT * FROM kept_{table}")
    if table == "refused_record":
        return
    # Two rows change places.
    places = [
        row[0] for row in connection.execute(f"SELECT spool_seq FROM audit.{table} ORDER BY 1")
    ]
    for before, after in ((places[0], -1), (places[1], places[0]), (-1, places[1])):
        connection.execute(
            f"UPDATE audit.{table} SET spool_seq = {after} WHERE spool_seq = {before}"
        )
    faults = checked(record).faults
    assert {fault.where for fault in faults} == {
        f"{table} {spool_id}:{place}" for place in places[:2]
    }
    assert {fault.finding for fault in faults} == {Finding.ROW_CHANGED}
    connection.execute(f"DELETE FROM audit.{table}")
    connection.execute(f"INSERT INTO audit.{table} {overriding} SELECT * FROM kept_{table}")


def key_column(table: str) -> str | None:
    """A text column of the primary key; None = the key is generated or has none."""
    if table in ("order_denial", "trading_state", "refused_record", "instrument"):
        return None
    record_table = sealed_rows.SEALED[table]
    return next(
        str(column.name)
        for column in record_table.primary_key.columns
        if isinstance(column.type.python_type(), str)
    )


def test_changes_of_the_chain_itself_are_found(database: str, tmp_path: Path) -> None:
    for number in range(4):
        asyncio.run(write(database, tmp_path / f"spool{number}", range(number, number + 1)))
    honest = checked(database)
    assert honest.faults == ()
    with StoredRecord(database) as stored:
        blocks = list(stored.blocks(CHAIN))
    numbers = [block.block_no for block in blocks]
    assert numbers == list(range(1, len(blocks) + 1))
    assert len(blocks) >= 4
    with as_forger(database) as connection:
        connection.execute("CREATE TEMP TABLE kept AS SELECT * FROM audit.block")
        for column, lie in (
            ("kind", "'adopted'"),
            ("sealed_ns", "sealed_ns + 1"),
            ("leaves", "set_byte(leaves, 0, get_byte(leaves, 0) # 1)"),
            ("seqs", "seqs[1:cardinality(seqs) - 1] || (seqs[cardinality(seqs)] + 1000)"),
        ):
            connection.execute(f"UPDATE audit.block SET {column} = {lie} WHERE block_no = 2")
            findings = {fault.finding for fault in checked(database).faults}
            assert Finding.BLOCK_CHANGED in findings, column
            connection.execute("DELETE FROM audit.block")
            connection.execute("INSERT INTO audit.block SELECT * FROM kept")
        connection.execute("DELETE FROM audit.block WHERE block_no = 2")
        findings = {fault.finding for fault in checked(database).faults}
        assert findings == {Finding.BLOCK_MISSING, Finding.ROW_INSERTED}
        connection.execute("DELETE FROM audit.block")
        connection.execute("INSERT INTO audit.block SELECT * FROM kept")
        assert checked(database).faults == ()


def test_a_cut_off_end_and_a_chain_written_anew_show_in_published_heads(
    record: str, tmp_path: Path
) -> None:
    key = Ed25519PrivateKey.generate()
    heads = tmp_path / "heads.jsonl"
    published = checkpoints.publish(heads, CHAIN, checked(record).heads[CHAIN], 17, key)
    with StoredRecord(record) as stored:
        assert list(checkpoints.check(checkpoints.read(heads), stored, key.public_key())) == []
    with as_forger(record) as connection:
        last = connection.execute(
            "SELECT block_no, spool_id, seqs FROM audit.block ORDER BY block_no DESC LIMIT 1"
        ).fetchone()
        assert last is not None
        for table in SEALED:
            connection.execute(f"DELETE FROM audit.{table} WHERE spool_seq = ANY(%s)", (last[2],))
        connection.execute("DELETE FROM audit.block WHERE block_no = %s", (last[0],))
    # The chain is whole in itself: only what was published knows better.
    assert checked(record).faults == ()
    with StoredRecord(record) as stored:
        fault = only(tuple(checkpoints.check([published], stored, key.public_key())))
        assert fault.finding is Finding.HEAD_MISSING
        other = Ed25519PrivateKey.generate().public_key()
        findings = {one.finding for one in checkpoints.check([published], stored, other)}
        assert findings == {Finding.HEAD_MISSING, Finding.HEAD_FORGED}


def test_a_column_added_later_changes_no_leaf_and_a_lost_value_does(record: str) -> None:
    with as_forger(record) as connection:
        _, seq = place_of(connection, "decision")
        columns = {"summary": "done", "equity": None}
        older = {"summary": "done"}
        assert chain.leaf("decision", "s", seq, columns) == chain.leaf("decision", "s", seq, older)
        connection.execute("UPDATE audit.decision SET equity = NULL WHERE spool_seq = %s", (seq,))
        assert only(checked(record).faults).finding is Finding.ROW_CHANGED


def test_intents_from_before_stops_verify_beside_those_with_a_trigger(
    database: str, tmp_path: Path
) -> None:
    def sent_at_once(row: Record) -> Record:
        at_once = isinstance(row, IntentWritten)
        return dataclasses.replace(row, trigger_price=None) if at_once else row

    asyncio.run(write(database, tmp_path / "older", range(2), sent_at_once))
    scripts = migrate.find_scripts()
    migrate.downgrade(database, scripts, "0005")
    with psycopg.connect(database) as connection:
        stored = connection.execute("SELECT * FROM audit.order_intent").description
    assert "trigger_price" not in {column.name for column in stored or ()}
    migrate.upgrade(database, scripts)
    older = checked(database)
    assert (older.faults, older.rows) == ((), 2 * len(TABLES) + 1)
    asyncio.run(write(database, tmp_path / "newer", range(2, 4)))
    newer = checked(database)
    assert (newer.faults, newer.rows) == ((), 4 * len(TABLES) + 2)
    with psycopg.connect(database) as connection:
        triggers = connection.execute(
            "SELECT spool_id, spool_seq, trigger_price FROM audit.order_intent ORDER BY created_ns"
        ).fetchall()
    assert [row[2] is None for row in triggers] == [True, True, False, False]
    # A trigger that was put in, taken out or moved is a change like any other.
    for (spool_id, seq, _), lie in ((triggers[0], "40000"), (triggers[2], None)):
        with as_forger(database) as connection:
            change_to = "UPDATE audit.order_intent SET trigger_price = %s WHERE spool_id = %s"
            connection.execute(f"{change_to} AND spool_seq = %s", (lie, spool_id, seq))
        wheres = [f.where for f in checked(database).faults if f.finding is Finding.ROW_CHANGED]
        assert f"order_intent {spool_id}:{seq}" in wheres


def test_rows_from_before_the_chain_are_adopted(record: str, tmp_path: Path) -> None:
    with as_forger(record) as connection:
        connection.execute("DELETE FROM audit.block")
    assert {fault.finding for fault in checked(record).faults} == {Finding.ROW_INSERTED}
    asyncio.run(write(record, tmp_path / "spool", range(7, 8)))
    report = checked(record)
    assert report.faults == ()
    assert report.rows == 4 * len(TABLES) + 2
    with StoredRecord(record) as stored:
        kinds = [block.kind for block in stored.blocks(CHAIN)]
    assert kinds[0] == "adopted"
    assert set(kinds[1:]) == {"shipped"}


def test_an_export_is_checked_without_the_database(record: str, tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    with StoredRecord(record) as stored, path.open("wb") as file:
        blocks, rows = exporting.write_json_lines(stored, file)
    honest = checked(record)
    assert (blocks, rows) == (honest.blocks, honest.rows)
    with ExportedRecord(path) as exported:
        assert verify(exported) == honest
    text = path.read_text()
    path.write_text(text.replace('"instrument_id":"instrument_id 1', '"instrument_id":"other 1', 1))
    with ExportedRecord(path) as exported:
        fault = only(verify(exported).faults)
    assert fault.finding is Finding.ROW_CHANGED
    path.write_text(text + "{}\n")
    with pytest.raises(StartRefused, match=r"line \d+"), ExportedRecord(path):
        pass
    parquet = pytest.importorskip("pyarrow.parquet")
    with StoredRecord(record) as stored:
        assert exporting.write_parquet(stored, tmp_path / "record") == (blocks, rows)
    table = parquet.read_table(tmp_path / "record" / "rows.parquet").to_pylist()
    with StoredRecord(record) as stored:
        leaves = {row.leaf for spool in stored.spools() for row in stored.rows(spool, 0, None)}
    assert {chain.leaf_of_body(row["body"].encode()) for row in table} == leaves


def test_keys_are_read_or_refused_with_the_remedy(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = tmp_path / "key.pem"
    path.write_bytes(pem)
    assert checkpoints.load_public_key(path) == key.public_key()
    path.write_text("no key")
    with pytest.raises(StartRefused, match="openssl genpkey"):
        checkpoints.load_key(path)


async def write_months(dsn: str, directory: Path, months: int) -> None:
    """Record the same kinds of row in each of the first months of 2026."""
    with Spool(directory) as spool:
        shipper = Shipper(spool, dsn, RealClock(), chain_name=CHAIN)
        journal = PostgresJournal(spool, shipper, RealClock())
        task = asyncio.create_task(shipper.run())
        try:
            for number in range(months):
                moment_ns = 1_767_225_600 * 10**9 + number * 31 * 86_400 * 10**9
                for name, record_type in every_table():
                    made = sample(record_type, number)
                    if name in schema.PARTITIONED:
                        made = dataclasses.replace(made, **{schema.PARTITIONED[name]: moment_ns})
                    journal.append(made)
            assert await journal.flush(20.0)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            journal.close()


def test_archived_months_leave_the_chain_whole(database: str, tmp_path: Path) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SELECT ops.make_partitions('2026-01-01', '2026-03-31')")
    asyncio.run(write_months(database, tmp_path / "spool", 3))
    before = checked(database)
    assert before.faults == ()
    out = tmp_path / "archive"
    march = datetime(2026, 3, 1, tzinfo=UTC)
    moved = list(archiving.archive(database, march, out))
    assert sorted(one.partition for one in moved) == sorted(
        f"{name}_2026_{month:02}" for name in schema.PARTITIONED for month in (1, 2)
    )
    assert [one.rows for one in moved] == [1] * 12
    with psycopg.connect(database) as connection:
        left = connection.execute("SELECT count(*) FROM audit.decision").fetchone()
    assert left == (1,)
    # Without the files those rows are said to be unseen; with them everything is compared.
    without = checked(database)
    assert (without.faults, without.archived, without.rows) == ((), 12, before.rows - 12)
    with StoredRecord(database, out) as stored:
        whole = verify(stored)
    assert (whole.faults, whole.archived, whole.rows) == ((), 0, before.rows)
    path = out / "decision_2026_01.jsonl"
    honest = path.read_bytes()
    path.write_bytes(honest.replace(b'"action":"action 0', b'"action":"action 9'))
    with StoredRecord(database, out) as stored:
        assert only(verify(stored).faults).finding is Finding.ROW_CHANGED
    path.write_bytes(b"")
    with StoredRecord(database, out) as stored:
        assert only(verify(stored).faults).finding is Finding.ROW_REMOVED
    assert list(archiving.archive(database, march, out)) == []


def test_a_forged_row_is_not_archived(database: str, tmp_path: Path) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SELECT ops.make_partitions('2026-01-01', '2026-01-31')")
    asyncio.run(write_months(database, tmp_path / "spool", 1))
    with as_forger(database) as connection:
        connection.execute("UPDATE audit.decision SET summary = 'nothing happened'")
    april = datetime(2026, 4, 1, tzinfo=UTC)
    with pytest.raises(StartRefused, match=r"decision .* is not what was sealed"):
        list(archiving.archive(database, april, tmp_path / "archive"))
    assert only(checked(database).faults).where.startswith("decision ")
