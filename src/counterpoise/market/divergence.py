"""How far a mark lies from the book: a mark that stands still, or is wrong, shows there first."""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

#: Farthest a mark may lie outside its own book's spread, a fraction. Leverage and NAV are figured
#: at marks: beyond this nobody knows them. In a crash contracts do trade some per cent under theirs.
MARK_DIVERGENCE_MAX: Final = Decimal("0.02")

#: Divergences are told to this, a fraction.
DIVERGENCE_STEP: Final = Decimal("0.0001")

_ZERO: Final = Decimal(0)


def divergence(mark: Decimal, bid: Decimal, ask: Decimal) -> Decimal:
    """Return how far a mark lies above the best ask or below the best bid, of the higher one.

    A fraction from 0 to 1; 0 = it lies inside the spread, however wide: a thin book says nothing
    against a mark. All three are positive.
    """
    beyond = _ZERO
    if mark > ask:
        beyond = 1 - ask / mark
    elif mark < bid:
        beyond = 1 - mark / bid
    return beyond.quantize(DIVERGENCE_STEP, ROUND_HALF_EVEN)
