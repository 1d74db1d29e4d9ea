"""What commands print: tables for people, canonical JSON for programs."""

import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

#: Width of a table that nobody looks at on a terminal, columns.
_WIDTH_PIPED: Final = 200


def console() -> Console:
    """Return a console on standard output; a pipe gets wide plain text."""
    width = None if sys.stdout.isatty() else _WIDTH_PIPED
    return Console(file=sys.stdout, width=width, highlight=False, soft_wrap=False)


def print_json(value: object) -> None:
    """Print canonical JSON: sorted keys, Decimals as text."""
    from counterpoise.ledger import codec

    sys.stdout.write(codec.encode(value) + "\n")


def print_rows(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, title: str = ""
) -> None:
    """Print chosen columns of rows as a table."""
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        right = bool(rows) and isinstance(rows[0].get(column), (Decimal, int, float))
        table.add_column(column.replace("_", " "), justify="right" if right else "left")
    for row in rows:
        table.add_row(*(cell(row.get(column)) for column in columns))
    console().print(table)


def cell(value: object) -> str:
    """Return a value as a person reads it; None is a dash."""
    if value is None:
        return "-"
    if isinstance(value, Decimal):
        return figure(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(cell(part) for part in value)
    return escape(str(value))


def figure(value: Decimal) -> str:
    """Return a Decimal to at most six places, without trailing zeros."""
    if value == value.to_integral_value():
        return f"{value:.0f}"
    return f"{value:.6f}".rstrip("0").rstrip(".")
