"""What venues do differently: bands, funding, liquidation, fees, names, memory.

The defaults are the demonstration venue's. `venues.py` holds the rules of OKX, Binance and Bybit.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from counterpoise.domain.units import NS_PER_DAY, NS_PER_HOUR
from counterpoise.exchange.modes import PositionMode, SelfTradeMode


class BandFormula(StrEnum):
    """How a venue bounds the aggressive side of a price (venues.md 3.1)."""

    #: A fraction around the mark; Binance's PERCENT_PRICE is the same.
    MARK = "mark"
    #: Around the index, shifted by the average premium, within a wider bound.
    OKX = "okx"
    #: Around the mark and the index, shifted by the premium of 30 s, within a wider bound.
    BYBIT = "bybit"


class FundingFormula(StrEnum):
    """How a premium becomes a funding rate (venues.md 2)."""

    #: The clamped premium is the rate of an interval, whatever its length; interest pro rata.
    OKX = "okx"
    #: The clamped premium is the rate of eight hours, divided down to the interval.
    BINANCE = "binance"
    #: As OKX: interest pro rata, no division.
    BYBIT = "bybit"


@dataclass(frozen=True, slots=True, kw_only=True)
class BandRule:
    """The price band of an instrument."""

    #: Formula.
    formula: BandFormula
    #: Bound in calm times: OKX Y, Bybit X, fraction around the mark otherwise.
    near_fraction: Decimal
    #: Bound whatever the premium: OKX Z, Bybit Y; of no meaning for MARK.
    far_fraction: Decimal = Decimal(0)
    #: True = a limit price beyond the band is moved to it (Bybit) instead of refused.
    reprices: bool = False

    def __post_init__(self) -> None:
        assert self.near_fraction > 0, "near_fraction must be positive"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeTier:
    """What accounts of one fee level pay, bps of notional; negative = rebate."""

    #: Charged to the order that rested.
    maker_fee_bps: Decimal
    #: Charged to the order that took.
    taker_fee_bps: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidationRule:
    """How the venue closes what has no margin left."""

    #: Margin tiers a step goes down; None = everything at once, at mark.
    tiers_per_step: int | None = None
    #: Positions in this tier (the first is 1) or a higher one shrink by steps, lower ones whole.
    tier_gradual_min: int = 1
    #: True = equity must also cover the liquidation fee of all positions (OKX, Bybit).
    fee_counts: bool = False

    def __post_init__(self) -> None:
        assert self.tiers_per_step is None or self.tiers_per_step > 0, "a step must go down"
        assert self.tier_gradual_min >= 1, "the first tier is 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class CrowdRule:
    """Traders without an account who hold the other side and are ranked for ADL."""

    #: Members per instrument and side.
    members: int = 40
    #: Notional of all members of a side at the start price, as a multiple of the market's depth.
    depth_multiple: float = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueRules:
    """Everything a venue decides that is not a figure of one instrument."""

    #: Whose rules: "okx", "binance", "bybit".
    venue: str = "okx"
    #: How premiums become rates.
    funding_formula: FundingFormula = FundingFormula.OKX
    #: True = the k-th minute of an interval counts k times in the average premium.
    premium_weighted: bool = False
    #: What a new account has in every instrument.
    position_mode_start: PositionMode = PositionMode.ONE_WAY
    #: What a new account has; an order may say otherwise.
    self_trade_start: SelfTradeMode = SelfTradeMode.CANCEL_MAKER
    #: By level, 0 first; empty = the venue's one maker and taker fee.
    fee_tiers: tuple[FeeTier, ...] = ()
    #: True = reduce-only orders may be smaller than the least notional (Binance).
    notional_min_waived: bool = False
    #: True = the position's tier bounds the leverage setting, and the setting the position.
    leverage_by_tier: bool = False
    #: Longest client order id, characters.
    client_order_id_length_max: int = 32
    #: Characters a client order id may have besides ASCII letters and digits.
    client_order_id_marks: str = ""
    #: True = never twice while the order is remembered (Bybit), False = not among open orders.
    client_order_id_once: bool = False
    #: A canceled order without fills is told of this long, ns.
    canceled_kept_ns: int = 2 * NS_PER_HOUR
    #: Any other ended order is told of this long, ns.
    filled_kept_ns: int = 3 * NS_PER_DAY
    #: Open orders an account may have.
    open_orders_max: int = 500
    #: True = that many per instrument (Binance, Bybit) instead of in all.
    open_orders_by_instrument: bool = False
    #: How positions are liquidated.
    liquidation: LiquidationRule = LiquidationRule()
    #: What the insurance fund holds at the start, quote; None = it never runs dry.
    insurance_fund_start: Decimal | None = None
    #: Who else is ranked for ADL; None = accounts only.
    crowd: CrowdRule | None = None

    def __post_init__(self) -> None:
        assert self.client_order_id_length_max > 0, "an id needs a character"
        assert self.open_orders_max > 0, "an account needs an order"
