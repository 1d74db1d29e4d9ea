"""Limits on the whole book: each scales all legs by one factor, so the hedge ratio stays (5).

Legs are signed multiples of equity.
"""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal

from counterpoise.domain.instruments import MarginTier
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


def surely_distant(
    legs: Mapping[str, float],
    equity: Decimal,
    market: MarketView,
    signals: SignalsView,
    parameters: StrategyParameters,
    limit: float,
) -> bool:
    """Tell, at a fraction of the exact cost, whether liquidation is certainly beyond `limit`.

    Every leg at its loss after `limit` together, and at the largest maintenance margin of its way
    there, still leaves a thousandth of equity: then both exact distances are beyond `limit` too.
    False says nothing.
    """
    volatilities = signals.volatility_covariance
    core = volatilities.get(parameters.core_instrument, 0.0)
    if core <= 0.0:
        return False
    worth = float_from_decimal(equity)
    left = 0.999
    for name, leg in legs.items():
        view, volatility = market.instruments.get(name), volatilities.get(name)
        if view is None or volatility is None or not view.instrument.tiers:
            return False
        moved = volatility / core * limit
        largest = abs(leg) if leg > 0.0 else -leg * (1.0 + moved)
        left -= abs(leg) * (min(moved, 1.0) if leg > 0.0 else moved)
        left -= largest * _margin_fraction(largest * worth, view.instrument.tiers)
    return left > 0.0


def _margin_fraction(notional: float, tiers: Sequence[MarginTier]) -> float:
    # The largest fraction of the tiers up to the one of `notional`, and of the next in doubt.
    fraction = tiers[0].maintenance_margin_fraction
    for tier in tiers:
        fraction = max(fraction, tier.maintenance_margin_fraction)
        if tier.notional_max is None or notional < 0.999 * float_from_decimal(tier.notional_max):
            break
    return float_from_decimal(fraction)


def liquidation_distance(legs: tuple[MarginLeg, ...], equity: Decimal) -> float:
    """Return the smaller distance of both joint shocks, a fraction; `legs` in quote."""
    return float_from_decimal(distance_worst(equity, legs))


def distance_factor(legs: tuple[MarginLeg, ...], equity: Decimal, limit: float) -> float:
    """Return the factor that brings the book to `limit`, at most 1; `legs` in quote."""
    return float_from_decimal(scale_to_distance(equity, legs, decimal_from_float(limit)))
