"""Builds the venue's adapters from settings and its row of the table."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

from counterpoise.app import parameters
from counterpoise.app.settings import Settings, variable
from counterpoise.app.venue_table import PAPER, VENUES, Adapters, Symbols
from counterpoise.domain.errors import StartRefused
from counterpoise.ports import AccountFeed, Clock, MarketFeed, Venue


class Gateway(Protocol):
    """One account's adapters, whatever kind of account it is."""

    @property
    def venue(self) -> Venue:
        """The account by REST."""
        ...

    @property
    def endpoints(self) -> Any:
        """Addresses, of the venue's own type."""
        ...

    def needs_arming(self, settings: Settings) -> bool:
        """Tell whether an order could cost money, or is meant to."""
        ...

    def market_feed(self, instrument_ids: Sequence[str]) -> MarketFeed:
        """Return the public streams."""
        ...

    def account_feed(self, instrument_ids: Sequence[str]) -> AccountFeed:
        """Return the private streams."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueGateway:
    """The adapters of an account at a venue."""

    venue: Venue
    adapters: Adapters
    #: Of the venue's own types.
    endpoints: Any
    credentials: Any
    clock: Clock

    def needs_arming(self, settings: Settings) -> bool:
        """Tell whether an order could cost money, or is meant to."""
        return settings.environment == "production" or self.adapters.is_production(self.endpoints)

    def symbols(self, instrument_ids: Sequence[str]) -> Symbols:
        """Return the venue's words for instruments."""
        return {
            i: (self.venue.venue_symbol(i), self.venue.contract_size(i)) for i in instrument_ids
        }

    def market_feed(self, instrument_ids: Sequence[str]) -> MarketFeed:
        """Return the public streams."""
        return self.adapters.market_feed(self.endpoints, self.symbols(instrument_ids), self.clock)

    def account_feed(self, instrument_ids: Sequence[str]) -> AccountFeed:
        """Return the private streams."""
        return self.adapters.account_feed(
            self.endpoints,
            self.credentials,
            self.symbols(instrument_ids),
            self.clock,
            ahead_ns=lambda: self.venue.offset_ns,
        )


async def open_gateway(settings: Settings, clock: Clock, *, fresh: bool) -> Gateway:
    """Return opened adapters; StartRefused says what is missing."""
    gateway = await connect(settings, clock, fresh=fresh, keep=True)
    try:
        if gateway.needs_arming(settings):
            check_armed(settings, await gateway.venue.account_id())
    except BaseException:
        await gateway.venue.close()
        raise
    return gateway


async def connect(settings: Settings, clock: Clock, *, fresh: bool, keep: bool = False) -> Gateway:
    """Return opened adapters whether armed or not; for looking, and for `open_gateway`.

    `keep` = a paper account is traded and not only looked at.
    """
    if settings.environment == PAPER:
        # Lazily imported: a live run never loads the exchange model.
        from counterpoise.app import paper

        return await paper.connect(settings, clock, fresh=fresh, keep=keep)
    built_in = settings.venue == "simulator"
    name = settings.simulator_venue if built_in else settings.venue
    adapters = VENUES[name].adapters()
    if built_in:
        endpoints, credentials = await asyncio.to_thread(_built_in, settings, adapters, fresh=fresh)
    else:
        endpoints = parameters.endpoints(settings, name)
        credentials = _credentials(settings, name, adapters)
    venue = adapters.venue(endpoints, credentials, clock)
    await venue.open()
    return VenueGateway(
        venue=venue, adapters=adapters, endpoints=endpoints, credentials=credentials, clock=clock
    )


def addresses(settings: Settings) -> tuple[str, ...]:
    """Return every address of the venue; empty = the built-in one."""
    if settings.venue == "simulator":
        return ()
    found = parameters.public_endpoints if settings.environment == PAPER else parameters.endpoints
    endpoints = found(settings, settings.venue)
    values = [getattr(endpoints, each.name) for each in fields(endpoints)]
    return tuple(each for each in values if isinstance(each, str) and "://" in each)


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


def built_in_port(settings: Settings, *, fresh: bool) -> int:
    """Start or find the built-in venue; return its port. StartRefused: it does not start."""
    # Lazily imported: a live run never loads the simulator or the exchange model.
    from counterpoise.simulator import client

    try:
        return client.ensure_running(
            simulator_dir(settings),
            seed=settings.simulator_seed,
            fresh=fresh,
            wallet=settings.simulator_wallet,
            venue=settings.simulator_venue,
        )
    except client.SimulatorUnavailable as error:
        raise StartRefused(f"the built-in venue does not start: {error}") from error


def _built_in(settings: Settings, adapters: Adapters, *, fresh: bool) -> tuple[Any, Any]:
    from counterpoise.simulator import client

    port = built_in_port(settings, fresh=fresh)
    try:
        keys = client.credentials(simulator_dir(settings))
    except client.SimulatorUnavailable as error:
        raise StartRefused(f"the built-in venue does not start: {error}") from error
    if settings.api_key is not None:
        return adapters.loopback(port), _credentials(settings, settings.simulator_venue, adapters)
    credentials = adapters.credentials(keys.api_key, keys.secret, keys.passphrase)
    return adapters.loopback(port), credentials


def _credentials(settings: Settings, name: str, adapters: Adapters) -> Any:
    row = VENUES[name]
    parts = {field: getattr(settings, field) for field in row.key_settings}
    absent = [variable(field) for field, part in parts.items() if part is None]
    if absent:
        raise StartRefused(f"{row.label} needs {', '.join(absent)} as well (or the _FILE variants)")
    key, secret, *more = (part.get_secret_value() for part in parts.values())
    return adapters.credentials(key, secret, more[0] if more else "")
