"""Tries to change the record in every way, as everybody, and counts what is refused and found.

As writer, operator and reader: each statement must be refused by a right. As owner: by a trigger.
As owner with the triggers off everything works, and the check must find and name it.
"""

import asyncio
import shutil
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg

sys.path.insert(0, str(Path(__file__).parent))

from counterpoise.ledger import connections, migrate, schema, sealed_rows
from counterpoise.ledger.postgres import LocalPostgres
from counterpoise.ledger.verifying import Finding
from tampering import SEALED, as_forger, change, checked, move_rows, write

#: Audit tables that rows cannot be put into by a role, beside those of the reader.
_CLOSED: Final = {
    schema.WRITER_ROLE: ("control", "archived"),
    schema.OPERATOR_ROLE: (*SEALED, "block", "archived"),
    schema.READER_ROLE: (*SEALED, "block", "archived", "control"),
}
_CHANGES: Final = {
    "update": "UPDATE audit.{} SET {} = {}",
    "delete": "DELETE FROM audit.{}",
    "truncate": "TRUNCATE audit.{}",
}
_RIGHTS: Final = {
    "triggers off": "ALTER TABLE audit.{} DISABLE TRIGGER ALL",
    "trigger dropped": "DROP TRIGGER append_only_row ON audit.{}",
    "table dropped": "DROP TABLE audit.{}",
}

#: A trigger for each row needs a row: those the daemon does not write.
ROWS_OF_OTHERS: Final = (
    "INSERT INTO audit.control (action, reason) VALUES ('pause', 'looking');"
    "INSERT INTO audit.archived (table_name, partition_name, spool_id, seqs, row_count, "
    "file_name, file_sha256) VALUES ('equity', 'equity_2020_01', 's', '{}', 0, 'f', 'h')"
)


@dataclass(slots=True)
class Tally:
    """What was tried and what came of it."""

    #: (role, kind of change) -> attempts that were refused.
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    #: Kind of change of the owner with triggers off -> changes the check named.
    found: Counter[str] = field(default_factory=Counter)
    #: What went through or was not named.
    missed: list[str] = field(default_factory=list)


def tables() -> list[str]:
    """Return every audit table by name."""
    named = (*SEALED, "block", "archived", "control")
    return sorted(named)


def refusals(dsn: str, tally: Tally) -> None:
    """Try every statement on every table as every role."""
    for role, closed in _CLOSED.items():
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(connections.set_role(role))
            for table in tables():
                for kind, statement in (_CHANGES | _RIGHTS).items():
                    _refused(connection, tally, role, kind, _filled(statement, table))
            for table in closed:
                _refused(
                    connection, tally, role, "insert", f"INSERT INTO audit.{table} DEFAULT VALUES"
                )
            _refused(
                connection,
                tally,
                role,
                "replica role",
                "SET session_replication_role = replica",
            )
    with psycopg.connect(dsn, autocommit=True) as connection:
        for replica in (False, True):
            if replica:
                connection.execute("SET session_replication_role = replica")
            role = "owner as replica" if replica else "owner"
            for table in tables():
                for kind, statement in _CHANGES.items():
                    _refused(connection, tally, role, kind, _filled(statement, table))


def forgeries(dsn: str, tally: Tally) -> None:
    """Change every column, remove, insert and swap rows of every sealed table with triggers off."""
    with as_forger(dsn) as connection:
        for index in range(max(map(len, sealed_rows.COLUMNS.values()))):
            # One column of each table at a time: each must be named, and nothing else.
            changed = [
                change(connection, table, columns[index])
                for table, columns in sorted(sealed_rows.COLUMNS.items())
                if index < len(columns)
            ]
            named = {(fault.finding, fault.where) for fault in checked(dsn).faults}
            wanted = {(Finding.ROW_CHANGED, place) for place, _ in changed}
            tally.found["column changed"] += len(named & wanted)
            tally.missed += [f"column {index}: {each}" for each in sorted(named ^ wanted)]
            for _, undo in changed:
                connection.execute(undo)
        for table in SEALED:
            move_rows(dsn, connection, table)
            tally.found["row inserted"] += 1
            tally.found["row removed"] += 1
            # The table of refused records holds one row here: nothing to swap it with.
            tally.found["rows swapped"] += table != "refused_record"


def _filled(statement: str, table: str) -> str:
    column = {"archived": "file_name", "control": "reason", "block": "kind"}.get(table, "spool_id")
    return statement.format(table, column, column)


def _refused(
    connection: "psycopg.Connection[Any]", tally: Tally, role: str, kind: str, statement: str
) -> None:
    try:
        connection.execute(statement.encode())
    except psycopg.errors.InsufficientPrivilege:
        tally.refused[role, kind] += 1
    except psycopg.errors.RestrictViolation:
        if role.startswith("owner"):
            tally.refused[role, kind] += 1
        else:
            tally.missed.append(f"{role}: only a trigger refused {statement}")
    else:
        tally.missed.append(f"{role}: {statement}")


def campaign(dsn: str, spool: Path) -> Tally:
    """Write a record into a migrated, empty database and tamper with it."""
    asyncio.run(write(dsn, spool, range(3)))
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(ROWS_OF_OTHERS)
    tally = Tally()
    refusals(dsn, tally)
    forgeries(dsn, tally)
    if checked(dsn).faults:
        tally.missed.append("what was undone is not as it was")
    return tally


def main() -> int:
    """Run the campaign on a server of its own; 1 = something was missed."""
    root = Path(tempfile.mkdtemp(prefix="counterpoise-", dir="/var/tmp"))
    root.chmod(0o755)
    try:
        with LocalPostgres(root / "postgres", durable=False) as server:
            migrate.upgrade(server.dsn(), migrate.find_scripts())
            tally = campaign(server.dsn(), root / "spool")
    finally:
        shutil.rmtree(root, ignore_errors=True)
    for (role, kind), count in sorted(tally.refused.items()):
        sys.stdout.write(f"{role:24} {kind:16} {count:>4} refused\n")
    for kind, count in sorted(tally.found.items()):
        sys.stdout.write(f"{'owner, triggers off':24} {kind:16} {count:>4} found and named\n")
    sys.stdout.write(
        f"{tally.refused.total()} attempts refused, {tally.found.total()} forgeries found, "
        f"{len(tally.missed)} missed, {len(tables())} tables\n"
    )
    for missed in tally.missed[:20]:
        sys.stdout.write(f"  missed: {missed}\n")
    return 1 if tally.missed else 0


if __name__ == "__main__":
    sys.exit(main())
