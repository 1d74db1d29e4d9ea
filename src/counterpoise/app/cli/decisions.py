"""`counterpoise decisions`: what was decided, newest first."""

from typing import Annotated, Final

import typer

from counterpoise.app.cli import moments, output
from counterpoise.app.cli.ledger_access import open_reader
from counterpoise.app.cli.options import Json, Profile

_COLUMNS: Final = (
    "decided_at",
    "decision_id",
    "kind",
    "action",
    "trading_state",
    "leverage",
    "outcome",
    "summary",
)


def decisions(
    profile: Profile = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=10_000, help="Rows at most.")
    ] = 20,
    since: Annotated[
        str | None, typer.Option("--since", help='"90m", "2d" ago, or an ISO time (UTC).')
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", help="cycle, guard, flatten or recovery.")
    ] = None,
    json: Json = False,
) -> None:
    """List decisions, the newest first, with what became of them."""
    from counterpoise.app import configuration

    since_ns = moments.since_ns(since)
    with open_reader(configuration.load(profile)) as reader:
        rows = reader.decisions(limit=limit, since_ns=since_ns, kind=kind)
    if json:
        output.print_json(rows)
    elif not rows:
        typer.echo("no decision is on record")
    else:
        output.print_rows(rows, _COLUMNS)
