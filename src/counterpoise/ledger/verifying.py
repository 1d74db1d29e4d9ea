"""Checks the record against its hash chain and names every row that does not fit.

The check works on whatever gives blocks and rows in order: the database (`stored_record`) or an
exported file (`exported_record`).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from counterpoise.ledger.chain import HASH_BYTES, NO_BLOCKS, Block, Head, is_sealed

#: Rows compared at once.
WINDOW_ROWS: Final = 5_000


class Finding(StrEnum):
    """What is wrong with a row, a block or a chain."""

    #: The row's columns, table or place are not what was sealed.
    ROW_CHANGED = "row_changed"
    #: A sealed row is not there.
    ROW_REMOVED = "row_removed"
    #: A row is there that nothing sealed.
    ROW_INSERTED = "row_inserted"
    #: The block's hash is not that of its columns.
    BLOCK_CHANGED = "block_changed"
    #: Block numbers have a gap, or a block does not name the one before.
    BLOCK_MISSING = "block_missing"
    #: A published head is not in the chain: its end was cut off or the chain was written anew.
    HEAD_MISSING = "head_missing"
    #: A published head does not carry a valid signature of the key it should.
    HEAD_FORGED = "head_forged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that does not fit."""

    finding: Finding
    #: Chain it shows in; "" = it belongs to none.
    chain: str
    #: "table spool_id:seq" of a row, "block N" of a block.
    where: str
    #: One sentence for a person.
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a check found."""

    #: Chain -> its head.
    heads: dict[str, Head]
    #: Blocks looked at.
    blocks: int
    #: Rows compared with a leaf.
    rows: int
    #: Sealed rows that were moved to a file which was not given: not compared.
    archived: int
    #: Everything that does not fit; empty = the record is what was sealed.
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRow:
    """A row as it stands now."""

    table: str
    spool_id: str
    spool_seq: int
    #: Computed from its columns as they are.
    leaf: bytes

    @property
    def where(self) -> str:
        """The row's place in words."""
        return f"{self.table} {self.spool_id}:{self.spool_seq}"


class Record(Protocol):
    """Where blocks and rows come from; one consistent state while it is read."""

    def chains(self) -> Sequence[str]:
        """Return the names of all chains, sorted."""

    def blocks(self, chain: str) -> Iterator[Block]:
        """Yield a chain's blocks by number."""

    def rows(self, spool_id: str, first: int, last: int | None) -> Iterable[StoredRow]:
        """Return the rows of one spool from place `first` to `last`; None = to the end."""

    def spools(self) -> Sequence[str]:
        """Return every spool that rows name."""

    def is_archived(self, spool_id: str, seq: int) -> bool:
        """Tell whether a row was moved to a file that is not at hand."""


@dataclass(slots=True, kw_only=True)
class _Window:
    # Sealed rows of one spool that were not compared yet.
    chain: str
    spool_id: str
    sealed: dict[int, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class _Check:
    record: Record
    faults: list[Fault] = field(default_factory=list)
    blocks: int = 0
    rows: int = 0
    archived: int = 0
    heads: dict[str, Head] = field(default_factory=dict)
    #: Spool -> place up to which its rows were compared.
    compared: dict[str, int] = field(default_factory=dict)
    #: Rows nothing sealed so far, by spool and place; another chain may yet.
    strange: dict[tuple[str, int], list[StoredRow]] = field(default_factory=dict)

    def fault(self, finding: Finding, chain: str, where: str, message: str) -> None:
        self.faults.append(Fault(finding=finding, chain=chain, where=where, message=message))


def verify(record: Record) -> Report:
    """Return what does not fit; costs one pass over blocks and rows."""
    check = _Check(record)
    for chain in record.chains():
        _verify_chain(check, chain)
    for spool_id in record.spools():
        after = check.compared.get(spool_id, 0)
        for row in record.rows(spool_id, after + 1, None):
            check.strange.setdefault((row.spool_id, row.spool_seq), []).append(row)
    for rows in check.strange.values():
        for row in rows:
            check.fault(
                Finding.ROW_INSERTED,
                "",
                row.where,
                f"{row.where} stands in no block: it did not come through the daemon",
            )
    return Report(
        heads=check.heads,
        blocks=check.blocks,
        rows=check.rows,
        archived=check.archived,
        faults=tuple(check.faults),
    )


def _verify_chain(check: _Check, chain: str) -> None:
    head = NO_BLOCKS
    window: _Window | None = None
    for block in check.record.blocks(chain):
        check.blocks += 1
        _verify_block(check, block, head)
        head = Head(block_no=block.block_no, hash=block.hash)
        if len(block.leaves) != HASH_BYTES * len(block.seqs):
            continue
        if window is not None and (
            window.spool_id != block.spool_id or len(window.sealed) >= WINDOW_ROWS
        ):
            _compare(check, window)
            window = None
        if window is None:
            window = _Window(chain=chain, spool_id=block.spool_id)
        for index, seq in enumerate(block.seqs):
            window.sealed[seq] = block.leaf(index)
    if window is not None:
        _compare(check, window)
    check.heads[chain] = head


def _verify_block(check: _Check, block: Block, head: Head) -> None:
    where = f"block {block.block_no}"
    if not is_sealed(block):
        message = f"{where} of {block.chain} was changed: its hash is not that of its columns"
        check.fault(Finding.BLOCK_CHANGED, block.chain, where, message)
    if block.block_no != head.block_no + 1 or block.previous_hash != head.hash:
        message = f"{where} of {block.chain} does not follow block {head.block_no}"
        check.fault(Finding.BLOCK_MISSING, block.chain, where, message)


def _compare(check: _Check, window: _Window) -> None:
    first = min(window.sealed)
    last = max(window.sealed)
    # From where the spool was left, so that rows between blocks are seen too.
    before = check.compared.get(window.spool_id, 0)
    found: defaultdict[int, list[StoredRow]] = defaultdict(list)
    for row in check.record.rows(window.spool_id, min(before + 1, first), last):
        found[row.spool_seq].append(row)
    check.compared[window.spool_id] = max(before, last)
    for seq, leaf in window.sealed.items():
        rows = found.pop(seq, [])
        check.strange.pop((window.spool_id, seq), None)
        if not rows and check.record.is_archived(window.spool_id, seq):
            check.archived += 1
            continue
        check.rows += 1
        if not rows:
            where = f"{window.spool_id}:{seq}"
            message = f"the row at place {seq} of spool {window.spool_id} is gone"
            check.fault(Finding.ROW_REMOVED, window.chain, where, message)
            continue
        fitting = [row for row in rows if row.leaf == leaf]
        for row in rows:
            if fitting and row is fitting[0]:
                continue
            finding = Finding.ROW_INSERTED if fitting else Finding.ROW_CHANGED
            message = f"{row.where} is not what was sealed"
            check.fault(finding, window.chain, row.where, message)
    for seq, rows in found.items():
        if seq > before:
            check.strange.setdefault((window.spool_id, seq), []).extend(rows)
