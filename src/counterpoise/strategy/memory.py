"""What a decision remembers of those before it: explicit, small, stored beside each decision."""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Final


class Regime(StrEnum):
    """How violent the market is (section 2)."""

    CALM = "calm"
    ELEVATED = "elevated"
    STRESSED = "stressed"
    CASCADE = "cascade"

    @property
    def level(self) -> int:
        """0 for CALM to 3 for CASCADE."""
        return _LEVEL[self]


#: Regimes from calm to violent.
LEVELS: Final = (Regime.CALM, Regime.ELEVATED, Regime.STRESSED, Regime.CASCADE)

_LEVEL: Final = {regime: level for level, regime in enumerate(LEVELS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """State between decisions. Plain values only, so that any JSON codec carries it unchanged."""

    #: Policy that left it; None = none yet, or a version that knew only one.
    policy: str | None = None
    #: Core scale of the decision before; None = none yet.
    scale: float | None = None
    #: When it was set, ns; None = none yet.
    scale_ns: int | None = None
    #: Smallest core position, unsigned base units, that the decision before can have left; less
    #: is held only if something else cut it.
    core_quantity_floor: Decimal = Decimal(0)
    #: Wanted core, multiples of equity, when the book was last traded; None = never.
    core_fraction: float | None = None
    #: Correlation multiplier per leg at its last change.
    correlation_multiplier: dict[str, float] = field(default_factory=dict)
    #: Leg correlation at that change.
    correlation_seen: dict[str, float] = field(default_factory=dict)
    #: Cycles in a row a leg's correlation was at the closing threshold.
    close_counts: dict[str, int] = field(default_factory=dict)
    #: Legs closed by the correlation rule -> the side, +1 or -1, that is not eligible yet.
    closed: dict[str, int] = field(default_factory=dict)
    #: Legs that hold a place in the hedge, best first.
    incumbents: tuple[str, ...] = ()
    #: Side of each of them, +1 or -1.
    incumbent_sides: dict[str, int] = field(default_factory=dict)
    #: Cycles in a row a challenger beat the weakest incumbent, or an incumbent's other side it.
    challenger_counts: dict[str, int] = field(default_factory=dict)
    #: Legs whose profit was taken in this stress, sorted; they and the core wait for its end.
    profit_taken: tuple[str, ...] = ()
    #: Regime after the decision before.
    regime: Regime = Regime.CALM
    #: Calmer cycles in a row.
    calm_cycles: int = 0
    #: Cycles since a cascade was last seen, 0 = in that cycle; None = never.
    cycles_since_cascade: int | None = None
    #: NAV units; None = no equity seen yet.
    unit_count: Decimal | None = None
    #: Equity per unit, quote; None = no equity seen yet.
    unit_nav: Decimal | None = None
    #: Highest unit NAV since the start or the operator's last reset.
    nav_high_water: Decimal | None = None
    #: Deposits less withdrawals not turned into units yet, quote.
    transfers_pending: Decimal = Decimal(0)
    #: Equity at the decision before, quote.
    equity: Decimal | None = None
    #: Signed base units a policy set once; empty = none set.
    policy_quantities: dict[str, Decimal] = field(default_factory=dict)
    #: Smallest of each, unsigned, that the decision before can have left; less is held only if
    #: something else cut it.
    policy_floors: dict[str, Decimal] = field(default_factory=dict)

    @classmethod
    def first(cls) -> "Memory":
        """Return the memory of a strategy that never decided."""
        return cls()


def forget_high_water(memory: Memory) -> Memory:
    """Return `memory` with today's unit NAV as the high-water mark: the operator's command."""
    return replace(memory, nav_high_water=memory.unit_nav)
