"""`counterpoise database upgrade | url`."""

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
