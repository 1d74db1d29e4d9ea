"""Arithmetic of taking positions away: bankruptcy prices and how much a step closes.

Sources: venues.md sections 1.3 to 1.5.
"""

from collections.abc import Sequence
from decimal import Decimal

from counterpoise.domain.instruments import MarginTier
from counterpoise.domain.rounding import quantize_up
from counterpoise.exchange import margin
from counterpoise.exchange.rules import LiquidationRule


def bankruptcy_price(quantity: Decimal, mark: Decimal, equity: Decimal) -> Decimal:
    """Return the price at which closing a position (signed) leaves an account of `equity` nothing.

    Beyond the mark, on the losing side, while equity is positive; may be negative for a long.
    """
    return mark - equity / quantity


def isolated_liquidation_price(
    quantity: Decimal, entry_price: Decimal, initial: Decimal, maintenance: Decimal, extra: Decimal
) -> Decimal:
    """Return Bybit's isolated liquidation price, margins taken at entry (its older formula).

    `quantity` is signed; `extra` is margin added to the initial one, < 0 taken by funding.
    """
    return entry_price - (initial - maintenance + extra) / quantity


def step_quantity(
    rule: LiquidationRule,
    tiers: Sequence[MarginTier],
    quantity: Decimal,
    mark: Decimal,
    lot_size: Decimal,
) -> Decimal:
    """Return the base units (unsigned, on the lot grid) one step closes of a position (signed).

    A position in a gradual tier shrinks until it fits the tier `tiers_per_step` lower; one that
    has none so low, or is not in a gradual tier, closes whole.
    """
    size = abs(quantity)
    number = margin.tier_number(tiers, size * mark)
    if rule.tiers_per_step is None or number < rule.tier_gradual_min:
        return size
    target = number - rule.tiers_per_step
    if target < 1:
        return size
    ceiling = tiers[target - 1].notional_max
    assert ceiling is not None, "only the last tier has no end"
    return min(size, quantize_up(size - ceiling / mark, lot_size))
