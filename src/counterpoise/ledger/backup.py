"""Dumps the record to one file and restores it into an empty database.

The programs are Postgres' own `pg_dump` and `pg_restore`, the newest of the machine's and the
embedded server's; where the address asks for TLS, the machine's. A dump is one consistent state; the daemon
may go on writing meanwhile. Passwords never stand in an argument list.
"""

import contextlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import psycopg
from psycopg import conninfo, sql

from counterpoise.domain.errors import LedgerUnavailable, StartRefused
from counterpoise.ledger import connections, schema
from counterpoise.ledger.postgres.binaries import find_binaries
from counterpoise.ledger.postgres.errors import PostgresFailed

#: Longest dump or restore, seconds.
SECONDS_MAX: Final = 4 * 3_600
_ROLES: Final = (schema.WRITER_ROLE, schema.READER_ROLE, schema.OPERATOR_ROLE)
#: Values of `sslmode` that take no plain connection.
_ENCRYPTED: Final = frozenset({"require", "verify-ca", "verify-full"})
_EMPTY: Final = "SELECT to_regnamespace('audit') IS NULL AND to_regclass('ops.lease') IS NULL"


def dump(dsn: str, out: Path) -> int:
    """Write the database to `out` in pg_dump's custom format and return its bytes.

    `out` is there as a whole or not at all. Raises StartRefused when it exists or Postgres' program
    fails.
    """
    if out.exists():
        raise StartRefused(f"{out} exists; name another file")
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f"{out.name}.part")
    arguments = ["--format=custom", "--no-owner", f"--file={part}"]
    try:
        _run("pg_dump", dsn, arguments)
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    return out.stat().st_size


def restore(dsn: str, source: Path) -> None:
    """Restore a dump into a database that has no schema of ours, in one transaction.

    Raises StartRefused when the file is not there, the database is not empty or Postgres' program
    fails, and LedgerUnavailable when the server does not answer.
    """
    if not source.is_file():
        raise StartRefused(f"{source} is no file")
    try:
        with connections.open_sync(dsn, "counterpoise restore") as connection:
            if connection.execute(_EMPTY).fetchone() != (True,):
                raise StartRefused("the database holds a record already; restore into an empty one")
            for role in _ROLES:
                _make_role(connection, role)
    except psycopg.OperationalError as error:
        words = connections.words(error, dsn)
        raise LedgerUnavailable(f"Postgres does not answer: {words}") from error
    arguments = ["--no-owner", "--exit-on-error", "--single-transaction", str(source)]
    _run("pg_restore", dsn, arguments)


def _make_role(connection: "psycopg.Connection[tuple[object, ...]]", role: str) -> None:
    # The grants in the dump name the roles, which belong to the server and not to the dump.
    known = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,)).fetchone()
    if known is not None:
        return
    try:
        connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))
        connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(role)))
    except psycopg.errors.InsufficientPrivilege as error:
        raise StartRefused(
            f"as an administrator run: CREATE ROLE {role} NOLOGIN; GRANT {role} TO the owner"
        ) from error


def _run(program: str, dsn: str, arguments: list[str]) -> None:
    parts = conninfo.conninfo_to_dict(connections.libpq_dsn(dsn))
    password = parts.pop("password", None)
    environment = {"PATH": os.defpath, "LC_ALL": "C"}
    if password is not None:
        environment["PGPASSWORD"] = str(password)
    target = conninfo.make_conninfo("", **parts)
    path = _find(program, encrypted=str(parts.get("sslmode", "")) in _ENCRYPTED)
    ran = subprocess.run(  # noqa: S603 - Postgres' own program
        [path, f"--dbname={target}", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    if ran.returncode != 0:
        words = (ran.stderr.strip().splitlines() or ["without a word"])[-1]
        raise StartRefused(f"{path} failed: {words}")


def _find(program: str, *, encrypted: bool) -> str:
    # The newest one reads every older server and every older dump; the embedded one speaks no TLS.
    installed = shutil.which(program)
    if installed is not None and encrypted:
        return installed
    found = [] if installed is None else [installed]
    with contextlib.suppress(PostgresFailed):
        found.append(str(find_binaries() / program))
    known = [path for path in found if Path(path).exists()]
    if not known:
        raise StartRefused(f"there is no {program} here; install Postgres' client programs")
    return max(known, key=_version)


def _version(path: str) -> tuple[int, ...]:
    # "pg_dump (PostgreSQL) 18.6", on Debian with words of its own behind.
    told = subprocess.run(  # noqa: S603 - Postgres' own program
        [path, "--version"],
        env={"PATH": os.defpath, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    number = re.search(r"(\d+)(?:\.(\d+))?", told)
    return (0, 0) if number is None else (int(number[1]), int(number[2] or 0))
