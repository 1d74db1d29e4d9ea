"""Options that several commands share."""

from typing import Annotated

import typer

#: Which `config/<profile>.toml` to read.
Profile = Annotated[
    str | None,
    typer.Option(
        "--profile", "-p", help="Profile in config/ (default: COUNTERPOISE_PROFILE, demo)."
    ),
]
#: Machine-readable output.
Json = Annotated[bool, typer.Option("--json", help="Print JSON: a list with one object per row.")]
#: The operator's words, kept in the record.
Why = Annotated[str, typer.Option("--reason", "-r", help="Why; kept in the record.")]
#: Whose daemon a command is for.
Account = Annotated[
    str | None,
    typer.Option(
        "--account", help="Account; default: of the daemon that ran last in this state directory."
    ),
]
