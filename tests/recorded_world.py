"""Writes down a virtual day's record in a real Postgres, by the daemon's own path."""

import asyncio
import contextlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import ledger_samples
from counterpoise.domain.records import Record
from counterpoise.ledger.journal import PostgresJournal
from counterpoise.ledger.shipper import Shipper
from counterpoise.ledger.spool import Spool
from virtual_world import World

CHAIN = "simulator:day"


def runs_of(world: World) -> list[Record]:
    """Return a start for each life, which a virtual daemon does not write itself."""
    return [
        replace(
            ledger_samples.run_started(f"run{epoch}", world.venue.account_id),
            epoch=epoch,
            started_ns=world.kept[0].decided_ns if hasattr(world.kept[0], "decided_ns") else 1,
        )
        for epoch in range(1, world.lives + 1)
    ]


async def write_down(dsn: str, directory: Path, records: Iterable[Record]) -> None:
    """Send records through a spool and the shipper, which seals them."""
    clock = ledger_samples.RealClock()
    with Spool(directory) as spool:
        shipper = Shipper(spool, dsn, clock, chain_name=CHAIN)
        journal = PostgresJournal(spool, shipper, clock)
        task = asyncio.create_task(shipper.run())
        try:
            for record in records:
                journal.append(record)
            shipper.wake()
            assert await journal.flush(60.0)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            journal.close()
