"""Writes the sealed record to files that can be checked without the database, and reads them.

JSON lines: a row is the very text its leaf is made of, after a key; a block has its hashes in hex.

    {"block": {"block_no": 1, "chain": "okx:7", ..., "leaves": "9f…", "previous_hash": "00…"}}
    {"row": {"row": {…}, "spool_id": "…", "spool_seq": 1, "table": "run"}}

Parquet: `rows.parquet` (table, spool_id, spool_seq, body) and `blocks.parquet`, with the same
bytes in `body`.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from counterpoise.domain.errors import StartRefused
from counterpoise.ledger import chain as hash_chain
from counterpoise.ledger.chain import Block
from counterpoise.ledger.stored_record import StoredRecord

#: Rows written to Parquet at once.
_PARQUET_ROWS: Final = 10_000


def bodies(record: StoredRecord) -> Iterator[tuple[str, str, int, bytes]]:
    """Yield (table, spool, place, canonical JSON) of every row that may be sealed."""
    for spool_id in record.spools():
        for table, seq, row in record.contents(spool_id, 0, None):
            columns = {name: row[name] for name in row if name not in ("spool_id", "spool_seq")}
            yield table, spool_id, seq, hash_chain.leaf_body(table, spool_id, seq, columns)


def block_body(block: Block) -> dict[str, Any]:
    """Return a block as JSON has it: bytes in hex."""
    values = {field.name: getattr(block, field.name) for field in dataclasses.fields(block)}
    return {
        name: value.hex() if isinstance(value, bytes) else value for name, value in values.items()
    }


def write_json_lines(record: StoredRecord, file: BinaryIO) -> tuple[int, int]:
    """Write every block and row; return how many (blocks, rows)."""
    blocks = rows = 0
    for name in record.chains():
        for block in record.blocks(name):
            file.write(msgspec.json.encode({"block": block_body(block)}, order="sorted") + b"\n")
            blocks += 1
    for _, _, _, body in bodies(record):
        # The text is kept as it is hashed; parsing and writing it again would give the same.
        file.write(b'{"row":' + body + b"}\n")
        rows += 1
    return blocks, rows


def write_parquet(record: StoredRecord, directory: Path) -> tuple[int, int]:
    """Write `rows.parquet` and `blocks.parquet`; return how many (blocks, rows).

    Raises StartRefused when pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise StartRefused("parquet needs pyarrow: pip install 'counterpoise[lab]'") from error
    directory.mkdir(parents=True, exist_ok=True)
    row_schema = pa.schema(
        [("table", "string"), ("spool_id", "string"), ("spool_seq", "int64"), ("body", "string")]
    )
    blocks = [
        {"chain": block.chain, "block_no": block.block_no, "body": block_body(block)}
        for name in record.chains()
        for block in record.blocks(name)
    ]
    for block in blocks:
        block["body"] = msgspec.json.encode(block["body"], order="sorted").decode()
    block_schema = pa.schema([("chain", "string"), ("block_no", "int64"), ("body", "string")])
    parquet.write_table(
        pa.Table.from_pylist(blocks, schema=block_schema), directory / "blocks.parquet"
    )
    rows = 0
    with parquet.ParquetWriter(directory / "rows.parquet", row_schema) as writer:
        pending: list[dict[str, Any]] = []
        for table, spool_id, seq, body in bodies(record):
            pending.append(
                {"table": table, "spool_id": spool_id, "spool_seq": seq, "body": body.decode()}
            )
            if len(pending) == _PARQUET_ROWS:
                rows += len(pending)
                writer.write_table(pa.Table.from_pylist(pending, schema=row_schema))
                pending = []
        rows += len(pending)
        writer.write_table(pa.Table.from_pylist(pending, schema=row_schema))
    return len(blocks), rows
