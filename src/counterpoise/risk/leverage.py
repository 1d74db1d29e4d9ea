"""Exposure and leverage at mark.

Leverage is a `Decimal` or None. None means "no finite number": equity is zero or less (infinite
leverage) or something is unknown. Both forbid an increase; `is_infinite` tells them apart, because
only the first obliges the guard to close.
"""

from collections.abc import Mapping
from decimal import Decimal

from counterpoise.risk.view import RiskView


def gross_exposure(
    quantities: Mapping[str, Decimal], marks: Mapping[str, Decimal]
) -> Decimal | None:
    """Return the sum of abs(quantity) x mark, quote; None if a held instrument has no mark."""
    total = Decimal(0)
    for instrument_id in sorted(quantities):
        quantity = quantities[instrument_id]
        if quantity == 0:
            continue
        mark = marks.get(instrument_id)
        if mark is None:
            return None
        total += abs(quantity) * mark
    return total


def net_exposure(quantities: Mapping[str, Decimal], marks: Mapping[str, Decimal]) -> Decimal | None:
    """Return the sum of quantity x mark, quote, + long; None if a held mark is missing."""
    total = Decimal(0)
    for instrument_id in sorted(quantities):
        quantity = quantities[instrument_id]
        if quantity == 0:
            continue
        mark = marks.get(instrument_id)
        if mark is None:
            return None
        total += quantity * mark
    return total


def net_beta_exposure(view: RiskView) -> Decimal | None:
    """Return the sum of quantity x last mark x beta, quote; None if a mark or beta is missing."""
    total = Decimal(0)
    for instrument_id in sorted(view.quantities):
        quantity = view.quantities[instrument_id]
        if quantity == 0:
            continue
        mark, beta = view.marks_last.get(instrument_id), view.beta(instrument_id)
        if mark is None or beta is None:
            return None
        total += quantity * mark * beta
    return total


def leverage(gross: Decimal | None, equity: Decimal | None) -> Decimal | None:
    """Return gross / equity; None = infinite (equity <= 0) or unknown (an argument is None)."""
    if gross is None or equity is None or equity <= 0:
        return None
    return gross / equity


def is_infinite(gross: Decimal | None, equity: Decimal | None) -> bool:
    """Tell whether leverage is infinite: something is held and equity is zero or less."""
    return gross is not None and gross > 0 and equity is not None and equity <= 0
