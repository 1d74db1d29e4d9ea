"""Publishes a chain's head outside the database, signed, and checks what was published.

A chain shows what was changed inside it, not that its end was cut off or that all of it was
written anew by the database's owner: a head kept elsewhere does. The file is JSON lines, only
ever appended to; put it where the database's administrator cannot write.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from counterpoise.domain.errors import StartRefused
from counterpoise.ledger.chain import Head
from counterpoise.ledger.verifying import Fault, Finding, Record

#: What a signature covers begins with this, so that it can mean nothing else.
_DOMAIN: Final = b"counterpoise chain head 1\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedHead:
    """One line of a checkpoint file."""

    chain: str
    block_no: int
    #: Hex.
    hash: str
    #: When it was published, ns.
    published_ns: int
    #: Ed25519 over the fields above, hex; "" = published without a key.
    signature: str = ""


def load_key(path: Path) -> Ed25519PrivateKey:
    """Return the private key of a PEM file. Raises StartRefused with the remedy."""
    remedy = "make one with: openssl genpkey -algorithm ed25519 -out FILE"
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise StartRefused(f"checkpoint key {path} cannot be read ({error}); {remedy}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise StartRefused(f"checkpoint key {path} is no Ed25519 key; {remedy}")
    return key


def load_public_key(path: Path) -> Ed25519PublicKey:
    """Return the public key of a PEM file, be it public or private. Raises StartRefused."""
    try:
        text = path.read_bytes()
        if b"PRIVATE" in text:
            return load_key(path).public_key()
        key = serialization.load_pem_public_key(text)
    except (OSError, ValueError) as error:
        raise StartRefused(f"public key {path} cannot be read: {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise StartRefused(f"public key {path} is no Ed25519 key")
    return key


def publish(
    path: Path, chain: str, head: Head, published_ns: int, key: Ed25519PrivateKey | None
) -> PublishedHead:
    """Append a head to the file, synced to the disk, and return it. Raises OSError."""
    line = PublishedHead(
        chain=chain, block_no=head.block_no, hash=head.hash.hex(), published_ns=published_ns
    )
    if key is not None:
        line = replace(line, signature=key.sign(_signed(line)).hex())
    with path.open("ab") as file:
        file.write(msgspec.json.encode(line, order="sorted") + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return line


def read(path: Path) -> Sequence[PublishedHead]:
    """Return the heads of a file in order. Raises StartRefused naming the line."""
    heads = []
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise StartRefused(f"checkpoints {path} cannot be read: {error}") from error
    for number, line in enumerate(lines, start=1):
        try:
            heads.append(msgspec.json.decode(line, type=PublishedHead))
        except msgspec.DecodeError as error:
            raise StartRefused(f"checkpoints {path} line {number}: {error}") from error
    return heads


def check(
    heads: Iterable[PublishedHead], record: Record, key: Ed25519PublicKey | None
) -> Iterator[Fault]:
    """Yield what does not fit: heads the chains do not hold, and signatures that are none.

    With `key` every head must carry its signature.
    """
    published = list(heads)
    known: dict[tuple[str, int], str] = {}
    for chain in sorted({head.chain for head in published}):
        for block in record.blocks(chain):
            known[chain, block.block_no] = block.hash.hex()
    for head in published:
        where = f"block {head.block_no}"
        if key is not None and not _is_signed(head, key):
            message = f"the published head {where} of {head.chain} is not signed by this key"
            yield Fault(finding=Finding.HEAD_FORGED, chain=head.chain, where=where, message=message)
        found = known.get((head.chain, head.block_no))
        if head.block_no > 0 and found != head.hash:
            what = "is gone" if found is None else "has another hash"
            message = f"{where} of {head.chain} was published and {what}: the chain was rewritten"
            yield Fault(
                finding=Finding.HEAD_MISSING, chain=head.chain, where=where, message=message
            )


def _signed(head: PublishedHead) -> bytes:
    body = [head.chain, head.block_no, head.hash, head.published_ns]
    return _DOMAIN + msgspec.json.encode(body)


def _is_signed(head: PublishedHead, key: Ed25519PublicKey) -> bool:
    try:
        key.verify(bytes.fromhex(head.signature), _signed(head))
    except (InvalidSignature, ValueError):
        return False
    return True
