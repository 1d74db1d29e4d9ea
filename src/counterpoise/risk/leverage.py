"""Exposure and leverage at mark.

Leverage is a `Decimal` or None. None means "no finite number": equity is zero or less (infinite
leverage) or something is unknown. Both forbid an increase; `is_infinite` tells them apart, because
only the first obliges the guard to close.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from counterpoise.risk.view import RiskView

#: Largest size of a beta; the signals clip theirs to it.
BETA_MAX: Final = Decimal(3)
#: Legs without a beta add at most this part of what the legs with one come to. What one guesses of
#: them shrinks with the others then: it is never the reason to close a book that is within its
#: limits by far, and a reduction of the others always reaches its target.
UNKNOWN_BETA_SHARE_MAX: Final = Decimal("0.5")


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
    """Return the sum of quantity x last mark x beta, quote, at its worst.

    A leg without a beta counts with `BETA_MAX` in the direction that makes the sum larger, all of
    them together with at most `UNKNOWN_BETA_SHARE_MAX` of the other legs' sum. None if a held mark
    is missing, or if no beta is known at all: then nothing was sampled yet.
    """
    known, unknown = Decimal(0), Decimal(0)
    for instrument_id in sorted(view.quantities):
        quantity = view.quantities[instrument_id]
        if quantity == 0:
            continue
        mark, beta = view.marks_last.get(instrument_id), view.beta(instrument_id)
        if mark is None:
            return None
        if beta is None:
            unknown += abs(quantity) * mark
        else:
            known += quantity * mark * beta
    if unknown == 0:
        return known
    if not view.betas:
        return None
    added = min(BETA_MAX * unknown, UNKNOWN_BETA_SHARE_MAX * abs(known))
    return known + added if known > 0 else known - added


def leverage(gross: Decimal | None, equity: Decimal | None) -> Decimal | None:
    """Return gross / equity; None = infinite (equity <= 0) or unknown (an argument is None)."""
    if gross is None or equity is None or equity <= 0:
        return None
    return gross / equity


def is_infinite(gross: Decimal | None, equity: Decimal | None) -> bool:
    """Tell whether leverage is infinite: something is held and equity is zero or less."""
    return gross is not None and gross > 0 and equity is not None and equity <= 0
