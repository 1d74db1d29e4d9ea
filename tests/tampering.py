"""Ways to tamper with the record, and the check that must find each of them."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from counterpoise.domain.records import Record
from counterpoise.ledger import sealed_rows
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
