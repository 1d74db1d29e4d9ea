"""Margin arithmetic of a linear perpetual in net mode with cross margin, and funding.

Sources: venues.md sections 1.5 and 2. All figures are quote unless said otherwise.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from counterpoise.domain.instruments import MarginTier

#: Interest part of funding: 0.03 % a day.
INTEREST_PER_DAY: Final = Decimal("0.0003")
#: The interest part pulls the rate at most this far from the premium, fraction.
INTEREST_PULL_MAX: Final = Decimal("0.0005")
#: Grid of published funding rates.
FUNDING_RATE_STEP: Final = Decimal("0.0000000001")


def tier_of(tiers: Sequence[MarginTier], notional: Decimal) -> MarginTier:
    """Return the tier a notional falls in; its upper end belongs to it."""
    for tier in tiers:
        if tier.notional_max is None or notional <= tier.notional_max:
            return tier
    return tiers[-1]


def initial_margin(
    tiers: Sequence[MarginTier], notional: Decimal, leverage_setting: Decimal
) -> Decimal:
    """Return notional / leverage setting, or the tier's fraction of it where that is more."""
    tier_margin = notional * tier_of(tiers, notional).initial_margin_fraction
    return max(notional / leverage_setting, tier_margin)


def maintenance_margin(tiers: Sequence[MarginTier], notional: Decimal) -> Decimal:
    """Return what a position needs to live: the whole notional at its tier's fraction."""
    tier = tier_of(tiers, notional)
    return notional * tier.maintenance_margin_fraction - tier.maintenance_margin_deduction


def liquidation_price(
    tiers: Sequence[MarginTier],
    quantity: Decimal,
    entry_price: Decimal,
    equity_other: Decimal,
    mark: Decimal,
) -> Decimal | None:
    """Return the first mark, going against the position, where equity <= maintenance margin.

    `quantity` is signed; `equity_other` is wallet + unrealised PnL of the other positions - their
    maintenance margin. Tiers are walked from the mark on. Without deductions the requirement jumps
    where a tier begins, so a short may be liquidated at exactly that price. None = no positive one.
    """
    size = abs(quantity)
    floors = [Decimal(0), *(tier.notional_max or Decimal(0) for tier in tiers[:-1])]
    walk = list(zip(floors, tiers, strict=True))
    for floor, tier in walk if quantity < 0 else reversed(walk):
        slope = quantity - size * tier.maintenance_margin_fraction
        price = (quantity * entry_price - equity_other - tier.maintenance_margin_deduction) / slope
        ceiling = None if tier.notional_max is None else tier.notional_max / size
        if quantity < 0:
            price = max(price, floor / size, mark)
            if ceiling is None or price <= ceiling:
                return price
        else:
            price = min(price, mark if ceiling is None else min(mark, ceiling))
            if price > floor / size:
                return price
    return None


def funding_rate(premium_average: Decimal, interval_hours: int, rate_max: Decimal) -> Decimal:
    """Return the rate of an interval, fraction: premium, pulled toward interest, clamped."""
    interest = INTEREST_PER_DAY * interval_hours / 24
    pull = min(max(interest - premium_average, -INTEREST_PULL_MAX), INTEREST_PULL_MAX)
    rate = min(max(premium_average + pull, -rate_max), rate_max)
    return rate.quantize(FUNDING_RATE_STEP)


def funding_payment(quantity: Decimal, mark: Decimal, rate: Decimal) -> Decimal:
    """Return what a position (signed base units) receives: rate > 0 takes from longs."""
    return -quantity * mark * rate
