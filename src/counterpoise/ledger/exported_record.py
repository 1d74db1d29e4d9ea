"""Reads exported rows and blocks as `ledger.verifying` wants them, without a database."""

import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from counterpoise.domain.errors import StartRefused
from counterpoise.ledger import chain as hash_chain
from counterpoise.ledger.chain import Block
from counterpoise.ledger.verifying import StoredRow

_TABLES: Final = (
    "CREATE TABLE block (chain TEXT, block_no INTEGER, body BLOB, PRIMARY KEY (chain, block_no))",
    "CREATE TABLE row (spool_id TEXT, spool_seq INTEGER, table_name TEXT, leaf BLOB)",
    "CREATE INDEX row_place ON row (spool_id, spool_seq)",
)


class ExportedRecord:
    """A file of JSON lines as `ledger.verifying` reads it; use it as a context manager."""

    def __init__(self, *paths: Path) -> None:
        """Remember the files, each read as a part of one record."""
        self._paths = paths

    def __enter__(self) -> Self:
        """Read the file into a temporary index. Raises StartRefused naming the line."""
        self._directory = tempfile.TemporaryDirectory(prefix="counterpoise-audit-")
        self._index = sqlite3.connect(Path(self._directory.name) / "index.sqlite")
        self._index.execute("PRAGMA synchronous=off")
        for statement in _TABLES:
            self._index.execute(statement)
        try:
            for path in self._paths:
                with path.open("rb") as file:
                    for number, line in enumerate(file, start=1):
                        self._take(path, number, line)
        except OSError as error:
            self._forget()
            raise StartRefused(f"{error.filename} cannot be read: {error.strerror}") from error
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

    def is_archived(self, spool_id: str, seq: int) -> bool:  # noqa: ARG002 - the port's signature
        """Tell that nothing is elsewhere: an export is meant to be whole."""
        return False

    def _take(self, path: Path, number: int, line: bytes) -> None:
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
            raise StartRefused(f"{path} line {number}: {error!r}") from error


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
