"""Distance to liquidation of the held book, from the formulas of `domain.margin`.

A leg whose volatility or margin tiers are not known counts at its worst: no leg takes the figure
of the whole book away. As that is a guess, it takes at most a part of the distance which the same
book has if that leg does not move; what it may do is never the reason to close all the others.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from counterpoise.domain.instruments import MarginTier
from counterpoise.domain.margin import (
    SCALE_STEPS,
    MarginLeg,
    distance_worst,
    scale_to_distance,
)
from counterpoise.risk.view import RiskView

_ZERO: Final = Decimal(0)
_ONE: Final = Decimal(1)

#: Volatility over the core's of a leg that has none known, if no known one is larger.
UNKNOWN_RATIO: Final = Decimal(3)
#: Maintenance margin of a leg without rules, a fraction, if none known is larger.
UNKNOWN_MARGIN_FRACTION: Final = Decimal("0.1")
#: Part of the distance that stays in any case, whatever unknown legs may do.
KNOWN_SHARE_MIN: Final = Decimal("0.65")


def is_known(view: RiskView, instrument_id: str) -> bool:
    """Tell whether a leg's volatility and margin tiers are known."""
    instrument = view.instruments.get(instrument_id)
    ruled = instrument is not None and bool(instrument.tiers)
    return ruled and volatility_ratio(view, instrument_id) is not None


def margin_legs(
    view: RiskView, quantities: Mapping[str, Decimal], *, still: bool = False
) -> dict[str, MarginLeg] | None:
    """Return the legs of `quantities` by instrument at their last marks.

    What is not known of a leg is at its worst, or, with `still`, as if the leg did not move and
    needed no margin. Without the core's volatility no leg has one, and each counts as the core.
    None if a held mark is not known.
    """
    legs: dict[str, MarginLeg] = {}
    for name in sorted(quantities):
        if quantities[name] == 0:
            continue
        mark, instrument = view.marks_last.get(name), view.instruments.get(name)
        if mark is None:
            return None
        ratio = volatility_ratio(view, name)
        if ratio is None:
            ratio = _ZERO if still else _ratio_worst(view)
        tiers = instrument.tiers if instrument is not None else ()
        legs[name] = MarginLeg(
            notional=quantities[name] * mark,
            volatility_ratio=ratio,
            tiers=tiers or (_tier(_ZERO if still else _margin_worst(view)),),
        )
    return legs


def volatility_ratio(view: RiskView, instrument_id: str) -> Decimal | None:
    """Return a leg's volatility over the core's; None = only its own is not known."""
    core, own = view.volatilities.get(view.core_id), view.volatilities.get(instrument_id)
    if instrument_id == view.core_id or core is None or core <= 0:
        return _ONE
    return own / core if own is not None and own > 0 else None


def distance(view: RiskView, quantities: Mapping[str, Decimal]) -> Decimal | None:
    """Return the smaller core-equivalent move to liquidation, a fraction; None = unknown.

    Unknown are equity, a held mark or the core's volatility.
    """
    core = view.volatilities.get(view.core_id)
    legs = margin_legs(view, quantities)
    if legs is None or view.equity is None or core is None or core <= 0:
        return None
    found = distance_worst(view.equity, tuple(legs.values()))
    if all(is_known(view, name) for name in legs):
        return found
    still = margin_legs(view, quantities, still=True)
    assert still is not None, "the same marks"
    return max(found, KNOWN_SHARE_MIN * distance_worst(view.equity, tuple(still.values())))


def factor_for_distance(
    view: RiskView, quantities: Mapping[str, Decimal], target: Decimal
) -> Decimal | None:
    """Return the part in [0, 1] of the gross exposure that brings the book to `target`.

    Only legs that are traded here shrink, all by one factor; the others are a constant. 0 closes
    the traded ones where even that is not enough. None = unknown, as `distance`.
    """
    legs = margin_legs(view, quantities)
    if legs is None or view.equity is None or distance(view, quantities) is None:
        return None
    traded = {n for n in legs if n in view.instruments and n not in view.unmanaged}
    if traded == legs.keys() and all(is_known(view, name) for name in legs):
        return scale_to_distance(view.equity, tuple(legs.values()), target)
    factor = _factor_of(view, quantities, traded, target)
    gross = sum((abs(leg.notional) for leg in legs.values()), _ZERO)
    own = sum((abs(leg.notional) for name, leg in legs.items() if name in traded), _ZERO)
    return _ONE - (_ONE - factor) * own / gross if own > 0 else _ONE


def _factor_of(
    view: RiskView, quantities: Mapping[str, Decimal], traded: set[str], target: Decimal
) -> Decimal:
    # The same bisection of fixed length as `scale_to_distance`, of the traded legs alone.
    def keeps(factor: Decimal) -> bool:
        scaled = {n: q * factor if n in traded else q for n, q in quantities.items()}
        found = distance(view, scaled)
        return found is not None and found >= target

    if keeps(_ONE):
        return _ONE
    low, high = _ZERO, _ONE
    for _ in range(SCALE_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if keeps(middle) else (low, middle)
    return low


def _ratio_worst(view: RiskView) -> Decimal:
    known = (volatility_ratio(view, name) for name in sorted(view.volatilities))
    return max([UNKNOWN_RATIO, *(ratio for ratio in known if ratio is not None)])


def _margin_worst(view: RiskView) -> Decimal:
    # Of first tiers: the last ones are for positions far larger than this book can hold.
    firsts = [rules.tiers[0] for rules in view.instruments.values() if rules.tiers]
    asked = [tier.maintenance_margin_fraction for tier in firsts]
    return max([UNKNOWN_MARGIN_FRACTION, *asked])


def _tier(fraction: Decimal) -> MarginTier:
    return MarginTier(
        notional_max=None,
        maintenance_margin_fraction=fraction,
        initial_margin_fraction=fraction,
    )
