"""The ledger's server: the embedded one, or whatever COUNTERPOISE_DATABASE_URL names."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from counterpoise.app.settings import Settings
from counterpoise.ledger import migrate
from counterpoise.ledger.postgres import LocalPostgres


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
    if settings.database_url is not None:
        database = Database(dsn=settings.database_url.get_secret_value(), local=None)
        _upgrade(settings, database)
        yield database
        return
    local = LocalPostgres(postgres_dir(settings))
    local.start()
    try:
        database = Database(dsn=local.dsn(), local=local)
        _upgrade(settings, database)
        yield database
    finally:
        local.stop()


def postgres_dir(settings: Settings) -> Path:
    """Return where the embedded server keeps its cluster."""
    return settings.state_dir / "postgres"


def _upgrade(settings: Settings, database: Database) -> None:
    migrate.upgrade(database.dsn, migrate.find_scripts(settings.migrations))
