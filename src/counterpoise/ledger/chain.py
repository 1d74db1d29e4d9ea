"""The hash chain over the record: every row's leaf, and blocks that each name the one before.

A block seals the rows that one transaction of the shipper stored. Its hash covers the block
before, so that no row can be changed, removed, added or moved without a mismatch. What a chain
cannot show by itself is that its end was cut off: that is what published heads are for
(`ledger.checkpoints`).

Everything here is pure; leaves are made from values, so that a row read back from Postgres gives
the leaf it was stored with.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import msgspec

#: `previous_hash` of a chain's first block.
GENESIS: Final = bytes(32)
#: Bytes of a leaf and of a hash.
HASH_BYTES: Final = 32

# What is hashed begins with a byte of its own kind, so that a leaf can never pass for a block.
_LEAF: Final = b"\x00"
_BLOCK: Final = b"\x01"

_ENCODER = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Rows sealed together (table `audit.block`)."""

    #: Name of the chain: "venue:account".
    chain: str
    #: Counted from 1 without gaps.
    block_no: int
    #: "shipped" = sealed in the transaction that stored the rows; "adopted" = the rows stood in
    #: the database before the chain began.
    kind: str
    #: Spool the rows came from.
    spool_id: str
    #: Places of the rows in their spool, rising.
    seqs: tuple[int, ...]
    #: The rows' leaves in the same order, `HASH_BYTES` each.
    leaves: bytes
    #: Hash of the block before; GENESIS = this is the first.
    previous_hash: bytes
    #: When it was sealed, ns.
    sealed_ns: int
    #: Over everything above.
    hash: bytes

    def leaf(self, index: int) -> bytes:
        """Return the leaf of the row at `seqs[index]`."""
        return self.leaves[index * HASH_BYTES : (index + 1) * HASH_BYTES]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The end of a chain."""

    #: Number of the last block; 0 = none yet.
    block_no: int
    #: Its hash; GENESIS = none yet.
    hash: bytes


#: The head of a chain without blocks.
NO_BLOCKS: Final = Head(block_no=0, hash=GENESIS)


def leaf_body(table: str, spool_id: str, spool_seq: int, row: Mapping[str, Any]) -> bytes:
    """Return the canonical JSON a leaf is made of: a row's table, its place and its columns.

    `row` holds the columns as the driver takes or gives them (JSON columns as text), without
    those that say how the row came here. Decimals become text. A NULL column is left out, so that
    a column added later changes no older leaf. Raises TypeError for a value no column holds.
    """
    body = {
        "row": {name: _canonical(value) for name, value in row.items() if value is not None},
        "spool_id": spool_id,
        "spool_seq": spool_seq,
        "table": table,
    }
    return _ENCODER.encode(body)


def leaf_of_body(body: bytes) -> bytes:
    """Return the leaf of a row from its canonical JSON."""
    return hashlib.sha256(_LEAF + body).digest()


def leaf(table: str, spool_id: str, spool_seq: int, row: Mapping[str, Any]) -> bytes:
    """Return the leaf of a row: SHA-256 of `leaf_body`."""
    return leaf_of_body(leaf_body(table, spool_id, spool_seq, row))


def seal(
    chain: str,
    head: Head,
    spool_id: str,
    leaves: Sequence[tuple[int, bytes]],
    sealed_ns: int,
    *,
    kind: str = "shipped",
) -> Block:
    """Return the block behind `head` that holds these (place, leaf) pairs; at least one."""
    assert leaves, "a block holds at least one row"
    ordered = sorted(leaves)
    seqs = tuple(seq for seq, _ in ordered)
    joined = b"".join(one for _, one in ordered)
    number = head.block_no + 1
    return Block(
        chain=chain,
        block_no=number,
        kind=kind,
        spool_id=spool_id,
        seqs=seqs,
        leaves=joined,
        previous_hash=head.hash,
        sealed_ns=sealed_ns,
        hash=block_hash(chain, number, kind, spool_id, seqs, joined, head.hash, sealed_ns),
    )


def block_hash(
    chain: str,
    block_no: int,
    kind: str,
    spool_id: str,
    seqs: Sequence[int],
    leaves: bytes,
    previous_hash: bytes,
    sealed_ns: int,
) -> bytes:
    """Return the hash of a block from its columns."""
    body = {
        "block_no": block_no,
        "chain": chain,
        "kind": kind,
        "leaves": hashlib.sha256(leaves).hexdigest(),
        "previous_hash": previous_hash.hex(),
        "sealed_ns": sealed_ns,
        "seqs": list(seqs),
        "spool_id": spool_id,
    }
    return hashlib.sha256(_BLOCK + _ENCODER.encode(body)).digest()


def is_sealed(block: Block) -> bool:
    """Tell whether a block's hash is that of its columns."""
    return block.hash == block_hash(
        block.chain,
        block.block_no,
        block.kind,
        block.spool_id,
        block.seqs,
        block.leaves,
        block.previous_hash,
        block.sealed_ns,
    )


def _canonical(value: Any) -> Any:
    # Postgres keeps a numeric's digits but not how it was written: 1E+3 comes back as 1000, and
    # a negative zero as 0. Floats come back as they were.
    if isinstance(value, Decimal):
        return format(value + 0 if value.is_zero() else value, "f")
    if isinstance(value, (list, tuple)):
        return [_canonical(item) for item in value]
    if isinstance(value, (str, int, float, bool)):
        return value
    raise TypeError(f"a column of type {type(value).__name__} has no canonical form")
