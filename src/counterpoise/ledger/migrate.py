"""Brings a database's schema to a revision, with Alembic, over a connection of its own.

The server sets a statement no time limit: a migration of a large table may take its time. It
waits for nobody's lock for long, and a peer that is gone shows as on every connection of ours.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg.errors import LockNotAvailable
from sqlalchemy.pool import NullPool

from counterpoise.domain.errors import LedgerUnavailable, StartRefused
from counterpoise.ledger import connections, schema

#: Alembic's own table, in schema `ops`.
VERSION_TABLE: Final = "schema_version"
#: Two starts at once migrate one after the other: key of a transaction's advisory lock.
_LOCK_KEY: Final = 0x636F756E746572
#: Longest wait for another start that migrates, and for a table that somebody else locked, ms.
LOCK_TIMEOUT_MS: Final = 20_000


def find_scripts(override: Path | None = None) -> Path:
    """Return the migrations' directory: `override`, a checkout's, or one beside the package.

    Raises StartRefused when there is none.
    """
    package = Path(__file__).resolve().parents[1]
    places = [override] if override is not None else [package.parents[1], package.parent, package]
    for place in places:
        for candidate in (place, place / "migrations"):
            if (candidate / "env.py").is_file() and (candidate / "versions").is_dir():
                return candidate
    names = ", ".join(str(place) for place in places)
    raise StartRefused(f"no migrations in {names}; set COUNTERPOISE_MIGRATIONS to their directory")


def upgrade(url: str, script_location: Path, revision: str = "head") -> str:
    """Bring the schema to `revision` and return its name.

    Safe to repeat. Raises LedgerUnavailable when Postgres does not answer and StartRefused when
    the schema is newer than these scripts or somebody else holds what it needs.
    """
    with _connected(url) as connection:
        found = _revision(connection)
        known = {script.revision for script in _scripts(script_location).walk_revisions()}
        if found is not None and found not in known:
            raise StartRefused(
                f"the database's schema has revision {found}, which this version does not know; "
                "install the version that made it or a newer one"
            )
        command.upgrade(_configuration(script_location, connection), revision)
        now = _revision(connection)
    assert now is not None, "the upgrade left no revision"
    return now


def downgrade(url: str, script_location: Path, revision: str) -> str | None:
    """Take the schema back to `revision` ("base" = nothing) and return what it is then.

    This deletes records. It is meant for tests and for a database that was never used.
    """
    with _connected(url) as connection:
        command.downgrade(_configuration(script_location, connection), revision)
        return _revision(connection)


def current(url: str) -> str | None:
    """Return the schema's revision; None = no schema. Raises as `upgrade` does."""
    with _connected(url) as connection:
        return _revision(connection)


def revisions(script_location: Path) -> frozenset[str]:
    """Return every revision the scripts know."""
    return frozenset(script.revision for script in _scripts(script_location).walk_revisions())


def head(script_location: Path) -> str:
    """Return the newest revision the scripts know."""
    newest = _scripts(script_location).get_current_head()
    assert newest is not None, "the migrations' directory is empty"
    return newest


@contextmanager
def _connected(url: str) -> Iterator[sa.Connection]:
    # Everything happens in one transaction: a migration is there as a whole or not at all.
    engine = sa.create_engine(
        connections.sqlalchemy_url(url),
        poolclass=NullPool,
        connect_args=connections.connect_arguments(
            "counterpoise migrate", statement_ms=0, lock_ms=LOCK_TIMEOUT_MS
        ),
    )
    migrates = False
    try:
        with engine.begin() as connection:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK_KEY)))
            migrates = True
            yield connection
    except sa.exc.OperationalError as error:
        if isinstance(error.orig, LockNotAvailable):
            raise StartRefused(_held_words(url, migrates=migrates)) from error
        raise LedgerUnavailable(
            f"Postgres does not answer: {connections.words(error.orig or error, url)}"
        ) from error
    finally:
        engine.dispose()


def _held_words(url: str, *, migrates: bool) -> str:
    seconds = LOCK_TIMEOUT_MS // 1000
    where = connections.place(url)
    if migrates:
        return (
            f"a session of somebody else's held a table of ours for more than {seconds} s while "
            f"the schema was to be migrated ({where}); nothing was changed: end that session "
            "(pg_stat_activity names it) and start again"
        )
    return (
        f"another start or command migrates the schema ({where}) and was not done within "
        f"{seconds} s; start again once it is"
    )


def _revision(connection: sa.Connection) -> str | None:
    context = MigrationContext.configure(
        connection, opts={"version_table": VERSION_TABLE, "version_table_schema": schema.OPS}
    )
    return context.get_current_revision()


def _configuration(script_location: Path, connection: sa.Connection) -> Config:
    configuration = Config()
    # A percent sign in a path would be read as an interpolation.
    configuration.set_main_option("script_location", str(script_location).replace("%", "%%"))
    configuration.attributes["connection"] = connection
    return configuration


def _scripts(script_location: Path) -> ScriptDirectory:
    return ScriptDirectory(str(script_location))
