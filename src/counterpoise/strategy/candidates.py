"""Which instruments may hedge, on which side, and how good each would be (section 4)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, TypeGuard

from counterpoise.domain.instruments import InstrumentState
from counterpoise.domain.rounding import float_from_decimal
from counterpoise.domain.units import BPS_PER_ONE
from counterpoise.market.view import InstrumentView, MarketView
from counterpoise.signals.view import SignalsView
from counterpoise.strategy.memory import Regime
from counterpoise.strategy.parameters import StrategyParameters
from counterpoise.strategy.regime import book_regime

_HOURS_PER_DAY: Final = 24.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One instrument on one side."""

    #: The instrument.
    instrument_id: str
    #: +1 or -1: the sign of the hedge's notional.
    side: int
    #: Correlation of the leg's PnL with the core's, the worse of fast and medium.
    leg_correlation: float
    #: The higher, the better.
    score: float


def leg_correlation(
    instrument_id: str, side: int, signals: SignalsView, parameters: StrategyParameters
) -> float | None:
    """Return sign(H) x s x corr(core, j), the larger of fast and medium; None if both unknown."""
    known = [
        side * parameters.side * horizon[instrument_id]
        for horizon in (signals.correlation_core_fast, signals.correlation_core_medium)
        if instrument_id in horizon
    ]
    return max(known, default=None)


def marked(view: InstrumentView | None) -> TypeGuard[InstrumentView]:
    """Tell whether an instrument is known and ever had a mark."""
    return view is not None and view.mark is not None and view.mark > 0


def signals_missing(
    instrument_id: str, market: MarketView, signals: SignalsView, parameters: StrategyParameters
) -> str:
    """Return what keeps an instrument from being sized, in words; "" = it can be."""
    return next(_sizing_refusals(instrument_id, market, signals, parameters), "")


def entry_refused(
    instrument_id: str, market: MarketView, signals: SignalsView, parameters: StrategyParameters
) -> str:
    """Return what keeps an instrument from entering the hedge, in words; "" = it may.

    One that is in it already keeps its place through a short loss of data (`signals_missing`
    decides whether it can still be sized).
    """
    missing = signals_missing(instrument_id, market, signals, parameters)
    view = market.instruments.get(instrument_id)
    if missing or view is None:
        return missing
    return next(_entry_refusals(view, signals, parameters), "")


def candidate(
    view: InstrumentView, side: int, signals: SignalsView, parameters: StrategyParameters
) -> Candidate:
    """Score one instrument on one side; `signals_missing` must have found nothing.

    -rho_leg + 0.25 x volatility correlation + (carry - cost) / 20 bps per day
    - 0.5 x stdev of the daily correlation. A term whose input is unknown counts 0.
    """
    name = view.instrument.instrument_id
    rho = leg_correlation(name, side, signals, parameters)
    assert rho is not None, "signals_missing checks it"
    gains = side * signals.volatility_correlation.get(name, 0.0)
    carry = carry_bps_per_day(view, side) - cost_bps_per_day(view, parameters)
    unsteady = signals.correlation_daily_stdev.get(name, 0.0)
    score = (
        -rho
        + parameters.score_volatility_correlation * gains
        + carry / parameters.score_carry_bps
        - parameters.score_correlation_stdev * unsteady
    )
    return Candidate(instrument_id=name, side=side, leg_correlation=rho, score=score)


def carry_bps_per_day(view: InstrumentView, side: int) -> float:
    """Return expected funding for our side, + received; 0 if rate or interval is unknown."""
    rate, hours = view.funding_rate, view.funding_interval_hours
    if rate is None or hours is None or hours <= 0:
        return 0.0
    per_day = float_from_decimal(rate) * _HOURS_PER_DAY / float_from_decimal(hours)
    return -side * per_day * BPS_PER_ONE


def cost_bps_per_day(view: InstrumentView, parameters: StrategyParameters) -> float:
    """Return a round trip's fee, slippage and half spread, spread over the expected stay."""
    once = parameters.fee_bps + parameters.slippage_bps + half_spread_bps(view)
    return 2.0 * once / parameters.holding_days


def half_spread_bps(view: InstrumentView) -> float:
    """Return half the spread over mid; 0 while the book is unknown or crossed."""
    if view.bid is None or view.ask is None or view.ask <= view.bid:
        return 0.0
    fraction = (view.ask - view.bid) / (view.ask + view.bid)
    return float_from_decimal(fraction * Decimal(BPS_PER_ONE))


def sides_scored(
    market: MarketView,
    signals: SignalsView,
    parameters: StrategyParameters,
    closed: Mapping[str, int],
) -> dict[str, dict[int, Candidate]]:
    """Return every candidate instrument that can be sized -> open side -> its score."""
    result: dict[str, dict[int, Candidate]] = {}
    for name in parameters.hedge_candidates:
        if signals_missing(name, market, signals, parameters):
            continue
        view = market.instruments[name]
        sides = {
            side: candidate(view, side, signals, parameters)
            for side in (-parameters.side, parameters.side)
            if closed.get(name) != side
        }
        result[name] = sides
    return result


def _sizing_refusals(
    name: str, market: MarketView, signals: SignalsView, parameters: StrategyParameters
) -> Iterator[str]:
    view, core = market.instruments.get(name), parameters.core_instrument
    if not marked(view):
        yield "no mark"
    elif not view.instrument.tiers:
        yield "no margin tiers"
    paired = core in signals.correlation.get(name, {})
    if not paired or leg_correlation(name, 1, signals, parameters) is None:
        yield "no correlation to the core"
    if name not in signals.beta:
        yield "no beta"
    if signals.volatility_covariance.get(name, 0.0) <= 0.0:
        yield "no volatility"
    if signals.volatility_covariance.get(core, 0.0) <= 0.0:
        yield "no volatility of the core"


def _entry_refusals(
    view: InstrumentView, signals: SignalsView, parameters: StrategyParameters
) -> Iterator[str]:
    if view.missing:
        yield ", ".join(view.missing)
    if view.instrument.state is not InstrumentState.LIVE:
        yield f"instrument is {view.instrument.state.value}"
    days = signals.history_days.get(view.instrument.instrument_id, 0.0)
    if days < parameters.history_days_min:
        yield f"less than {parameters.history_days_min} days of history"
    if book_regime(view, parameters) is Regime.CASCADE:
        yield "its book is in a cascade"
    least, depth = parameters.depth_quote_min, view.depth_quote
    if least > 0.0 and (depth is None or float_from_decimal(depth) < least):
        yield f"depth below {least}"
    least, volume = parameters.volume_quote_min, view.volume_quote
    if least > 0.0 and (volume is None or volume < least):
        yield f"24 h volume below {least}"
