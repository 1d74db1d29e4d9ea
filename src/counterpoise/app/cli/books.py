"""`counterpoise books`: the double-entry books, proven against the venue."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from counterpoise.app.cli import moments, output
from counterpoise.app.cli.ledger_access import open_reader
from counterpoise.app.cli.options import Json, Profile

if TYPE_CHECKING:
    from counterpoise.ledger.books import Books

_BALANCES: Final = ("book", "commodity", "balance")
_POSITIONS: Final = ("instrument_id", "opening", "executed", "expected", "venue", "difference")
_CYCLES: Final = (
    "looked_at", "cause", "result", "opening", "realised", "fees", "funding", "transfers", "assets",
    "difference",
)  # fmt: skip
_PROOF: Final = (
    ("opening", "the venue's cash when the books open"),
    ("realised", "realised profit, liquidation and ADL included"),
    ("fees", "fees"),
    ("funding", "funding"),
    ("transfers", "deposits less withdrawals"),
    ("expected", "cash by the books"),
    ("assets", "cash by the venue"),
    ("difference", "not explained (equity:suspense)"),
)


def books(
    since: Annotated[
        str | None,
        typer.Option(
            "--since", help='Also each answer of the venue since then: "90m", "2d" or an ISO time.'
        ),
    ] = None,
    profile: Profile = None,
    json: Json = False,
) -> None:
    """Prove the books: assets = opening + flows, positions = opening + executions.

    Exit 1 if the facts on record do not explain the venue's figures.
    """
    from counterpoise.app import configuration
    from counterpoise.ledger import books as ledger_books

    since_ns = moments.since_ns(since)
    with open_reader(configuration.load(profile)) as reader:
        found = ledger_books.read(reader)
        cycles = [] if since_ns is None else ledger_books.cycles(reader, since_ns)
    if json:
        output.print_json(
            [
                asdict(one)
                | {"cycles": [row for row in cycles if row["account_id"] == one.account_id]}
                for one in found
            ]
        )
    elif not found:
        typer.echo("no answer of the venue is on record yet")
    else:
        for one in found:
            _print(one)
        if cycles:
            typer.echo("")
            output.print_rows(cycles, _CYCLES, title="each answer of the venue")
    if not all(one.balanced for one in found):
        raise typer.Exit(1)


def _print(one: "Books") -> None:
    proof = one.proof
    typer.echo(
        f"account {one.account_id}, {proof['currency']}, "
        f"{proof['opened_at']:%Y-%m-%d %H:%M} to {proof['closed_at']:%Y-%m-%d %H:%M} UTC"
    )
    output.print_rows(one.balances, _BALANCES)
    typer.echo("")
    for name, words in _PROOF:
        typer.echo(f"{output.figure(proof[name]):>20}  {words}")
    if one.positions:
        typer.echo("")
        output.print_rows(one.positions, _POSITIONS, title="positions, base units")
    typer.echo(
        f"\n{'balanced' if one.balanced else 'NOT BALANCED'}; {one.looks} answers of the venue, "
        f"{one.looks_unexplained} not explained"
    )
