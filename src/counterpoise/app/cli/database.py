"""`counterpoise database upgrade | url | dump | restore`."""

from pathlib import Path
from typing import Annotated

import typer

from counterpoise.app.cli.ledger_access import open_dsn
from counterpoise.app.cli.options import Profile

database = typer.Typer(help="The record's database.", no_args_is_help=True)


@database.command("upgrade")
def upgrade(profile: Profile = None) -> None:
    """Bring the schema up to date; the daemon does so itself at each start."""
    from counterpoise.app import configuration
    from counterpoise.app import database as app_database
    from counterpoise.ledger import migrate

    with app_database.open_database(configuration.load(profile)) as opened:
        typer.echo(f"schema revision {migrate.current(opened.dsn)}")


@database.command("url")
def url(profile: Profile = None) -> None:
    """Print the database's address, password included, for psql and other tools.

    The embedded server answers there only while the daemon or another command runs it.
    """
    from counterpoise.app import configuration

    with open_dsn(configuration.load(profile)) as dsn:
        typer.echo(dsn)


@database.command("dump")
def dump(
    out: Annotated[Path, typer.Argument(help="File to write; it must not exist.")],
    profile: Profile = None,
) -> None:
    """Write the whole database to one file, as pg_dump does; the daemon may run."""
    from counterpoise.app import configuration
    from counterpoise.ledger import backup

    with open_dsn(configuration.load(profile)) as dsn:
        size = backup.dump(dsn, out)
    typer.echo(f"{out}: {size} bytes")


@database.command("restore")
def restore(
    source: Annotated[Path, typer.Argument(help="File that `database dump` wrote.")],
    profile: Profile = None,
) -> None:
    """Restore a dump into an empty database; then `audit verify`, `replay --all` and `books`."""
    from counterpoise.app import configuration
    from counterpoise.app import database as app_database
    from counterpoise.ledger import backup

    with app_database.open_server(configuration.load(profile)) as opened:
        backup.restore(opened.dsn, source)
    typer.echo(f"{source} is restored")
