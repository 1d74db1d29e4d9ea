"""Margin arithmetic of linear perpetuals with cross margin (venues.md sections 1.3 to 1.5).

All figures are quote unless said otherwise.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Final

from counterpoise.domain.instruments import MarginTier

#: Leverage settings are told apart down to this.
LEVERAGE_STEP: Final = Decimal("0.01")
#: A mark is not looked for beyond this multiple of the last tier's start.
FAR_AWAY: Final = 1_000


def tier_number(tiers: Sequence[MarginTier], notional: Decimal) -> int:
    """Return which tier a notional falls in, the first is 1; an upper end belongs to its tier."""
    for number, tier in enumerate(tiers, 1):
        if tier.notional_max is None or notional <= tier.notional_max:
            return number
    return len(tiers)


def tier_of(tiers: Sequence[MarginTier], notional: Decimal) -> MarginTier:
    """Return the tier a notional falls in; its upper end belongs to it."""
    return tiers[tier_number(tiers, notional) - 1]


def leverage_max(tier: MarginTier) -> Decimal:
    """Return the highest leverage setting a tier allows."""
    return (1 / tier.initial_margin_fraction).quantize(LEVERAGE_STEP)


def with_deductions(tiers: Sequence[MarginTier]) -> tuple[MarginTier, ...]:
    """Return the tiers with the deductions that make maintenance margin continuous.

    deduction of a tier = that of the tier before + its floor x the rise of the fraction.
    """
    result: list[MarginTier] = []
    for tier in tiers:
        deduction = Decimal(0)
        if result:
            before = result[-1]
            rise = tier.maintenance_margin_fraction - before.maintenance_margin_fraction
            floor = before.notional_max
            assert floor is not None, "only the last tier has no end"
            deduction = before.maintenance_margin_deduction + floor * rise
        result.append(replace(tier, maintenance_margin_deduction=deduction))
    return tuple(result)


def margin_ratio(equity: Decimal, maintenance: Decimal, liquidation_fee: Decimal) -> Decimal | None:
    """Return equity over what it must cover, as OKX states it; 1 = liquidated, None = nothing."""
    needed = maintenance + liquidation_fee
    return equity / needed if needed else None


def initial_margin(
    tiers: Sequence[MarginTier], notional: Decimal, leverage_setting: Decimal
) -> Decimal:
    """Return notional / leverage setting, or the tier's fraction of it where that is more."""
    tier_margin = notional * tier_of(tiers, notional).initial_margin_fraction
    return max(notional / leverage_setting, tier_margin)


def maintenance_margin(tiers: Sequence[MarginTier], notional: Decimal) -> Decimal:
    """Return what a position needs to live: notional at its tier's fraction - the deduction."""
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


def liquidation_price_pair(
    tiers: Sequence[MarginTier],
    legs: Sequence[tuple[Decimal, Decimal]],
    equity_other: Decimal,
    mark: Decimal,
) -> Decimal | None:
    """Return the mark where a long and a short of one instrument are liquidated together.

    `legs` are (signed quantity, entry price). The mark moves against what they are net; where they
    are even, up, since the requirement grows. `equity_other` as in `liquidation_price`.
    """
    net = sum((quantity for quantity, _ in legs), Decimal(0))
    steps = {tier.notional_max / abs(q) for tier in tiers if tier.notional_max for q, _ in legs}
    if net > 0:
        stops = [mark, *sorted((each for each in steps if each < mark), reverse=True), Decimal(0)]
    else:
        stops = [mark, *sorted(each for each in steps if each > mark)]
        stops.append(stops[-1] * FAR_AWAY)
    for begin, end in pairwise(stops):
        within = [tier_of(tiers, abs(q) * (begin + end) / 2) for q, _ in legs]
        slope, height = net, equity_other - sum((q * entry for q, entry in legs), Decimal(0))
        for (quantity, _), tier in zip(legs, within, strict=True):
            slope -= abs(quantity) * tier.maintenance_margin_fraction
            height += tier.maintenance_margin_deduction
        if height + slope * begin <= 0:
            return begin
        if slope and min(begin, end) < -height / slope <= max(begin, end):
            return -height / slope
    return None
