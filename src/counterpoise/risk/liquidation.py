"""Distance to liquidation of the held book, from the formulas of `domain.margin`."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from counterpoise.domain.margin import MarginLeg, distance_worst, scale_to_distance
from counterpoise.risk.view import RiskView

_ZERO: Final = Decimal(0)


def margin_legs(view: RiskView, quantities: Mapping[str, Decimal]) -> tuple[MarginLeg, ...] | None:
    """Return the legs of `quantities` at their last marks.

    None if a leg's mark, volatility or margin tiers, or the core's volatility, is not known.
    """
    core = view.volatilities.get(view.core_id)
    if core is None or core <= 0:
        return None
    legs: list[MarginLeg] = []
    for instrument_id in sorted(quantities):
        quantity = quantities[instrument_id]
        if quantity == 0:
            continue
        mark = view.marks_last.get(instrument_id)
        volatility = view.volatilities.get(instrument_id)
        instrument = view.instruments.get(instrument_id)
        if mark is None or volatility is None or instrument is None or not instrument.tiers:
            return None
        legs.append(
            MarginLeg(
                notional=quantity * mark,
                volatility_ratio=volatility / core,
                tiers=instrument.tiers,
            )
        )
    return tuple(legs)


def distance(view: RiskView, quantities: Mapping[str, Decimal]) -> Decimal | None:
    """Return the smaller core-equivalent move to liquidation, a fraction; None = unknown."""
    legs = margin_legs(view, quantities)
    if legs is None or view.equity is None:
        return None
    return distance_worst(view.equity, legs)


def factor_for_distance(
    view: RiskView, quantities: Mapping[str, Decimal], target: Decimal
) -> Decimal | None:
    """Return the common factor in [0, 1] that brings the book to `target`; None = unknown."""
    legs = margin_legs(view, quantities)
    if legs is None or view.equity is None:
        return None
    return scale_to_distance(view.equity, legs, target)
