"""Writes the sealed record to files that can be checked without the database, and reads them.

JSON lines: a row is the very text its leaf is made of, after a key; a block has its hashes in hex.

    {"block": {"block_no": 1, "chain": "okx:7", ..., "leaves": "9f…", "previous_hash": "00…"}}
    {"row": {"row": {…}, "spool_id": "…", "spool_seq": 1, "table": "run"}}

Parquet: `rows.parquet` (table, spool_id, spool_seq, body) and `blocks.parquet`, with the same
bytes in `body`.
"""

import dataclasses
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import msgspec

from counterpoise.domain.errors import StartRefused
from counterpoise.ledger import chain as hash_chain
from counterpoise.ledger.chain import Block
from counterpoise.ledger.stored_record import StoredRecord
from counterpoise.ledger.verifying import StoredRow

_TABLES: Final = (
    "CREATE TABLE block (chain TEXT, block_no INTEGER, body BLOB, PRIMARY KEY (chain, block_no))",
    "CREATE TABLE row (spool_id TEXT, spool_seq INTEGER, table_name TEXT, leaf BLOB)",
    "CREATE INDEX row_place ON row (spool_id, spool_seq)",
)


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


class ExportedRecord:
    """A file of JSON lines as `ledger.verifying` reads it; use it as a context manager."""

    def __init__(self, path: Path) -> None:
        """Remember the file."""
        self._path = path

    def __enter__(self) -> Self:
        """Read the file into a temporary index. Raises StartRefused naming the line."""
        self._directory = tempfile.TemporaryDirectory(prefix="counterpoise-audit-")
        self._index = sqlite3.connect(Path(self._directory.name) / "index.sqlite")
        self._index.execute("PRAGMA synchronous=off")
        for statement in _TABLES:
            self._index.execute(statement)
        try:
            with self._path.open("rb") as file:
                for number, line in enumerate(file, start=1):
                    self._take(number, line)
        except OSError as error:
            self._forget()
            raise StartRefused(f"export {self._path} cannot be read: {error}") from error
        except StartRefused:
            self._forget()
            raise
        self._index.commit()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Forget the index."""
        self._forget()

    def _forget(self) -> None:
        self._index.close()
        self._directory.cleanup()

    def chains(self) -> Sequence[str]:
        """Return the names of all chains, sorted."""
        found = self._index.execute("SELECT DISTINCT chain FROM block ORDER BY chain")
        return [name for (name,) in found]

    def blocks(self, chain: str) -> Iterator[Block]:
        """Yield a chain's blocks by number."""
        found = self._index.execute(
            "SELECT body FROM block WHERE chain = ? ORDER BY block_no", (chain,)
        )
        for (body,) in found:
            yield _block(msgspec.json.decode(body))

    def rows(self, spool_id: str, first: int, last: int | None) -> Iterator[StoredRow]:
        """Yield the rows of one spool from place `first` to `last`; None = to the end."""
        found = self._index.execute(
            "SELECT table_name, spool_seq, leaf FROM row WHERE spool_id = ? "
            "AND spool_seq >= ? AND (? IS NULL OR spool_seq <= ?) ORDER BY spool_seq",
            (spool_id, first, last, last),
        )
        for table, seq, leaf in found:
            yield StoredRow(table=table, spool_id=spool_id, spool_seq=seq, leaf=leaf)

    def spools(self) -> Sequence[str]:
        """Return every spool that rows name, sorted."""
        found = self._index.execute("SELECT DISTINCT spool_id FROM row ORDER BY spool_id")
        return [name for (name,) in found]

    def _take(self, number: int, line: bytes) -> None:
        try:
            entry = msgspec.json.decode(line)
            if "block" in entry:
                block = _block(entry["block"])
                self._index.execute(
                    "INSERT INTO block VALUES (?, ?, ?)",
                    (block.chain, block.block_no, msgspec.json.encode(entry["block"])),
                )
            else:
                body = msgspec.json.encode(entry["row"], order="sorted")
                place = entry["row"]
                self._index.execute(
                    "INSERT INTO row VALUES (?, ?, ?, ?)",
                    (
                        place["spool_id"],
                        place["spool_seq"],
                        place["table"],
                        hash_chain.leaf_of_body(body),
                    ),
                )
        except (msgspec.DecodeError, KeyError, TypeError, ValueError, sqlite3.Error) as error:
            raise StartRefused(f"export {self._path} line {number}: {error!r}") from error


def _block(body: dict[str, Any]) -> Block:
    return Block(
        chain=body["chain"],
        block_no=body["block_no"],
        kind=body["kind"],
        spool_id=body["spool_id"],
        seqs=tuple(body["seqs"]),
        leaves=bytes.fromhex(body["leaves"]),
        previous_hash=bytes.fromhex(body["previous_hash"]),
        sealed_ns=body["sealed_ns"],
        hash=bytes.fromhex(body["hash"]),
    )


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
