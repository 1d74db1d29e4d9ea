"""`counterpoise positions`: what is held, by the record."""

from decimal import Decimal
from typing import Annotated, Final

import typer

from counterpoise.app.cli import output
from counterpoise.app.cli.ledger_access import open_reader
from counterpoise.app.cli.options import Json, Profile

_COLUMNS: Final = (
    "instrument_id",
    "quantity",
    "entry_price",
    "mark",
    "notional",
    "unrealised_pnl",
    "recorded_at",
)


def positions(
    profile: Profile = None,
    flat: Annotated[
        bool, typer.Option("--flat", help="Also instruments that are flat by now.")
    ] = False,
    json: Json = False,
) -> None:
    """List the held positions and the account's equity, as last recorded."""
    from counterpoise.app import configuration

    with open_reader(configuration.load(profile)) as reader:
        rows = [row for row in reader.positions() if flat or row["quantity"] != 0]
        equity = reader.equity_last()
    for row in rows:
        row["notional"] = None if row["mark"] is None else abs(row["quantity"]) * row["mark"]
    if json:
        output.print_json(rows)
        return
    if rows:
        output.print_rows(rows, _COLUMNS)
    else:
        typer.echo("no position is on record")
    if equity is not None:
        leverage = equity["leverage"]
        typer.echo(
            f"equity {output.figure(equity['equity'])}"
            f"  leverage {output.cell(leverage if leverage is not None else Decimal(0))}"
            f"  net {output.figure(equity['net_exposure'])}"
            f"  at {equity['event_at']}"
        )
