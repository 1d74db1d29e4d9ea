"""`counterpoise config show | check`."""

import typer

from counterpoise.app.cli import output
from counterpoise.app.cli.options import Json, Profile

config = typer.Typer(help="Show or check the configuration.", no_args_is_help=True)


@config.command("show")
def show(profile: Profile = None, json: Json = False) -> None:
    """Print every setting, its value and where it came from; secrets are masked."""
    from counterpoise.app import configuration
    from counterpoise.app.settings import variable

    settings = configuration.load(profile)
    sources = configuration.sources(settings)
    rows = [
        {"setting": name, "value": value, "source": sources[name], "variable": variable(name)}
        for name, value in configuration.shown(settings).items()
    ]
    if json:
        output.print_json(rows)
    else:
        output.print_rows(rows, ("setting", "value", "source", "variable"))


@config.command("check")
def check(profile: Profile = None) -> None:
    """Check the configuration; exit 2 and say what is allowed if it does not fit."""
    from counterpoise.app import configuration

    settings = configuration.load(profile)
    typer.echo(
        f"profile {settings.profile} is sound: {settings.mode} {settings.core_side} "
        f"{settings.core_instrument} on {settings.venue}, ceiling {settings.leverage_ceiling}x"
    )
