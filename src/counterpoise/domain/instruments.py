"""What can be traded and in which steps."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from counterpoise.domain.rounding import quantize_up


class InstrumentState(StrEnum):
    """Whether the venue takes orders in an instrument now."""

    LIVE = "live"
    POST_ONLY = "post_only"
    #: The venue announced its end: it trades until then, and nothing of ours grows in it.
    CLOSING = "closing"
    SUSPENDED = "suspended"
    #: The venue lists it no more; what was held in it has been settled.
    DELISTED = "delisted"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginTier:
    """One step of a venue's margin table; a position uses the tier its notional falls in."""

    #: Largest notional (quote) of the tier; None = no upper end.
    notional_max: Decimal | None
    #: Maintenance margin as a fraction of notional.
    maintenance_margin_fraction: Decimal
    #: Initial margin as a fraction of notional at the highest leverage setting of the tier.
    initial_margin_fraction: Decimal
    #: Quote amount taken off the maintenance margin (Binance `cum`, Bybit `mmDeduction`); 0 = none.
    maintenance_margin_deduction: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """A linear perpetual, in base units whatever the venue's contract is."""

    #: Our identity, base then quote: "BTCUSDT". The venue's own symbol stays in `venues`.
    instrument_id: str
    #: Currency of the quantity, "BTC".
    base: str
    #: Currency of the price, "USDT".
    quote: str
    #: Currency margin and PnL are paid in, "USDT".
    settle: str
    #: Smallest price step, quote.
    tick_size: Decimal
    #: Smallest quantity step, base units.
    lot_size: Decimal
    #: Smallest order quantity, base units.
    quantity_min: Decimal
    #: Smallest order notional, quote; None = the venue has none.
    notional_min: Decimal | None = None
    #: Largest market order, base units; None = unlimited.
    market_quantity_max: Decimal | None = None
    #: Largest limit order, base units; None = unlimited.
    limit_quantity_max: Decimal | None = None
    #: What the venue takes now.
    state: InstrumentState = InstrumentState.LIVE
    #: Margin tiers, smallest first; empty = unknown, which the gate treats as denied for increases.
    tiers: tuple[MarginTier, ...] = ()

    def __post_init__(self) -> None:
        assert self.tick_size > 0, "tick_size must be positive"
        assert self.lot_size > 0, "lot_size must be positive"
        assert self.quantity_min >= 0, "quantity_min must not be negative"

    def order_notional_min(self, mark: Decimal) -> Decimal:
        """Return the notional of the smallest order at a mark, quote, up to a whole lot."""
        least = max(self.quantity_min, self.lot_size)
        if self.notional_min is not None:
            least = max(least, quantize_up(self.notional_min / mark, self.lot_size))
        return least * mark


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentTerms:
    """An instrument as one venue lists it."""

    #: Its rules in base units.
    rules: Instrument
    #: The venue's own string for it.
    venue_symbol: str
    #: Base units per contract; 1 = the venue has no contracts.
    contract_size: Decimal
