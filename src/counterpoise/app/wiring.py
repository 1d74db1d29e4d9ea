"""Builds the venue's adapters from settings; the only place that knows which venue is which."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from counterpoise.app import parameters
from counterpoise.app.settings import Settings, variable
from counterpoise.domain.errors import StartRefused
from counterpoise.ports import AccountFeed, Clock, MarketFeed, Venue
from counterpoise.venues.okx.account_stream import OkxAccountStream
from counterpoise.venues.okx.endpoints import OkxCredentials, OkxEndpoints, is_production
from counterpoise.venues.okx.market_stream import OkxMarketStream
from counterpoise.venues.okx.orders import OkxVenue

#: Symbols as the streams take them: instrument id -> (venue symbol, base units per contract).
Symbols = Mapping[str, tuple[str, Decimal]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """One account's adapters."""

    venue: Venue
    endpoints: OkxEndpoints
    credentials: OkxCredentials
    clock: Clock

    def needs_arming(self, settings: Settings) -> bool:
        """Tell whether an order could cost money, or is meant to."""
        return settings.environment == "production" or is_production(self.endpoints)

    def symbols(self, instrument_ids: Sequence[str]) -> Symbols:
        """Return the venue's words for instruments."""
        return {
            i: (self.venue.venue_symbol(i), self.venue.contract_size(i)) for i in instrument_ids
        }

    def market_feed(self, instrument_ids: Sequence[str]) -> MarketFeed:
        """Return the public streams."""
        return OkxMarketStream(self.endpoints, self.symbols(instrument_ids), self.clock)

    def account_feed(self, instrument_ids: Sequence[str]) -> AccountFeed:
        """Return the private streams."""
        return OkxAccountStream(
            self.endpoints, self.credentials, self.symbols(instrument_ids), self.clock
        )


async def open_gateway(settings: Settings, clock: Clock, *, fresh: bool) -> Gateway:
    """Return opened adapters; StartRefused says what is missing."""
    gateway = await connect(settings, clock, fresh=fresh)
    try:
        if gateway.needs_arming(settings):
            check_armed(settings, await gateway.venue.account_id())
    except BaseException:
        await gateway.venue.close()
        raise
    return gateway


async def connect(settings: Settings, clock: Clock, *, fresh: bool) -> Gateway:
    """Return opened adapters whether armed or not; for looking, and for `open_gateway`."""
    if settings.venue == "simulator":
        endpoints, credentials = await asyncio.to_thread(_built_in, settings, fresh=fresh)
    else:
        endpoints, credentials = parameters.okx_endpoints(settings), _credentials(settings)
    venue = OkxVenue(endpoints, credentials, clock)
    await venue.open()
    return Gateway(venue=venue, endpoints=endpoints, credentials=credentials, clock=clock)


def addresses(settings: Settings) -> tuple[str, ...]:
    """Return every address of the venue; empty = the built-in one."""
    if settings.venue == "simulator":
        return ()
    endpoints = parameters.okx_endpoints(settings)
    return (endpoints.rest_url, endpoints.public_url, endpoints.private_url)


def check_armed(settings: Settings, account_id: str) -> None:
    """Refuse real money unless the operator named this very account. Raises StartRefused."""
    name = variable("live_trading")
    if settings.live_trading is None:
        raise StartRefused(
            f"{name} is not set: these addresses may trade real money with account {account_id}; "
            f"set {name}={account_id} and COUNTERPOISE_ENVIRONMENT=production if that is meant"
        )
    if settings.live_trading != account_id:
        raise StartRefused(
            f"{name}={settings.live_trading}: the key opens account {account_id}; use the key of "
            f"account {settings.live_trading}, or set {name}={account_id} if that one is meant"
        )


def simulator_dir(settings: Settings) -> Path:
    """Return where the built-in venue keeps its state."""
    return settings.state_dir / "simulator"


def _built_in(settings: Settings, *, fresh: bool) -> tuple[OkxEndpoints, OkxCredentials]:
    # Lazily imported: a live run never loads the simulator or the exchange model.
    from counterpoise.simulator import client

    state_dir = simulator_dir(settings)
    try:
        port = client.ensure_running(
            state_dir,
            seed=settings.simulator_seed,
            fresh=fresh,
            wallet=settings.simulator_wallet,
        )
        keys = client.credentials(state_dir)
    except client.SimulatorUnavailable as error:
        raise StartRefused(f"the built-in venue does not start: {error}") from error
    if settings.api_key is not None:
        return OkxEndpoints.loopback(port), _credentials(settings)
    credentials = OkxCredentials(
        api_key=keys.api_key, secret=keys.secret, passphrase=keys.passphrase
    )
    return OkxEndpoints.loopback(port), credentials


def _credentials(settings: Settings) -> OkxCredentials:
    parts = (settings.api_key, settings.api_secret, settings.api_passphrase)
    if any(part is None for part in parts):
        raise StartRefused(
            "venue okx needs COUNTERPOISE_API_KEY, COUNTERPOISE_API_SECRET and "
            "COUNTERPOISE_API_PASSPHRASE (or their _FILE variants)"
        )
    key, secret, passphrase = (part.get_secret_value() for part in parts if part is not None)
    return OkxCredentials(api_key=key, secret=secret, passphrase=passphrase)
