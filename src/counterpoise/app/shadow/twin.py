"""The twin's process: a daemon on a paper account that hears the market through a pipe.

It opens no stream, is given no key, takes no operator's command and no signal of the terminal's.
When the pipe ends, so does it.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog

from counterpoise.app import daemon, logs, paper, wiring
from counterpoise.app.settings import Settings
from counterpoise.app.shadow import pipe
from counterpoise.app.venue_table import VENUES
from counterpoise.domain.errors import CounterpoiseError, StartRefused
from counterpoise.ports import AccountFeed, Clock, Feed, MarketFeed, Venue
from counterpoise.venues.paper.account import PaperAccount
from counterpoise.venues.paper.account_stream import PaperAccountStream
from counterpoise.venues.paper.market_stream import PaperMarketStream
from counterpoise.venues.paper.orders import PaperVenue
from counterpoise.venues.paper.store import PaperFile

log = structlog.get_logger(__name__)

#: A twin of the daemon before may still be leaving, seconds.
FREE_SECONDS_MAX: Final = 20.0
#: The twin lets everybody else go first.
_NICENESS: Final = 5
#: Events taken in a row before others have their turn.
_TURN_EVENTS: Final = 50
_STDIN: Final = 0


class PipeStream:
    """Implements `ports.MarketFeed`: what the daemon heard, of the instruments that are followed."""

    def __init__(self, instrument_ids: Sequence[str]) -> None:
        self._instrument_ids = frozenset(instrument_ids)

    async def run(self, feed: Feed) -> None:
        """Tell until the pipe ends, then ask this process to stop."""
        reader = asyncio.StreamReader(limit=pipe.FRAME_BYTES_MAX)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(_STDIN, "rb", closefd=False)
        )
        count = 0
        while True:
            try:
                event = await pipe.read_event(reader)
            except asyncio.IncompleteReadError:
                break
            name = getattr(event, "instrument_id", None)
            if name is None or name in self._instrument_ids:
                feed(event)
            count += 1
            if count % _TURN_EVENTS == 0:
                await asyncio.sleep(0)
        log.info("shadow.pipe_ended", events=count)
        signal.raise_signal(signal.SIGTERM)
        await asyncio.Event().wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinGateway:
    """A paper account whose market comes through the pipe; implements `wiring.Gateway`."""

    venue: Venue
    account: PaperAccount
    #: Of the venue's own type.
    endpoints: Any
    clock: Clock

    def needs_arming(self, settings: Settings) -> bool:  # noqa: ARG002 - every gateway's signature
        """Return False: no order leaves the process."""
        return False

    def market_feed(self, instrument_ids: Sequence[str]) -> MarketFeed:
        """Return what comes through the pipe, heard by the account as well."""
        return PaperMarketStream(self.account, PipeStream(instrument_ids))

    def account_feed(self, instrument_ids: Sequence[str]) -> AccountFeed:  # noqa: ARG002 - as above
        """Return what the account tells of itself."""
        return PaperAccountStream(self.account, self.clock)


def main() -> int:
    """Run a twin until its pipe ends; return the exit code."""
    os.nice(_NICENESS)
    first = pipe.read_introduction(_STDIN)
    settings = Settings(**first.settings)
    logs.configure("json", settings.log_level)

    async def opening(settings: Settings, clock: Clock, *, fresh: bool) -> wiring.Gateway:
        return await _open(first, settings, clock, fresh=fresh)

    try:
        return daemon.run(settings, opening=opening, commanded=False)
    except CounterpoiseError as error:
        log.error("shadow.refused", reason=str(error))
        return 1


async def _open(
    first: pipe.Introduction, settings: Settings, clock: Clock, *, fresh: bool
) -> TwinGateway:
    public = VENUES[first.venue].public()
    endpoints: Any = replace(public.endpoints(), **first.addresses)
    terms = replace(
        paper.terms(settings, first.venue),
        path=settings.state_dir / "paper" / f"{_file_name(first.account_id)}.account",
        account_id=first.account_id,
    )
    await asyncio.to_thread(_until_free, PaperFile(terms.path))
    account = PaperAccount(terms, clock)
    venue = PaperVenue(
        account, public.reader(endpoints, clock), clock, rest_url=endpoints.rest_url, fresh=fresh
    )
    await venue.open()
    return TwinGateway(venue=venue, account=account, endpoints=endpoints, clock=clock)


def _until_free(kept: PaperFile) -> None:
    deadline = time.monotonic() + FREE_SECONDS_MAX
    while True:
        try:
            kept.claim()
        except StartRefused:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.25)
        else:
            kept.close()
            return


def _file_name(account_id: str) -> str:
    return "".join(each if each.isalnum() or each in "-_" else "_" for each in account_id)


if __name__ == "__main__":
    sys.exit(main())
