"""The record in Postgres as `ledger.verifying` reads it: one snapshot, read only."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.pool import NullPool

from counterpoise.domain.errors import LedgerUnavailable
from counterpoise.ledger import connections, schema, sealed_rows
from counterpoise.ledger.chain import Block, Head
from counterpoise.ledger.exported_record import ExportedRecord
from counterpoise.ledger.verifying import StoredRow

#: Blocks fetched at once.
_PAGE_BLOCKS: Final = 500


class StoredRecord:
    """One state of the database while the block lasts; use it as a context manager."""

    def __init__(self, dsn: str, archive: Path | None = None) -> None:
        """Connect without a statement time limit: a year of rows takes its time.

        `archive` is the directory that months were archived to; None = they are not looked at.
        """
        files = () if archive is None else sorted(archive.glob("*.jsonl"))
        self._archive = ExportedRecord(*files)
        self._dsn = dsn
        self._engine = sa.create_engine(
            connections.sqlalchemy_url(dsn),
            poolclass=NullPool,
            isolation_level="REPEATABLE READ",
            connect_args={
                "connect_timeout": connections.CONNECT_TIMEOUT_SECONDS,
                "application_name": "counterpoise audit",
            },
        )

    def __enter__(self) -> Self:
        """Open the snapshot. Raises LedgerUnavailable."""
        try:
            self._connection = self._engine.connect()
            self._connection.execute(sa.text("SET TRANSACTION READ ONLY"))
        except sa.exc.OperationalError as error:
            words = connections.words(error.orig or error, self._dsn)
            raise LedgerUnavailable(f"Postgres does not answer: {words}") from error
        self._archive.__enter__()
        self._elsewhere = self._read_archived()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self._archive.__exit__(kind, error, trace)
        self._connection.close()
        self._engine.dispose()

    def chains(self) -> Sequence[str]:
        """Return the names of all chains, sorted."""
        names = sa.select(schema.BLOCK.c.chain).distinct().order_by(schema.BLOCK.c.chain)
        return list(self._connection.execute(names).scalars())

    def blocks(self, chain: str) -> Iterator[Block]:
        """Yield a chain's blocks by number."""
        table, after = schema.BLOCK, -1
        while True:
            page = (
                sa.select(table)
                .where(table.c.chain == chain, table.c.block_no > after)
                .order_by(table.c.block_no)
                .limit(_PAGE_BLOCKS)
            )
            rows = self._connection.execute(page).mappings().all()
            for row in rows:
                yield Block(**{**row, "seqs": tuple(row["seqs"])})
            if len(rows) < _PAGE_BLOCKS:
                return
            after = rows[-1]["block_no"]

    def heads(self) -> dict[str, Head]:
        """Return where each chain ends."""
        table = schema.BLOCK
        newest = (
            sa.select(table.c.chain, table.c.block_no, table.c.hash)
            .ext(postgresql.distinct_on(table.c.chain))
            .order_by(table.c.chain, table.c.block_no.desc())
        )
        rows = self._connection.execute(newest).all()
        return {chain: Head(block_no=number, hash=value) for chain, number, value in rows}

    def rows(self, spool_id: str, first: int, last: int | None) -> Iterator[StoredRow]:
        """Yield the rows of one spool from place `first` to `last`; None = to the end."""
        for table, _, row in self.contents(spool_id, first, last):
            seq, leaf = sealed_rows.leaf_of(table, row)
            yield StoredRow(table=table, spool_id=spool_id, spool_seq=seq, leaf=leaf)
        yield from self._archive.rows(spool_id, first, last)

    def contents(
        self, spool_id: str, first: int, last: int | None
    ) -> Iterator[tuple[str, int, dict[str, Any]]]:
        """Yield (table, place, columns) of the same rows, table by table."""
        for table, statement in sealed_rows.statements(spool_id, first, last):
            for row in self._connection.execute(statement).mappings():
                yield table, row["spool_seq"], dict(row)

    def spools(self) -> Sequence[str]:
        """Return every spool that rows name, sorted."""
        named = sa.union(
            *(sa.select(table.c.spool_id) for table in sealed_rows.SEALED.values())
        ).subquery()
        return sorted(self._connection.execute(sa.select(named.c.spool_id).distinct()).scalars())

    def is_archived(self, spool_id: str, seq: int) -> bool:
        """Tell whether a row was archived; with the archive at hand none counts as elsewhere."""
        return any(low <= seq < high for low, high in self._elsewhere.get(spool_id, ()))

    def _read_archived(self) -> dict[str, list[tuple[int, int]]]:
        if self._archive.spools():
            return {}
        table = schema.ARCHIVED
        found: dict[str, list[tuple[int, int]]] = {}
        for spool_id, seqs in self._connection.execute(sa.select(table.c.spool_id, table.c.seqs)):
            found.setdefault(spool_id, []).extend((one.lower, one.upper) for one in seqs)
        return found
