"""What can be traded and in which steps."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


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
