"""Hedge candidates for a core, best first, by the strategy's own score (docs/strategy.md).

Nothing is figured here that the strategy does not figure: a candidate's terms come from
`strategy.candidates`, and who would be held from `strategy.selection`.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

from counterpoise.market.view import MarketView
from counterpoise.signals.view import SignalsView
from counterpoise.strategy import candidates, selection
from counterpoise.strategy.memory import Memory
from counterpoise.strategy.parameters import StrategyParameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """One candidate. None = not known; what is not known counts 0 in the score."""

    #: 1 = best; None = it cannot be scored.
    rank: int | None
    instrument_id: str
    #: "long" or "short": the better side for a hedge.
    side: str | None
    #: The strategy's score, the higher the better.
    score: float | None
    #: True = a first decision would hold it.
    chosen: bool
    #: Why it may not enter the hedge now; "" = it may.
    refused: str
    #: Correlation of the leg's PnL with the core's, the worse of fast and medium.
    leg_correlation: float | None
    #: Correlation of the leg with the change of the core's volatility, on its side.
    volatility_correlation: float | None
    #: Standard deviation of the daily correlation to the core over 7 days.
    correlation_daily_stdev: float | None
    #: Slope on the core's return.
    beta: float | None
    #: Annualised fraction, the mean of medium and slow.
    volatility_annual: float | None
    #: Expected funding for the side, bps a day, + received.
    carry_bps_per_day: float | None
    #: A round trip's cost over the expected stay, bps a day.
    cost_bps_per_day: float | None
    #: (ask - bid) / mid, bps.
    spread_bps: float | None
    #: Quote notional within 25 bps of mid, the thinner side.
    depth_quote: Decimal | None
    #: Quote notional traded in 24 h.
    volume_quote: float | None
    #: Notional of the smallest order, quote.
    order_min: Decimal | None
    #: Days of history behind it.
    history_days: float


def rank(market: MarketView, signals: SignalsView, parameters: StrategyParameters) -> list[Ranked]:
    """Return every candidate, the best first, those that cannot be scored last."""
    nothing = selection.Closings(closed={}, close_counts={}, closed_now=(), reasons=())
    picked = selection.choose(Memory.first(), nothing, (), market, signals, parameters)
    chosen = {item.instrument_id for item in picked.chosen}
    rows = [
        _row(name, name in chosen, market, signals, parameters)
        for name in parameters.hedge_candidates
    ]
    scored = [row for row in rows if row.score is not None]
    # Equal scores keep the configured order, as in the strategy's own ranking.
    scored.sort(key=lambda row: -(row.score or 0.0))
    ordered = [replace(row, rank=place) for place, row in enumerate(scored, start=1)]
    return ordered + [row for row in rows if row.score is None]


def _row(
    name: str,
    chosen: bool,  # noqa: FBT001 - a fact of the row
    market: MarketView,
    signals: SignalsView,
    parameters: StrategyParameters,
) -> Ranked:
    view = market.instruments.get(name)
    refused = candidates.entry_refused(name, market, signals, parameters)
    sizable = not candidates.signals_missing(name, market, signals, parameters)
    best = candidates.best_side(view, None, signals, parameters) if view and sizable else None
    mark = None if view is None else view.mark
    moved = signals.volatility_correlation.get(name)
    half = None if view is None or view.bid is None else candidates.half_spread_bps(view)
    return Ranked(
        rank=None,
        instrument_id=name,
        side=None if best is None else "long" if best.side > 0 else "short",
        score=None if best is None else best.score,
        chosen=chosen,
        refused=refused,
        leg_correlation=None if best is None else best.leg_correlation,
        volatility_correlation=None if best is None or moved is None else best.side * moved,
        correlation_daily_stdev=signals.correlation_daily_stdev.get(name),
        beta=signals.beta.get(name),
        volatility_annual=signals.volatility_covariance.get(name),
        carry_bps_per_day=(
            None
            if view is None or best is None or view.funding_rate is None
            else candidates.carry_bps_per_day(view, best.side)
        ),
        cost_bps_per_day=None if view is None else candidates.cost_bps_per_day(view, parameters),
        spread_bps=None if half is None else 2.0 * half,
        depth_quote=None if view is None else view.depth_quote,
        volume_quote=None if view is None else view.volume_quote,
        order_min=None
        if view is None or mark is None
        else view.instrument.order_notional_min(mark),
        history_days=signals.history_days.get(name, 0.0),
    )
