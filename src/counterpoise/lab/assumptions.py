"""What the recorded bars do not say and the laboratory therefore assumes; all of it is reported.

There are no historical spreads, depths, margin tables or latencies in the data. Instrument rules
come from the model of a venue (`exchange.venues`); for what it does not list, the rules below.
"""

from dataclasses import dataclass, fields, replace
from decimal import Decimal
from math import floor, log10
from typing import Any, Final

from counterpoise.domain.errors import SettingsError
from counterpoise.domain.instruments import Instrument
from counterpoise.exchange.parameters import ExchangeParameters, InstrumentParameters
from counterpoise.exchange.venues import binance_parameters, bybit_parameters, okx_parameters

#: venue -> its parameter set; the seed moves nothing that is used here.
VENUES: Final = {
    "okx": okx_parameters(0),
    "binance": binance_parameters(0),
    "bybit": bybit_parameters(0),
}
#: Instruments a venue's set does not list take this one's margin table, the strictest there.
STRICTEST: Final = "LTCUSDT"
#: Bid-ask spread of an instrument the set does not list, bps of mid.
SPREAD_BPS: Final = 2.0
#: A lot of an unlisted instrument is worth about this at its first price, quote.
LOT_QUOTE: Final = 1.0
#: A tick of an unlisted instrument: this many digits after the first one of its first price.
TICK_DIGITS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """The laboratory's own numbers. Raises ValueError where one is out of its range."""

    #: Whose rules, tiers and liquidation: "okx", "binance" or "bybit".
    venue: str = "okx"
    #: Equity at the first decision, quote.
    equity_start: Decimal = Decimal(100_000)
    #: Fee of every fill, bps.
    taker_fee_bps: Decimal = Decimal(5)
    #: From a decision, or a crossed trigger, to the fill, ms.
    latency_ms: int = 250
    #: Multiplier of the assumed spreads.
    spread_factor: float = 1.0
    #: Y of the square-root law of impact: volatility x sqrt(notional / volume).
    impact_factor: float = 1.0
    #: Price limit of an increase from mid, bps, as the daemon's.
    slippage_bps_increase: Decimal = Decimal(20)
    #: Price limit of a reduction's first attempt from mid, bps; doubles per attempt.
    slippage_bps_reduction: Decimal = Decimal(50)
    #: The ceiling in force.
    leverage_ceiling: Decimal = Decimal(3)
    #: Rate per 8 hours where no funding is recorded, fraction.
    funding_rate: Decimal = Decimal(0)
    #: p99 latency of the market feed, ms.
    feed_latency_ms: float = 20.0
    #: False = the guard between decisions is off (for measuring what it is worth).
    guard: bool = True

    def __post_init__(self) -> None:
        if self.venue not in VENUES:
            raise ValueError(f"venue={self.venue!r}: allowed is one of {', '.join(VENUES)}")
        for name, low, high in (
            ("equity_start", 1, 10**12),
            ("taker_fee_bps", -100, 1_000),
            ("latency_ms", 0, 60_000),
            ("spread_factor", 0, 1_000),
            ("impact_factor", 0, 1_000),
            ("slippage_bps_increase", 0, 100),
            ("slippage_bps_reduction", 0, 10_000),
            ("funding_rate", -1, 1),
            ("feed_latency_ms", 0, 60_000),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name}={value}: allowed is {low} to {high}")

    @property
    def exchange(self) -> ExchangeParameters:
        """The venue's parameter set."""
        return VENUES[self.venue]


def described(assumptions: Assumptions) -> dict[str, Any]:
    """Return every assumption by name, for an output."""
    return {field.name: getattr(assumptions, field.name) for field in fields(assumptions)}


def make_instrument(assumptions: Assumptions, instrument_id: str, price: float) -> Instrument:
    """Return an instrument's rules: the venue's, or assumed ones from its first price (quote)."""
    listed = {each.instrument.instrument_id: each.instrument for each in _markets(assumptions)}
    if instrument_id in listed:
        return listed[instrument_id]
    base, quote = instrument_id.removesuffix("USDT"), "USDT"
    if not base or base == instrument_id:
        raise SettingsError(f"{instrument_id}: allowed is an instrument quoted in USDT: BTCUSDT")
    strict = listed[STRICTEST]
    lot = Decimal(1).scaleb(-floor(log10(price / LOT_QUOTE)))
    return replace(
        strict,
        instrument_id=instrument_id,
        base=base,
        quote=quote,
        tick_size=Decimal(1).scaleb(floor(log10(price)) - TICK_DIGITS),
        lot_size=lot,
        quantity_min=lot,
        market_quantity_max=None,
        limit_quantity_max=None,
    )


def half_spread_bps(assumptions: Assumptions, instrument_id: str) -> float:
    """Return half the calm spread, bps of mid."""
    spreads = {each.instrument.instrument_id: each.spread_bps for each in _markets(assumptions)}
    return spreads.get(instrument_id, SPREAD_BPS) / 2.0 * assumptions.spread_factor


def is_listed(assumptions: Assumptions, instrument_id: str) -> bool:
    """Tell whether an instrument's rules are the venue's own."""
    return any(each.instrument.instrument_id == instrument_id for each in _markets(assumptions))


def _markets(assumptions: Assumptions) -> tuple[InstrumentParameters, ...]:
    return assumptions.exchange.instruments
