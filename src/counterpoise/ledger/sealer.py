"""Puts each batch of stored rows into the hash chain, inside the batch's own transaction."""

import dataclasses
from collections.abc import Mapping
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from counterpoise.domain.errors import LedgerUnavailable
from counterpoise.ledger import chain, schema, sealed_rows
from counterpoise.ports import Clock

#: Places in the spool that one block of adopted rows covers.
ADOPTED_PLACES_MAX: Final = 1_000

_SEALED_TABLES: Final = tuple(sealed_rows.SEALED.values())


class Sealer:
    """One chain's end, as the one who goes on with it sees it."""

    def __init__(self, chain_name: str, spool_id: str, clock: Clock) -> None:
        """Prepare; `read_head` comes before anything is sealed."""
        #: "venue:account".
        self.chain_name: Final = chain_name
        #: Whose places are sealed; the spool may take another name.
        self.spool_id = spool_id
        self._clock = clock
        self._head: chain.Head | None = None

    @property
    def head(self) -> chain.Head | None:
        """The end of the chain as last committed; None = not known yet."""
        return self._head

    async def read_head(self, connection: AsyncConnection) -> None:
        """Read where the chain ends."""
        table = schema.BLOCK
        newest = (
            sa.select(table.c.block_no, table.c.hash)
            .where(table.c.chain == self.chain_name)
            .order_by(table.c.block_no.desc())
            .limit(1)
        )
        async with connection.begin():
            found = (await connection.execute(newest)).one_or_none()
        self._head = (
            chain.NO_BLOCKS if found is None else chain.Head(block_no=found[0], hash=found[1])
        )

    async def unsealed_through(self, connection: AsyncConnection, cursor: int) -> int:
        """Return up to which place rows stand outside any chain: `cursor`, or 0 = none do.

        Rows an older version stored have no block; a spool either has blocks or has none.
        """
        table = schema.BLOCK
        sealed = sa.exists().where(table.c.spool_id == self.spool_id)
        # A renamed spool has a cursor and nothing below it.
        stored = sa.or_(
            *(sa.exists().where(one.c.spool_id == self.spool_id) for one in _SEALED_TABLES)
        )
        unsealed = sa.select(sa.and_(stored, sa.not_(sealed)))
        async with connection.begin():
            return cursor if (await connection.execute(unsealed)).scalar() else 0

    async def adopt(self, connection: AsyncConnection, first: int, last: int) -> None:
        """Seal the rows that stand at these places already, in a transaction of its own."""
        leaves: dict[int, bytes] = {}
        async with connection.begin():
            for name, statement in sealed_rows.statements(self.spool_id, first, last):
                for row in (await connection.execute(statement)).mappings():
                    seq, leaf = sealed_rows.leaf_of(name, row)
                    leaves[seq] = leaf
            head = await self.seal(connection, leaves, kind="adopted")
        self.committed(head)

    async def seal(
        self, connection: AsyncConnection, leaves: Mapping[int, bytes], *, kind: str = "shipped"
    ) -> chain.Head:
        """Add the block of these rows (place -> leaf) to the open transaction.

        Returns the head that holds once it is committed; without rows there is no block. Raises
        LedgerUnavailable when somebody else went on from the same head.
        """
        assert self._head is not None, "a session reads the head before it writes"
        if not leaves:
            return self._head
        block = chain.seal(
            self.chain_name,
            self._head,
            self.spool_id,
            list(leaves.items()),
            self._clock.now_ns(),
            kind=kind,
        )
        values = {field.name: getattr(block, field.name) for field in dataclasses.fields(block)}
        try:
            await connection.execute(sa.insert(schema.BLOCK), values | {"seqs": list(block.seqs)})
        except IntegrityError as error:
            # No record's fault, so none may be refused for it: look where the chain ends now.
            raise LedgerUnavailable("another daemon has gone on with the chain") from error
        return chain.Head(block_no=block.block_no, hash=block.hash)

    def committed(self, head: chain.Head) -> None:
        """Take over the head of a transaction that was committed."""
        self._head = head
