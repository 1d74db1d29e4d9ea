"""`counterpoise run`: the daemon."""

from typing import Annotated

import typer

from counterpoise.app.cli.options import Profile


def run(
    profile: Profile = None,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh",
            help="Start the built-in venue or the paper account from nothing; the old is set aside.",
        ),
    ] = False,
    observe: Annotated[
        bool, typer.Option("--observe", help="Decide and record, and never send an order.")
    ] = False,
) -> None:
    """Run the daemon until it is told to stop (Ctrl-C, SIGTERM or `counterpoise stop`)."""
    from counterpoise.app import configuration, daemon, logs

    settings = configuration.load(profile, fresh=fresh or None, mode="observe" if observe else None)
    logs.configure(settings.log_format, settings.log_level)
    raise typer.Exit(daemon.run(settings))
