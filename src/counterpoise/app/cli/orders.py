"""`counterpoise orders unresolved | resolve`: orders whose fate the venue does not tell."""

from decimal import Decimal, InvalidOperation
from typing import Annotated, Final

import typer

from counterpoise.app.cli import control, output
from counterpoise.app.cli.ledger_access import open_reader
from counterpoise.app.cli.options import Account, Json, Profile
from counterpoise.domain.errors import SettingsError
from counterpoise.domain.events import ControlAction, OrderStatement, StatedEnd

_COLUMNS: Final = (
    "client_order_id",
    "instrument_id",
    "side",
    "quantity",
    "filled_quantity",
    "reduce_only",
    "created_at",
    "unresolved",
    "stated",
    "evidence",
)

orders = typer.Typer(help="Orders whose fate the venue does not tell.", no_args_is_help=True)


@orders.command("unresolved")
def unresolved(profile: Profile = None, json: Json = False) -> None:
    """List them with the evidence; each counts in full and holds back its own instrument."""
    from counterpoise.app import configuration

    with open_reader(configuration.load(profile)) as reader:
        rows = reader.unknown_orders()
    if json:
        output.print_json(rows)
    elif rows:
        output.print_rows(rows, _COLUMNS)
    else:
        typer.echo("the fate of every order is known")


@orders.command("resolve")
def resolve(
    client_order_id: Annotated[str, typer.Argument(help="As `orders unresolved` lists it.")],
    reason: Annotated[
        str, typer.Option("--reason", "-r", help="What you saw at the venue; kept in the record.")
    ],
    absent: Annotated[
        bool, typer.Option("--absent", help="The venue never had it, or it ended unfilled.")
    ] = False,
    filled: Annotated[
        str | None, typer.Option("--filled", help="It is over, filled by this, base units.")
    ] = None,
    profile: Profile = None,
    account: Account = None,
) -> None:
    """State what became of one, after looking at the venue; recorded with your reason.

    It is taken only where the venue's evidence leaves the order open, by the running daemon or
    the next one. Neither positions nor executions are changed by it: those the venue tells.
    """
    if absent == (filled is not None):
        raise SettingsError("state either --absent or --filled QUANTITY")
    if not reason.strip():
        raise SettingsError("--reason is empty: say what you saw at the venue")
    statement = OrderStatement(
        client_order_id=client_order_id,
        end=StatedEnd.ABSENT if absent else StatedEnd.ENDED,
        filled_quantity=Decimal(0) if filled is None else _quantity(filled),
    )
    control.ask(ControlAction.RESOLVE_ORDER, profile, reason, account, statement=statement)


def _quantity(text: str) -> Decimal:
    try:
        quantity = Decimal(text)
    except InvalidOperation:
        quantity = Decimal(-1)
    if not quantity.is_finite() or quantity < 0:
        raise SettingsError(f"--filled {text}: allowed is a quantity in base units, 0 or more")
    return quantity
