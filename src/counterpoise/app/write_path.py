"""The write path of the record, opened in order and closed so that nothing can hold it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from counterpoise.app.database import Database
from counterpoise.app.heads import HeadPublisher, signing_key
from counterpoise.app.settings import Settings
from counterpoise.app.way_out import WayOut, from_thread, on_thread
from counterpoise.domain.errors import LedgerUnavailable, StartRefused
from counterpoise.ledger.journal import PostgresJournal
from counterpoise.ledger.lease import Lease
from counterpoise.ledger.shipper import Shipper
from counterpoise.ledger.spool import Spool
from counterpoise.ports import Clock

log = structlog.get_logger(__name__)

#: What the spool of the last run still held must be in Postgres within this, seconds.
HAND_OVER_SECONDS_MAX: Final = 30.0
#: The spool is open within this, seconds; a crash's log of it is read meanwhile.
OPEN_SECONDS_MAX: Final = 30.0
#: Records of the last moments get this long to reach Postgres at a stop, seconds.
FLUSH_SECONDS_MAX: Final = 2.0
#: Each thing that waits for a disk gets this long at a stop, seconds.
CLOSE_SECONDS_MAX: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The write path, open."""

    database: Database
    shipper: Shipper
    journal: PostgresJournal
    lease: Lease
    #: Moves records to Postgres; ends only by a defect.
    shipping: "asyncio.Future[None]"
    #: Prolongs the lease; ends when another daemon took it.
    beating: "asyncio.Future[None]"


@asynccontextmanager
async def open_ledger(
    settings: Settings, database: Database, name: str, clock: Clock, way_out: WayOut
) -> AsyncIterator[Ledger]:
    """Take the lease `name` and open spool, shipper and journal; close them in the end.

    Raises StartRefused, SpoolFailed, or LedgerUnavailable when the last run's records cannot be
    handed over.
    """
    key = signing_key(settings)
    # The lease comes first: nothing of another daemon's is touched without it.
    lease = Lease(database.dsn, name, clock)
    await lease.acquire()
    # From now on: the warm-up may take longer than a heartbeat is believed.
    beating = asyncio.ensure_future(lease.run())
    try:
        spool = await _open_spool(settings.state_dir / "spool")
    except BaseException:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
        await lease.release()
        raise
    shipper = Shipper(spool, database.dsn, clock, chain_name=name)
    journal = PostgresJournal(spool, shipper, clock)
    shipping = asyncio.ensure_future(shipper.run())
    publisher = HeadPublisher(shipper.sealer, settings.checkpoints, key, clock)
    publishing = asyncio.ensure_future(publisher.run())
    try:
        if not await journal.flush(HAND_OVER_SECONDS_MAX):
            raise LedgerUnavailable(
                "what the last run left in the local spool could not be handed to Postgres"
            )
        yield Ledger(
            database=database,
            shipper=shipper,
            journal=journal,
            lease=lease,
            shipping=shipping,
            beating=beating,
        )
    finally:
        try:
            if not await journal.flush(FLUSH_SECONDS_MAX):
                log.warning(
                    "spool.kept", reason="Postgres did not take everything; the next run will"
                )
        finally:
            # A second signal cuts short what waits above, and nothing of what follows.
            await on_thread(journal.close, CLOSE_SECONDS_MAX)
            try:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CLOSE_SECONDS_MAX):
                        await publisher.publish()
            finally:
                for task in (shipping, beating, publishing):
                    task.cancel()
                await asyncio.gather(shipping, beating, publishing, return_exceptions=True)
                await release_and_close(lease, spool, way_out)


async def _open_spool(directory: Path) -> Spool:
    try:
        return await from_thread(lambda: Spool(directory), OPEN_SECONDS_MAX)
    except TimeoutError as error:
        raise StartRefused(
            f"the disk of {directory} did not answer within {OPEN_SECONDS_MAX:.0f} s; mend it, then "
            "start again"
        ) from error


async def release_and_close(lease: Lease, spool: Spool, way_out: WayOut) -> None:
    """Give the lease up, then close the files: a disk that hangs may hold only the latter.

    Nothing may send or ship any more.
    """
    await lease.release()
    if not await on_thread(spool.close, CLOSE_SECONDS_MAX):
        log.critical("spool.hangs", reason="the disk does not answer; leaving without it")
        way_out.hang()
