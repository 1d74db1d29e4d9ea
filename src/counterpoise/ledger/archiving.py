"""Moves whole months out of the database into files, without breaking the chain.

A month's partition is written as JSON lines (the form of `exporting`), its rows are compared with
their leaves, and only then is it dropped. Blocks stay for good: the file is checked against them
at any later time. Only the schema's owner may do this.
"""

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import Range

from counterpoise.domain.errors import StartRefused
from counterpoise.ledger import chain, connections, schema, sealed_rows

_MONTH: Final = re.compile(r"_(\d{4})_(\d{2})$")

_PARTITIONS: Final = sa.text(
    "SELECT parent.relname, child.relname FROM pg_inherits "
    "JOIN pg_class parent ON parent.oid = inhparent JOIN pg_class child ON child.oid = inhrelid "
    "WHERE parent.relnamespace = 'audit'::regnamespace AND parent.relkind = 'p' "
    "ORDER BY 2"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """One partition that was moved out."""

    #: Table it belonged to.
    table: str
    #: Its own name, "decision_2026_01".
    partition: str
    #: Rows in the file.
    rows: int
    path: Path
    #: Of the file, hex.
    sha256: str


def archive(dsn: str, before: datetime, directory: Path) -> Iterator[Archived]:
    """Yield each partition that ends at or before `before` (UTC, a month's first day) once moved.

    A row that does not fit its leaf stops it before anything is dropped: StartRefused. The file
    is on the disk before the partition goes; a crash between the two leaves both.
    """
    directory.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(connections.sqlalchemy_url(dsn))
    try:
        with engine.connect() as connection:
            partitions = _due(connection, before)
        for table, partition in partitions:
            with engine.begin() as connection:
                # No row may arrive between the file and the drop.
                connection.execute(
                    sa.text(f'LOCK TABLE audit."{partition}" IN SHARE ROW EXCLUSIVE MODE')
                )
                yield _move(connection, table, partition, directory)
    finally:
        engine.dispose()


def _due(connection: sa.Connection, before: datetime) -> Sequence[tuple[str, str]]:
    found = []
    for table, partition in connection.execute(_PARTITIONS):
        month = _MONTH.search(partition)
        if month is None:
            continue
        year, number = int(month[1]), int(month[2])
        ends = (year + number // 12, number % 12 + 1)
        if ends <= (before.year, before.month):
            found.append((table, partition))
    return found


def _move(connection: sa.Connection, table: str, partition: str, directory: Path) -> Archived:
    path = directory / f"{partition}.jsonl"
    places: defaultdict[str, list[int]] = defaultdict(list)
    digest = hashlib.sha256()
    columns = sealed_rows.COLUMNS[table]
    source = sealed_rows.SEALED[table]
    rows = connection.execute(
        sa.select(*(source.c[name] for name in ("spool_id", "spool_seq", *columns)))
        .where(
            sa.literal_column(f"audit.{table}.tableoid")
            == sa.text(f"'audit.{partition}'::regclass")
        )
        .order_by(source.c.spool_id, source.c.spool_seq)
    ).mappings()
    with path.open("wb") as file:
        for row in rows:
            spool_id, seq = row["spool_id"], row["spool_seq"]
            body = chain.leaf_body(table, spool_id, seq, {name: row[name] for name in columns})
            places[spool_id].append(seq)
            line = b'{"row":' + body + b"}\n"
            digest.update(line)
            file.write(line)
        file.flush()
        os.fsync(file.fileno())
    for spool_id, seqs in places.items():
        _check(connection, path, table, spool_id, seqs)
        connection.execute(
            sa.insert(schema.ARCHIVED).values(
                table_name=table,
                partition_name=partition,
                spool_id=spool_id,
                seqs=[Range(seq, seq + 1, bounds="[)") for seq in seqs],
                row_count=len(seqs),
                file_name=path.name,
                file_sha256=digest.hexdigest(),
            )
        )
    connection.execute(sa.text(f'ALTER TABLE audit.{table} DETACH PARTITION audit."{partition}"'))
    connection.execute(sa.text(f'DROP TABLE audit."{partition}"'))
    return Archived(
        table=table,
        partition=partition,
        rows=sum(map(len, places.values())),
        path=path,
        sha256=digest.hexdigest(),
    )


def _check(
    connection: sa.Connection, path: Path, table: str, spool_id: str, seqs: Sequence[int]
) -> None:
    # What leaves must be what was sealed: afterwards only the file can be looked at.
    leaves: dict[int, bytes] = {}
    for line in path.read_bytes().splitlines():
        body = line[len(b'{"row":') : -1]
        place: dict[str, Any] = _place(body)
        if place["spool_id"] == spool_id:
            leaves[place["spool_seq"]] = chain.leaf_of_body(body)
    block = schema.BLOCK
    sealed: dict[int, bytes] = {}
    query = sa.select(block.c.seqs, block.c.leaves).where(
        block.c.spool_id == spool_id,
        block.c.seqs[1] <= max(seqs),
        block.c.seqs[sa.func.cardinality(block.c.seqs)] >= min(seqs),
    )
    for found, joined in connection.execute(query):
        for index, seq in enumerate(found):
            sealed[seq] = joined[index * chain.HASH_BYTES : (index + 1) * chain.HASH_BYTES]
    for seq in seqs:
        if sealed.get(seq) != leaves.get(seq):
            raise StartRefused(
                f"{table} {spool_id}:{seq} is not what was sealed; nothing more is archived, run "
                "counterpoise audit verify"
            )


def _place(body: bytes) -> dict[str, Any]:
    place: dict[str, Any] = msgspec.json.decode(body)
    return place
