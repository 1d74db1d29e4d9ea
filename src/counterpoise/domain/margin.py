"""Maintenance margin and the distance to liquidation under joint shocks. Pure Decimal.

A joint shock of size x moves the core by the fraction x and every leg j by x * sigma_j / sigma_core
times a weight, each against its own side:

* correlation -1: every weight is 1, all legs lose at once;
* correlation 0: the weight is the leg's share of the root-sum-square of the legs' losses, which is
  the worst direction of independent moves; the total loss is that root-sum-square.

Liquidation is where equity less losses equals the maintenance margin of the moved positions. Both
are piecewise linear in x, so the distance is found exactly, piece by piece.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Final

from counterpoise.domain.instruments import MarginTier

#: Distances are looked for up to this fraction; one beyond is reported as this.
DISTANCE_MAX: Final = Decimal(2)

#: Halvings of the interval when a scale is searched: 2^-30 is finer than any lot.
SCALE_STEPS: Final = 30

_ZERO: Final = Decimal(0)
_ONE: Final = Decimal(1)


class JointMove(Enum):
    """How the legs move together in a shock."""

    #: Every leg against us at once (correlation -1 of the PnLs' signs).
    TOGETHER = "together"
    #: Independent moves: losses add as root-sum-square (correlation 0).
    INDEPENDENT = "independent"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginLeg:
    """One position as margin sees it."""

    #: Signed notional at mark, quote, + long.
    notional: Decimal
    #: Volatility over the core's volatility.
    volatility_ratio: Decimal
    #: Margin tiers, smallest first; not empty.
    tiers: tuple[MarginTier, ...]


def maintenance_margin(notional: Decimal, tiers: Sequence[MarginTier]) -> Decimal:
    """Return the quote amount to keep for a position of `notional` (unsigned, quote).

    notional x fraction - deduction of the tier it falls in (Binance `cum`, Bybit `mmDeduction`;
    OKX has none). Beyond the last tier its fraction goes on. Raises ValueError without tiers.
    """
    tier = _tier(notional, tiers)
    return max(
        notional * tier.maintenance_margin_fraction - tier.maintenance_margin_deduction, _ZERO
    )


def liquidation_distance(equity: Decimal, legs: Sequence[MarginLeg], move: JointMove) -> Decimal:
    """Return the core-equivalent move, a fraction, at which equity equals maintenance margin.

    0 if it already is there, `DISTANCE_MAX` if it is not reached within that. Raises ValueError
    if a leg has no tiers.
    """
    rates = _rates(legs, move)
    if _excess(equity, legs, rates, _ZERO) <= 0:
        return _ZERO
    ends = _breakpoints(legs, rates)
    start = _ZERO
    for end in ends:
        crossing = _crossing(equity, legs, rates, start, end)
        if crossing is not None:
            return crossing
        start = end
    return DISTANCE_MAX


def survives(
    equity: Decimal, legs: Sequence[MarginLeg], move: JointMove, distance: Decimal
) -> bool:
    """Tell whether equity stays above maintenance margin through moves up to `distance`."""
    return liquidation_distance(equity, legs, move) >= min(distance, DISTANCE_MAX)


def scale_to_distance(equity: Decimal, legs: Sequence[MarginLeg], distance: Decimal) -> Decimal:
    """Return the largest common factor in [0, 1] at which both joint moves keep `distance`.

    Found by bisection of fixed length, rounded down, so that the same inputs give the same answer.
    0 if equity is not positive.
    """
    if equity <= 0:
        return _ZERO
    if _both_survive(equity, legs, distance):
        return _ONE
    low, high = _ZERO, _ONE
    for _ in range(SCALE_STEPS):
        middle = (low + high) / 2
        if _both_survive(equity, _scaled(legs, middle), distance):
            low = middle
        else:
            high = middle
    return low


def distance_worst(equity: Decimal, legs: Sequence[MarginLeg]) -> Decimal:
    """Return the smaller of the distances under both joint moves."""
    return min(liquidation_distance(equity, legs, move) for move in JointMove)


def _both_survive(equity: Decimal, legs: Sequence[MarginLeg], distance: Decimal) -> bool:
    return all(survives(equity, legs, move, distance) for move in JointMove)


def _scaled(legs: Sequence[MarginLeg], factor: Decimal) -> tuple[MarginLeg, ...]:
    return tuple(
        MarginLeg(
            notional=leg.notional * factor,
            volatility_ratio=leg.volatility_ratio,
            tiers=leg.tiers,
        )
        for leg in legs
    )


def _tier(notional: Decimal, tiers: Sequence[MarginTier]) -> MarginTier:
    if not tiers:
        raise ValueError("tiers=(): allowed is at least one margin tier")
    for tier in tiers:
        if tier.notional_max is None or notional <= tier.notional_max:
            return tier
    return tiers[-1]


def _rates(legs: Sequence[MarginLeg], move: JointMove) -> tuple[Decimal, ...]:
    # How far each leg moves against us per unit of core-equivalent move.
    losses = [abs(leg.notional) * leg.volatility_ratio for leg in legs]
    if move is JointMove.TOGETHER:
        return tuple(leg.volatility_ratio for leg in legs)
    total = sum((loss * loss for loss in losses), _ZERO).sqrt()
    if total == 0:
        return tuple(_ZERO for _ in legs)
    return tuple(
        leg.volatility_ratio * loss / total for leg, loss in zip(legs, losses, strict=True)
    )


def _moved(leg: MarginLeg, fraction: Decimal) -> Decimal:
    # Unsigned notional after a move against us; no price falls below zero.
    size = abs(leg.notional)
    return size * max(_ONE - fraction, _ZERO) if leg.notional > 0 else size * (_ONE + fraction)


def _loss(leg: MarginLeg, fraction: Decimal) -> Decimal:
    size = abs(leg.notional)
    return size * min(fraction, _ONE) if leg.notional > 0 else size * fraction


def _excess(
    equity: Decimal, legs: Sequence[MarginLeg], rates: Sequence[Decimal], distance: Decimal
) -> Decimal:
    left = equity
    for leg, rate in zip(legs, rates, strict=True):
        fraction = rate * distance
        left -= _loss(leg, fraction) + maintenance_margin(_moved(leg, fraction), leg.tiers)
    return left


def _breakpoints(legs: Sequence[MarginLeg], rates: Sequence[Decimal]) -> list[Decimal]:
    # Where a leg enters another tier or a long leg's price reaches zero: between two of them
    # everything is linear.
    points = {DISTANCE_MAX}
    for leg, rate in zip(legs, rates, strict=True):
        if rate == 0 or leg.notional == 0:
            continue
        size, sign = abs(leg.notional), 1 if leg.notional > 0 else -1
        bounds = [tier.notional_max for tier in leg.tiers if tier.notional_max is not None]
        fractions = [sign * (_ONE - bound / size) for bound in bounds]
        if sign > 0:
            fractions.append(_ONE)
        points.update(
            fraction / rate for fraction in fractions if 0 < fraction / rate < DISTANCE_MAX
        )
    return sorted(points)


def _crossing(
    equity: Decimal,
    legs: Sequence[MarginLeg],
    rates: Sequence[Decimal],
    start: Decimal,
    end: Decimal,
) -> Decimal | None:
    # Two inner points give the line of this piece without touching the jumps at its ends.
    third = (end - start) / 3
    first, second = start + third, end - third
    low = _excess(equity, legs, rates, first)
    slope = (_excess(equity, legs, rates, second) - low) / third
    at_start = low - slope * third
    if at_start <= 0:
        return start
    if slope >= 0:
        return None
    crossing = start - at_start / slope
    return crossing if crossing <= end else None
