"""Limits on the whole book: each scales all legs by one factor, so the hedge ratio stays (5).

Legs are signed multiples of equity.
"""

from collections.abc import Collection, Mapping
from decimal import Decimal

from counterpoise.domain.margin import MarginLeg, distance_worst, scale_to_distance
from counterpoise.domain.rounding import decimal_from_float, float_from_decimal
from counterpoise.market.view import MarketView
from counterpoise.signals.view import SignalsView
from counterpoise.strategy.hedge import offset
from counterpoise.strategy.numbers import gross, sign
from counterpoise.strategy.parameters import StrategyParameters
from counterpoise.strategy.scale import daily


def credited_net(
    legs: Mapping[str, float],
    betas: Mapping[str, float],
    uncredited: Collection[str],
    parameters: StrategyParameters,
) -> float:
    """Return abs(core) less what the hedges' offset counts for, a multiple of equity.

    At most `hedge_credit_max` of the offset counts, of at most the core itself; a leg in
    `uncredited` (stale data, its book in CASCADE) counts nothing. Cross-coin hedges remove 30 to
    50 % of variance (venues.md section 8), so a full offset is not a full hedge.
    """
    core = legs.get(parameters.core_instrument, 0.0)
    hedges = {
        name: leg
        for name, leg in legs.items()
        if name != parameters.core_instrument and name not in uncredited
    }
    offsets = max(offset(hedges, betas, sign(core)), 0.0)
    return abs(core) - parameters.hedge_credit_max * min(offsets, abs(core))


def unhedged_factor(net: float, parameters: StrategyParameters) -> float:
    """Return the factor that brings the credited net exposure to the unhedged limit, at most 1."""
    return min(parameters.core_unhedged_max / net, 1.0) if net > 0.0 else 1.0


def soft_factor(legs: Mapping[str, float], parameters: StrategyParameters) -> float:
    """Return the factor that brings gross exposure to the soft limit, at most 1."""
    if not parameters.on("leverage_soft"):
        return 1.0
    now = gross(legs)
    return min(parameters.leverage_soft / now, 1.0) if now > 0.0 else 1.0


def distance_limit(volatility_annual: float, parameters: StrategyParameters) -> float:
    """Return the smallest allowed move to liquidation: the larger of 25 % and 5 daily sigmas."""
    sigmas = parameters.liquidation_sigmas_min * daily(volatility_annual)
    return max(parameters.liquidation_distance_min, sigmas)


def margin_legs(
    legs: Mapping[str, float],
    equity: Decimal,
    market: MarketView,
    signals: SignalsView,
    parameters: StrategyParameters,
) -> tuple[MarginLeg, ...] | None:
    """Return the legs as quote notionals for `domain.margin`.

    None if a leg's volatility or margin tiers, or the core's volatility, is unknown.
    """
    core = signals.volatility_covariance.get(parameters.core_instrument, 0.0)
    if core <= 0.0:
        return None
    result: list[MarginLeg] = []
    for name in sorted(legs):
        if legs[name] == 0.0:
            continue
        view = market.instruments.get(name)
        volatility = signals.volatility_covariance.get(name)
        if view is None or not view.instrument.tiers or volatility is None:
            return None
        result.append(
            MarginLeg(
                notional=decimal_from_float(legs[name]) * equity,
                volatility_ratio=decimal_from_float(volatility / core),
                tiers=view.instrument.tiers,
            )
        )
    return tuple(result)


def liquidation_distance(legs: tuple[MarginLeg, ...], equity: Decimal) -> float:
    """Return the smaller distance of both joint shocks, a fraction; `legs` in quote."""
    return float_from_decimal(distance_worst(equity, legs))


def distance_factor(legs: tuple[MarginLeg, ...], equity: Decimal, limit: float) -> float:
    """Return the factor that brings the book to `limit`, at most 1; `legs` in quote."""
    return float_from_decimal(scale_to_distance(equity, legs, decimal_from_float(limit)))
