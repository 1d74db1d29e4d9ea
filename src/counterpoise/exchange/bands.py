"""How far a price may go on its aggressive side, by each venue's formula (venues.md 3.1)."""

from dataclasses import dataclass
from decimal import Decimal

from counterpoise.domain.orders import Side
from counterpoise.domain.rounding import quantize_down, quantize_up
from counterpoise.exchange.rules import BandFormula, BandRule


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceBand:
    """The most aggressive prices of both sides, quote per base, not on any grid."""

    #: Highest price of a buy.
    buy_max: Decimal
    #: Lowest price of a sell.
    sell_min: Decimal

    def bound(self, side: Side) -> Decimal:
        """Return the most aggressive price a side may name."""
        return self.buy_max if side is Side.BUY else self.sell_min

    def holds(self, side: Side, price: Decimal) -> bool:
        """True if a side may name the price."""
        return side.sign * price <= side.sign * self.bound(side)

    def inside(self, side: Side, tick_size: Decimal) -> Decimal:
        """Return the most aggressive price a side may name, on the grid."""
        inward = quantize_down if side is Side.BUY else quantize_up
        return inward(self.bound(side), tick_size)


def price_band(rule: BandRule, *, mark: Decimal, index: Decimal, premium: Decimal) -> PriceBand:
    """Return the band now; `premium` is the average of mid - index, quote per base."""
    near, far = rule.near_fraction, rule.far_fraction
    if rule.formula is BandFormula.OKX:
        return PriceBand(
            buy_max=min(max(index, index * (1 + near) + premium), index * (1 + far)),
            sell_min=max(min(index, index * (1 - near) + premium), index * (1 - far)),
        )
    if rule.formula is BandFormula.BYBIT:
        up, down = max(premium, Decimal(0)), min(premium, Decimal(0))
        return PriceBand(
            buy_max=min(mark * (1 + far), max(index, mark * (1 + near) + up)),
            sell_min=max(mark * (1 - far), min(index, mark * (1 - near) + down)),
        )
    return PriceBand(buy_max=mark * (1 + near), sell_min=mark * (1 - near))
