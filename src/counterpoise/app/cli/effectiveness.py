"""`counterpoise effectiveness`: what the hedge did, against what it was for."""

from typing import Annotated, Final

import typer

from counterpoise.app.cli import moments, output
from counterpoise.app.cli.ledger_access import open_reader
from counterpoise.app.cli.options import Json, Profile

#: Column of `audit.hedge_effectiveness` -> what it says.
WORDS: Final = {
    "intervals": "cycles looked at",
    "core_pnl": "price profit of the core leg, quote",
    "hedge_pnl": "price profit of the hedge legs, quote",
    "variance_reduction": "variance the hedge took away, fraction of the core's",
    "variance_reduction_predicted": "the same as the signals predicted it",
    "residual_beta": "move of the book per move of the core leg (1 = unhedged, 0 = hedged)",
    "net_beta_dollar_seconds": "net beta exposure held x seconds",
    "naked_dollar_seconds": "exposure beyond the plan while legs were traded x seconds",
    "hedge_fees": "fees of the hedge legs, quote",
    "hedge_funding": "funding the hedge legs received, quote",
    "hedge_cost": "fees less funding, quote",
    "risk_removed": "one standard deviation of profit over the span that was taken away, quote",
    "cost_per_risk_removed": "cost per unit of it; none = no risk was removed",
}


def effectiveness(
    since: Annotated[
        str, typer.Option("--since", help='"90m", "7d" ago, or an ISO time (UTC).')
    ] = "7d",
    profile: Profile = None,
    json: Json = False,
) -> None:
    """Tell what the hedge did: variance taken away, residual beta, exposure left, cost."""
    from counterpoise.app import configuration
    from counterpoise.ledger import effectiveness as ledger_effectiveness

    since_ns = moments.moment_ns("--since", since)
    with open_reader(configuration.load(profile)) as reader:
        rows = ledger_effectiveness.effectiveness(reader, since_ns)
    if json:
        output.print_json(rows)
        return
    if not rows:
        typer.echo(f"no two cycles are on record since {since}")
    for row in rows:
        typer.echo(f"account {row['account_id']}, {row['first_at']:%Y-%m-%d %H:%M} UTC on")
        for name, words in WORDS.items():
            typer.echo(f"{output.cell(row[name]):>16}  {words}")
