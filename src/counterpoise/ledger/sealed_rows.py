"""Reads stored rows back with the columns that are hashed."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Final

import sqlalchemy as sa

from counterpoise.ledger import chain, schema

_PLACE: Final = ("spool_id", "spool_seq")

#: Name of a sealed table -> its columns that are hashed.
COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    str(table.name): tuple(field.name for field in dataclasses.fields(record))
    for record, table in schema.TABLES.items()
} | {str(schema.REFUSED.name): ("table_name", "body", "error")}

#: Name of a sealed table -> the table.
SEALED: Final[dict[str, sa.Table]] = {
    str(table.name): table for table in schema.TABLES.values()
} | {str(schema.REFUSED.name): schema.REFUSED}


def statements(
    spool_id: str, first: int, last: int | None
) -> Iterator[tuple[str, sa.Select[tuple[Any, ...]]]]:
    """Yield (table, query of its rows of one spool from `first` to `last`); None = to the end."""
    for name, table in SEALED.items():
        columns = [table.c[column] for column in (*_PLACE, *COLUMNS[name])]
        query = sa.select(*columns).where(table.c.spool_id == spool_id, table.c.spool_seq >= first)
        if last is not None:
            query = query.where(table.c.spool_seq <= last)
        yield name, query.order_by(table.c.spool_seq)


def leaf_of(table: str, row: Mapping[Any, Any]) -> tuple[int, bytes]:
    """Return (place in its spool, leaf) of a row that `statements` found."""
    columns = {name: row[name] for name in COLUMNS[table]}
    return row["spool_seq"], chain.leaf(table, row["spool_id"], row["spool_seq"], columns)
