"""The ledger's server: the embedded one, or whatever COUNTERPOISE_DATABASE_URL names."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from counterpoise.app.settings import Settings
from counterpoise.domain.errors import StartRefused
from counterpoise.ledger import migrate
from counterpoise.ledger.postgres import LocalPostgres, PostgresBusy

#: Waits for a command that has the embedded server for itself, seconds.
BUSY_WAITS_SECONDS: Final = (0.5, 1.0, 2.0)


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
