"""What a venue's protocol is to the process that serves it: one small interface for all venues.

The process owns the market, the clock, the faults and the connections; a wire owns shapes, codes
and rules of its venue. A wire is made by `make(floor)` of its package (`simulator.okx`,
`simulator.binance`, `simulator.bybit`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from aiohttp import web

from counterpoise.exchange.events import ExchangeEvent
from counterpoise.exchange.parameters import InstrumentParameters
from counterpoise.simulator.faults import FaultPlan
from counterpoise.simulator.keys import Credentials
from counterpoise.simulator.links import Links
from counterpoise.simulator.venue import RunningVenue


class Trouble(StrEnum):
    """Bad answers of a venue as such; each wire writes them in its venue's own words."""

    #: The venue's own "may or may not have been carried out" (OKX 50004, Binance -1007).
    UNKNOWN_OUTCOME = "unknown_outcome"
    #: HTTP 5xx with the venue's "try again later"; nothing was carried out if sent before.
    UNAVAILABLE = "unavailable"
    #: Too many requests (OKX 50011, Binance 429 with -1003, Bybit 10006).
    RATE_LIMITED = "rate_limited"
    #: The address is shut out for a while (Binance 418, Bybit 403, OKX 50011 on everything).
    BANNED = "banned"
    #: The venue is under maintenance.
    MAINTENANCE = "maintenance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """What a wire works on."""

    #: The running market; every change goes through it. `venue.clock` is the only clock and
    #: `venue.display` what the venue shows of books, marks and index.
    venue: RunningVenue
    #: The one account's key.
    credentials: Credentials
    #: Faults; a wire asks it only for kinds that live in its own shapes.
    faults: FaultPlan
    #: Every WebSocket is accepted here and written through here.
    links: Links
    #: Weight of requests a minute that a venue which counts it allows; None = the venue's own.
    weight_minute: int | None = None

    @property
    def account_id(self) -> str:
        """The one account."""
        return self.credentials.account_id

    @property
    def listed(self) -> Mapping[str, InstrumentParameters]:
        """The instruments of the venue by our id, in their fixed order."""
        parameters = self.venue.exchange.parameters
        return {each.instrument.instrument_id: each for each in parameters.instruments}


class Wire(Protocol):
    """One venue's REST and WebSocket protocol."""

    def add_routes(self, application: web.Application) -> None:
        """Add every REST and WebSocket route. Faults, "/_..." and CORS are not its business."""
        ...

    def hear(self, events: Sequence[ExchangeEvent]) -> None:
        """Push what happened, as the venue shows it. Called in order, never awaited."""
        ...

    def tick(self) -> None:
        """Do what is due by the clock alone; called some times a second and at every grant."""
        ...

    def trouble(self, trouble: Trouble, request: web.Request, *, seconds: float) -> web.Response:
        """Write a bad answer in the venue's own form; `seconds` = how long it will last."""
        ...

    def is_order_entry(self, request: web.Request) -> bool:
        """Tell whether a request places, amends or cancels orders."""
        ...

    def notify_upgrade(self) -> None:
        """Tell sockets that they will be closed soon, where the venue does so (OKX 64008)."""
        ...

    def forget(self, channel: str) -> int:
        """Lose the private subscriptions whose channel has this in it; return how many."""
        ...

    def instrument_of(self, name: str) -> str | None:
        """Return our id for the venue's or our spelling of an instrument; None = not listed."""
        ...
