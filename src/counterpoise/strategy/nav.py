"""Unit NAV: transfers buy or sell units, so they never look like profit or drawdown."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from counterpoise.domain.rounding import float_from_decimal
from counterpoise.strategy.memory import Memory

_ONE: Final = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitNav:
    """The account per unit."""

    #: Units outstanding.
    unit_count: Decimal
    #: Equity per unit, quote; the first unit costs 1.
    unit_nav: Decimal
    #: Highest unit NAV so far.
    nav_high_water: Decimal
    #: 1 - NAV / high water, a fraction from 0 to 1.
    drawdown: float


def advance(
    memory: Memory, equity: Decimal, transfers: Decimal, *, marks_trusted: bool = True
) -> UnitNav:
    """Return the unit NAV now.

    `equity` is positive and includes `transfers` (deposits less withdrawals since the decision
    before, quote), which trade units at the NAV without them. Where that NAV is not positive (a
    deposit into an empty account) units start anew at 1 and the high-water mark with them. Unless
    `marks_trusted`, a NAV sets no new high-water mark: one wrong mark would hold the book down.
    """
    if memory.unit_count is None or memory.unit_nav is None or memory.unit_count <= 0:
        return UnitNav(unit_count=equity, unit_nav=_ONE, nav_high_water=_ONE, drawdown=0.0)
    before = (equity - transfers) / memory.unit_count
    if before <= 0:
        return UnitNav(unit_count=equity, unit_nav=_ONE, nav_high_water=_ONE, drawdown=0.0)
    units = memory.unit_count if transfers == 0 else equity / before
    high = memory.nav_high_water or before
    if marks_trusted:
        high = max(high, before)
    drawdown = max(float_from_decimal(_ONE - before / high), 0.0)
    return UnitNav(unit_count=units, unit_nav=before, nav_high_water=high, drawdown=drawdown)
