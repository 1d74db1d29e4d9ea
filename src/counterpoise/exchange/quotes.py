"""What the modelled venue publishes about a market."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

#: Price (quote per base) and quantity (base units); 0 in a change = the level is gone.
BookLevel = tuple[Decimal, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """A whole order book; never crossed; a side may be empty after a large order."""

    instrument_id: str
    #: Best (highest) first.
    bids: tuple[BookLevel, ...]
    #: Best (lowest) first.
    asks: tuple[BookLevel, ...]
    #: Venue clock of the last change, ns.
    event_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingState:
    """The next funding as it stands now."""

    #: Fraction per interval; > 0: longs pay shorts.
    rate: Decimal
    #: When it is charged, ns.
    funding_ns: int
    #: Hours from one funding to the next.
    interval_hours: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleRow:
    """One bar, quote per base."""

    #: Start of the bar, ns.
    open_ns: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    #: Base units traded (0 for marks).
    volume: Decimal
    #: False = still forming.
    confirmed: bool


class Figures(Protocol):
    """A market's prices now, whoever makes them; quote per base. KeyError: unknown instrument."""

    def mark(self, instrument_id: str) -> Decimal:
        """Return the mark."""
        ...

    def index(self, instrument_id: str) -> Decimal:
        """Return the index."""
        ...

    def premium(self, instrument_id: str) -> Decimal:
        """Return mid - index averaged over about 30 s."""
        ...
