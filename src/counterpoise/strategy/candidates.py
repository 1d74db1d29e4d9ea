"""Which instruments may hedge, on which side, and how good each would be (section 4)."""

from collections.abc import Mapping
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

_NOTHING: Final[Mapping[str, float]] = {}
# What comes to its end, or has.
_ENDING: Final = frozenset({InstrumentState.CLOSING, InstrumentState.DELISTED})


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


def signals_missing(  # noqa: PLR0911 - one return per input
    instrument_id: str, market: MarketView, signals: SignalsView, parameters: StrategyParameters
) -> str:
    """Return what keeps an instrument from being sized, in words; "" = it can be."""
    view, core = market.instruments.get(instrument_id), parameters.core_instrument
    if not marked(view):
        return "no mark"
    if view.instrument.state in _ENDING:
        # No short loss of data: whoever holds a place in the hedge loses it.
        return f"instrument is {view.instrument.state.value}"
    if not view.instrument.tiers:
        return "no margin tiers"
    known = instrument_id in signals.correlation_core_fast
    known = known or instrument_id in signals.correlation_core_medium
    if not known or core not in signals.correlation.get(instrument_id, _NOTHING):
        return "no correlation to the core"
    if instrument_id not in signals.beta:
        return "no beta"
    if signals.volatility_covariance.get(instrument_id, 0.0) <= 0.0:
        return "no volatility"
    if signals.volatility_covariance.get(core, 0.0) <= 0.0:
        return "no volatility of the core"
    return ""


def entry_refused(
    instrument_id: str, market: MarketView, signals: SignalsView, parameters: StrategyParameters
) -> str:
    """Return what keeps an instrument from entering the hedge, in words; "" = it may.

    One that is in it already keeps its place through a short loss of data (`signals_missing`
    decides whether it can still be sized).
    """
    missing = signals_missing(instrument_id, market, signals, parameters)
    return missing or late_refusal(market.instruments[instrument_id], signals, parameters)


def late_refusal(  # noqa: PLR0911 - one return per condition
    view: InstrumentView, signals: SignalsView, parameters: StrategyParameters
) -> str:
    """Return what keeps an instrument that can be sized from entering, in words; "" = it may."""
    if view.missing:
        return ", ".join(view.missing)
    if view.instrument.state is not InstrumentState.LIVE:
        return f"instrument is {view.instrument.state.value}"
    days = signals.history_days.get(view.instrument.instrument_id, 0.0)
    if days < parameters.history_days_min:
        return f"less than {parameters.history_days_min} days of history"
    if book_regime(view, parameters) is Regime.CASCADE:
        return "its book is in a cascade"
    least, depth = parameters.depth_quote_min, view.depth_quote
    if least > 0.0 and (depth is None or float_from_decimal(depth) < least):
        return f"depth below {least}"
    least, volume = parameters.volume_quote_min, view.volume_quote
    if least > 0.0 and (volume is None or volume < least):
        return f"24 h volume below {least}"
    return ""


def candidate(
    view: InstrumentView, side: int, signals: SignalsView, parameters: StrategyParameters
) -> Candidate:
    """Score one instrument on one side; `signals_missing` must have found nothing.

    -rho_leg + 0.25 x volatility correlation + (carry - cost) / 20 bps per day
    - 0.5 x stdev of the daily correlation. A term whose input is unknown counts 0.
    """
    return _candidate(view, side, _terms(view, signals, parameters), parameters)


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


def sizable(
    market: MarketView, signals: SignalsView, parameters: StrategyParameters
) -> dict[str, InstrumentView]:
    """Return the candidate instruments that can be sized, in their configured order."""
    return {
        name: market.instruments[name]
        for name in parameters.hedge_candidates
        if not signals_missing(name, market, signals, parameters)
    }


def best_side(
    view: InstrumentView, shut: int | None, signals: SignalsView, parameters: StrategyParameters
) -> Candidate:
    """Return the better side of an instrument, the one against the core at equal scores.

    `shut` is the side that is closed; None = none.
    """
    terms = _terms(view, signals, parameters)
    against = -parameters.side
    chosen = against
    if shut is not None:
        chosen = -shut
    elif _score(terms, -against, parameters)[1] > _score(terms, against, parameters)[1]:
        chosen = -against
    return _candidate(view, chosen, terms, parameters)


#: Leg correlations' two horizons without sign, volatility correlation, carry of a long side, cost,
#: weighted unsteadiness: what a score is made of on either side.
_Terms = tuple[float, float, float, float, float, float]


def _terms(view: InstrumentView, signals: SignalsView, parameters: StrategyParameters) -> _Terms:
    name = view.instrument.instrument_id
    fast = signals.correlation_core_fast.get(name)
    medium = signals.correlation_core_medium.get(name)
    first = fast if fast is not None else medium
    assert first is not None, "signals_missing checks it"
    return (
        first,
        first if medium is None else medium,
        signals.volatility_correlation.get(name, 0.0),
        carry_bps_per_day(view, 1),
        cost_bps_per_day(view, parameters),
        parameters.score_correlation_stdev * signals.correlation_daily_stdev.get(name, 0.0),
    )


def _score(terms: _Terms, side: int, parameters: StrategyParameters) -> tuple[float, float]:
    # The leg correlation and the score of one side.
    first, second, volatility, carry, cost, unsteady = terms
    sign = side * parameters.side
    rho = max(sign * first, sign * second)
    score = (
        -rho
        + parameters.score_volatility_correlation * (side * volatility)
        + (side * carry - cost) / parameters.score_carry_bps
        - unsteady
    )
    return rho, score


def _candidate(
    view: InstrumentView, side: int, terms: _Terms, parameters: StrategyParameters
) -> Candidate:
    rho, score = _score(terms, side, parameters)
    name = view.instrument.instrument_id
    return Candidate(instrument_id=name, side=side, leg_correlation=rho, score=score)
