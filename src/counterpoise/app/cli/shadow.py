"""`counterpoise shadow`: the account beside its twin, slot by slot."""

from typing import Annotated, Final

import typer

from counterpoise.app.cli import moments, output
from counterpoise.app.cli.ledger_access import open_reader
from counterpoise.app.cli.options import Json, Profile
from counterpoise.domain.errors import StartRefused

_COLUMNS: Final = (
    "slot_at",
    "instrument_id",
    "live_held",
    "twin_held",
    "live_traded",
    "twin_traded",
    "live_price",
    "twin_price",
    "live_slippage_bps",
    "twin_slippage_bps",
)
#: An instrument that neither side held or traded is not shown to people.
_MOVED: Final = ("live_held", "twin_held", "live_traded", "twin_traded")
_TOTALS: Final = ("account_id", "equity", "cycles", "turnover", "fees", "slippage_bps")


def shadow(
    profile: Profile = None,
    since: Annotated[
        str, typer.Option("--since", help='"90m", "7d" ago, or an ISO time (UTC).')
    ] = "1d",
    account: Annotated[
        str | None, typer.Option("--account", help="Account; default: the newest run's.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=10_000, help="Rows shown at most.")
    ] = 40,
    json: Json = False,
) -> None:
    """Line up the account's decisions and fills with its shadow twin's (`shadow = true`).

    Held: at the decision. Traded: by the decision's orders. Slippage: against the mark of the
    decision, positive = worse.
    """
    from counterpoise.app import configuration
    from counterpoise.ledger import comparison, reporting

    since_ns = moments.moment_ns("--since", since)
    with open_reader(configuration.load(profile)) as reader:
        account_id = account or reporting.newest_account(reader)
        if account_id is None:
            raise StartRefused("no run is on record")
        rows = comparison.comparison(reader, account_id, since_ns)
        totals = comparison.totals(reader, account_id, since_ns)
    if json:
        output.print_json(rows)
        return
    if not any(row["twin_action"] is not None for row in rows):
        typer.echo(f"no twin of {account_id} decided since {since}: COUNTERPOISE_SHADOW=true")
        return
    shown = [row for row in rows if any(row[name] for name in _MOVED)]
    output.print_rows(shown[:limit], _COLUMNS)
    if len(shown) > limit:
        typer.echo(f"and {len(shown) - limit} earlier rows: --limit, --json")
    typer.echo("")
    output.print_rows(totals, _TOTALS)
