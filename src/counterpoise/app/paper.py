"""Builds a paper account: a venue's public data, and a model account in this process.

Loaded only where a paper account is asked for. It is given no key and no class that places orders.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from counterpoise.app import parameters, wiring
from counterpoise.app.settings import Settings
from counterpoise.app.venue_table import PAPER, VENUES, PublicAdapters
from counterpoise.ports import AccountFeed, Clock, MarketFeed, Venue
from counterpoise.venues.paper.account import PaperAccount, PaperTerms
from counterpoise.venues.paper.account_stream import PaperAccountStream
from counterpoise.venues.paper.market_stream import PaperMarketStream
from counterpoise.venues.paper.orders import PaperVenue


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperGateway:
    """The adapters of a paper account; implements `wiring.Gateway`."""

    venue: Venue
    account: PaperAccount
    public: PublicAdapters
    #: Of the venue's own type.
    endpoints: Any
    clock: Clock

    def needs_arming(self, settings: Settings) -> bool:  # noqa: ARG002 - every gateway's signature
        """Return False: no order leaves the process."""
        return False

    def market_feed(self, instrument_ids: Sequence[str]) -> MarketFeed:
        """Return the venue's public streams, heard by the account as well."""
        symbols = {
            i: (self.venue.venue_symbol(i), self.venue.contract_size(i)) for i in instrument_ids
        }
        streams = self.public.market_feed(self.endpoints, symbols, self.clock)
        return PaperMarketStream(self.account, streams)

    def account_feed(self, instrument_ids: Sequence[str]) -> AccountFeed:  # noqa: ARG002 - as above
        """Return what the account tells of itself."""
        return PaperAccountStream(self.account, self.clock)


async def connect(settings: Settings, clock: Clock, *, fresh: bool, keep: bool) -> PaperGateway:
    """Return an opened paper account; `keep` = it is traded, else only looked at.

    StartRefused or VenueUnreachable.
    """
    built_in = settings.venue == "simulator"
    name = settings.simulator_venue if built_in else settings.venue
    public = VENUES[name].public()
    if built_in:
        port = await asyncio.to_thread(wiring.built_in_port, settings, fresh=fresh)
        endpoints = public.loopback(port)
    else:
        endpoints = parameters.public_endpoints(settings, name)
    account = PaperAccount(terms(settings, name), clock)
    venue = PaperVenue(
        account,
        public.reader(endpoints, clock),
        clock,
        rest_url=endpoints.rest_url,
        keep=keep,
        fresh=fresh,
    )
    await venue.open()
    return PaperGateway(
        venue=venue, account=account, public=public, endpoints=endpoints, clock=clock
    )


def terms(settings: Settings, name: str) -> PaperTerms:
    """Return what the account is made of; `name` is the venue whose markets it trades in."""
    return PaperTerms(
        venue=name,
        path=account_path(settings),
        equity=settings.paper_equity,
        latency_ms=settings.paper_latency_ms,
        maker_fee_bps=settings.paper_maker_fee_bps,
        taker_fee_bps=settings.paper_taker_fee_bps,
    )


def account_path(settings: Settings) -> Path:
    """Return where the account is kept."""
    built_in = settings.venue == "simulator"
    name = f"simulator-{settings.simulator_venue}" if built_in else settings.venue
    return settings.state_dir / PAPER / f"{name}.account"
