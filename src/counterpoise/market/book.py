"""One order book: the venue's own text per level, and the best of each side without a sort."""

from collections.abc import Iterable
from decimal import Decimal
from heapq import nlargest
from math import inf
from typing import Final

from counterpoise.domain.events import Level
from counterpoise.domain.rounding import decimal_from_float
from counterpoise.domain.units import BPS_PER_ONE

#: Levels kept of one side after it has outgrown twice this many; the worst ones are forgotten.
LEVELS_PER_SIDE_MAX: Final = 1_000

_ZERO: Final = Decimal(0)


class OrderBook:
    """Bids and asks by price.

    Prices are parsed to float once, for ordering and identity ("1.10" replaces "1.1"); what is
    returned is always the text the venue wrote, or the exact Decimal of it. A float tells two
    prices of up to 15 significant digits apart, more than any venue quotes.
    """

    __slots__ = ("_asks", "_bids", "_quantity_unit")

    def __init__(self, quantity_unit: Decimal) -> None:
        """Start empty; `quantity_unit` is base units in one unit of a level's quantity."""
        assert quantity_unit > 0, "quantity_unit must be positive"
        self._quantity_unit = quantity_unit
        self._bids = _Side(1.0)
        self._asks = _Side(-1.0)

    def apply_snapshot(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """Replace everything. Raises ValueError as `apply_delta` does."""
        self._bids = _Side(1.0)
        self._asks = _Side(-1.0)
        self.apply_delta(bids, asks)

    def apply_delta(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """Set the given levels; a quantity of zero deletes one.

        Raises ValueError where a price is not a positive number or a quantity is not a number
        from zero up. The book is then half changed and must be dropped.
        """
        self._bids.apply(bids)
        self._asks.apply(asks)

    def best_bid(self) -> Decimal | None:
        """Return the highest bid, quote per base, exactly as written; None = empty side."""
        level = self._bids.best_level()
        return None if level is None else Decimal(level[0])

    def best_ask(self) -> Decimal | None:
        """Return the lowest ask, quote per base, exactly as written; None = empty side."""
        level = self._asks.best_level()
        return None if level is None else Decimal(level[0])

    @property
    def crossed(self) -> bool:
        """True = the best bid is not below the best ask; such a book contradicts itself."""
        bid, ask = self._bids.best_key(), self._asks.best_key()
        return bid is not None and ask is not None and bid >= -ask

    def levels(self, depth: int) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """Return up to `depth` bids and asks, best first, in the venue's own text."""
        return self._bids.top(depth), self._asks.top(depth)

    def depth_quote_within(self, bps: int) -> Decimal:
        """Return the quote notional within `bps` of mid on the thinner side.

        A statistic summed in float, exact to about 1e-13 of itself: summing hundreds of Decimals
        would hold up a view ten times as long. 0 where a side is empty or the book is crossed.
        """
        figures = self.depth_and_spread(bps)
        return _ZERO if figures is None else decimal_from_float(figures[0])

    def depth_and_spread(self, bps: int) -> tuple[float, float] | None:
        """Return the depth of `depth_quote_within` and (ask - bid) / mid.

        None = a side is empty or the book is crossed.
        """
        bid, ask_key = self._bids.best_key(), self._asks.best_key()
        if bid is None or ask_key is None or bid >= -ask_key:
            return None
        mid = (bid - ask_key) / 2.0
        reach = mid * bps / BPS_PER_ONE
        # A hair more, so that a level on the very edge is inside whatever the rounding.
        reach += mid * 1e-12
        depth = min(self._bids.notional(mid - reach), self._asks.notional(mid + reach))
        return depth * float(self._quantity_unit), (-ask_key - bid) / mid


class _Side:
    # Keys are sign x price, so that the best level of either side is the largest key. `best` is
    # None while it has to be looked for: after a deletion of the best, and on an empty side.
    __slots__ = ("best", "by_key", "sign")

    def __init__(self, sign: float) -> None:
        self.sign = sign
        self.by_key: dict[float, Level] = {}
        self.best: float | None = None

    def apply(self, changes: Iterable[Level]) -> None:
        by_key, sign, best = self.by_key, self.sign, self.best
        for level in changes:
            price_text, quantity_text = level
            price, quantity = float(price_text), float(quantity_text)
            # No NaN, infinity or negative number passes.
            if not (0.0 < price < inf and 0.0 <= quantity < inf):
                raise ValueError(f"level={level!r} is not a price and a quantity")
            key = sign * price
            if quantity:
                by_key[key] = level
                if best is not None and key > best:
                    best = key
            elif by_key.pop(key, None) is not None and key == best:
                best = None
        self.best = best
        if len(by_key) > 2 * LEVELS_PER_SIDE_MAX:
            self.by_key = {key: by_key[key] for key in nlargest(LEVELS_PER_SIDE_MAX, by_key)}

    def best_key(self) -> float | None:
        if self.best is None and self.by_key:
            self.best = max(self.by_key)
        return self.best

    def best_level(self) -> Level | None:
        key = self.best_key()
        return None if key is None else self.by_key[key]

    def top(self, depth: int) -> tuple[Level, ...]:
        by_key = self.by_key
        return tuple(by_key[key] for key in nlargest(depth, by_key))

    def notional(self, price: float) -> float:
        # Of the levels not worse than the given price, in order of price: the order they came in
        # must not show in the sum.
        bound, by_key = self.sign * price, self.by_key
        inside = [key for key in by_key if key >= bound]
        inside.sort()
        return self.sign * sum([key * float(by_key[key][1]) for key in inside])
