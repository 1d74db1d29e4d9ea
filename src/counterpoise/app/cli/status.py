"""`counterpoise status`: is the daemon alive, and what holds it back."""

from typing import Annotated

import typer

from counterpoise.app.cli import output
from counterpoise.app.cli.options import Json, Profile


def status(
    profile: Profile = None,
    json: Json = False,
    ready: Annotated[
        bool, typer.Option("--ready", help="Exit 1 also while something holds the daemon back.")
    ] = False,
) -> None:
    """Say whether the daemon of this state directory lives; exit 1 if it does not.

    It needs no other setting than the state directory and the status page's host.
    """
    from counterpoise.app import profiles
    from counterpoise.status import client

    found = client.ask(*profiles.daemon_place(profile))
    if json:
        output.print_json([{**found.facts, "live": found.live, "ready": found.ready}])
    else:
        typer.echo(found.summary)
        shown = {name: fact for name, fact in found.facts.items() if name != "held_back_by"}
        rows = [{"name": name, "value": fact} for name, fact in shown.items()]
        if rows:
            output.print_rows(rows, ("name", "value"))
    raise typer.Exit(0 if (found.ready if ready else found.live) else 1)
