"""The ledger's server: the embedded one, or whatever COUNTERPOISE_DATABASE_URL names."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from counterpoise.app.settings import Settings
from counterpoise.app.way_out import begin_on_thread, from_thread
from counterpoise.domain.errors import StartRefused
from counterpoise.ledger import connections, migrate
from counterpoise.ledger.postgres import LocalPostgres, PostgresBusy

#: Waits for a command that has the embedded server for itself, seconds.
BUSY_WAITS_SECONDS: Final = (0.5, 1.0, 2.0)
#: The embedded server runs within this, seconds: ends a killed daemon's, and recovers from that.
SERVER_SECONDS_MAX: Final = 180.0
#: It is known within this which schema the database has, seconds.
REVISION_SECONDS_MAX: Final = 30.0
#: An older schema is migrated within this, seconds: a large table may take its time.
MIGRATION_SECONDS_MAX: Final = 1_800.0
#: A start that is broken off waits this long for the embedded server's, to stop it in order.
LEAVE_SECONDS_MAX: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A server that takes connections, with the schema of this version."""

    #: libpq address; holds a password, never shown.
    dsn: str
    #: The embedded server this process runs; None = somebody else's.
    local: LocalPostgres | None

    async def supervise(self) -> None:
        """Keep the embedded server running until cancelled; wait for ever for another's."""
        if self.local is None:
            await asyncio.Event().wait()
        else:
            await self.local.supervise()


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """Start or find the server and bring its schema up to date.

    Raises StartRefused or LedgerUnavailable with the remedy.
    """
    with open_server(settings) as database:
        migrate.upgrade(database.dsn, migrate.find_scripts(settings.migrations))
        yield database


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Database]:
    """Do what `open_database` does beside the loop, and in time.

    Raises like it, and StartRefused when the server does not answer.
    """
    async with _server(settings) as database:
        await _migrated(settings, database.dsn)
        yield database


@asynccontextmanager
async def _server(settings: Settings) -> AsyncIterator[Database]:
    opening = open_server(settings)
    entering = begin_on_thread(opening.__enter__)
    try:
        async with asyncio.timeout(SERVER_SECONDS_MAX):
            database = await asyncio.shield(entering)
    except TimeoutError as error:
        raise StartRefused(
            f"the embedded Postgres in {postgres_dir(settings)} did not start within "
            f"{SERVER_SECONDS_MAX:.0f} s; see its postgres.log there, and whether the disk answers"
        ) from error
    except asyncio.CancelledError:
        # One that does not start in time is ended by its shim once this process is gone.
        await asyncio.wait({entering}, timeout=LEAVE_SECONDS_MAX)
        if entering.done() and entering.exception() is None:
            opening.__exit__(None, None, None)
        raise
    try:
        yield database
    finally:
        opening.__exit__(None, None, None)


async def _migrated(settings: Settings, dsn: str) -> None:
    scripts = migrate.find_scripts(settings.migrations)
    try:
        found = await from_thread(lambda: migrate.current(dsn), REVISION_SECONDS_MAX)
    except TimeoutError as error:
        raise silent(dsn, "which schema it has", REVISION_SECONDS_MAX) from error
    if found == migrate.head(scripts):
        return
    try:
        await from_thread(lambda: migrate.upgrade(dsn, scripts), MIGRATION_SECONDS_MAX)
    except TimeoutError as error:
        raise silent(dsn, "to the migration of its schema", MIGRATION_SECONDS_MAX) from error


def silent(dsn: str, asked: str, seconds: float) -> StartRefused:
    """Return the refusal of a start whose database took the question and did not answer."""
    return StartRefused(
        f"Postgres did not answer {asked} within {seconds:.0f} s ({connections.place(dsn)}); see "
        "that the server runs and its disk answers, then start again"
    )


@contextmanager
def open_server(settings: Settings) -> Iterator[Database]:
    """Start or find the server and leave its schema as it is. Raises StartRefused."""
    if settings.database_url is not None:
        yield Database(dsn=settings.database_url.get_secret_value(), local=None)
        return
    local = LocalPostgres(postgres_dir(settings))
    _start(local, settings)
    try:
        yield Database(dsn=local.dsn(), local=local)
    finally:
        local.stop()


def postgres_dir(settings: Settings) -> Path:
    """Return where the embedded server keeps its cluster."""
    return settings.state_dir / "postgres"


def _start(local: LocalPostgres, settings: Settings) -> None:
    # A command may hold the server for a moment; a daemon holds it for good.
    for wait_seconds in BUSY_WAITS_SECONDS:
        try:
            local.start()
        except PostgresBusy:
            time.sleep(wait_seconds)
        else:
            return
    try:
        local.start()
    except PostgresBusy as error:
        raise StartRefused(
            f"another daemon runs in {settings.state_dir}: stop it first (`counterpoise stop`), "
            "or give this one a directory of its own with COUNTERPOISE_STATE_DIR"
        ) from error
