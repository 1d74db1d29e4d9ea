"""Gets a command to the record, whether the daemon runs or not."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from counterpoise.domain.errors import StartRefused

if TYPE_CHECKING:
    # Pydantic is loaded by the command that reads the settings, not by `--help`.
    from counterpoise.app.configuration import Place
    from counterpoise.app.settings import Settings
    from counterpoise.ledger.reader import LedgerReader


@contextmanager
def open_dsn(settings: "Settings | Place") -> Iterator[str]:
    """Give the database's address; the embedded server runs at least as long as the block.

    Raises StartRefused when there is no record yet.
    """
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    root = settings.state_dir / "postgres"
    if not root.is_dir():
        raise StartRefused(
            f"there is no record in {settings.state_dir} yet; start the daemon first"
        )
    from counterpoise.ledger import postgres

    with postgres.open_for_cli(root) as server:
        yield server.dsn()


@contextmanager
def open_reader(settings: "Settings | Place") -> Iterator["LedgerReader"]:
    """Give a reader of the record. Raises StartRefused or LedgerUnavailable."""
    from counterpoise.ledger.reader import LedgerReader

    with open_dsn(settings) as dsn, LedgerReader(dsn) as reader:
        yield reader


def one_decision(reader: "LedgerReader", id_prefix: str | None) -> dict[str, Any]:
    """Return one decision with its bodies; None = the newest. Raises StartRefused if none fits."""
    if id_prefix is None:
        newest = reader.decisions(limit=1)
        if not newest:
            raise StartRefused("no decision is on record")
        id_prefix = str(newest[0]["decision_id"])
    try:
        found = reader.decision(id_prefix)
    except LookupError as error:
        raise StartRefused(str(error)) from error
    if found is None:
        raise StartRefused(f"no decision begins with {id_prefix}")
    return found
