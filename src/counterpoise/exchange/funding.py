"""Funding rates by each venue's formula, and what a position pays (venues.md 2)."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from counterpoise.exchange.rules import FundingFormula

#: Interest part of funding: 0.03 % a day.
INTEREST_PER_DAY: Final = Decimal("0.0003")
#: The interest part pulls the rate at most this far from the premium, fraction.
INTEREST_PULL_MAX: Final = Decimal("0.0005")
#: Grid of published funding rates.
FUNDING_RATE_STEP: Final = Decimal("0.0000000001")
#: The interval Binance's formula is stated for.
HOURS_NORMAL: Final = 8


def funding_rate(
    formula: FundingFormula, premium_average: Decimal, interval_hours: int, *,
    rate_max: Decimal, rate_min: Decimal | None = None,
) -> Decimal:  # fmt: skip
    """Return the rate of an interval, fraction: premium, pulled toward interest, cap and floor.

    OKX and Bybit take interest pro rata of the interval. Binance takes that of eight hours and
    divides the whole by 8 / hours. `rate_min` None = -`rate_max`.
    """
    divided = formula is FundingFormula.BINANCE
    hours = HOURS_NORMAL if divided else interval_hours
    interest = INTEREST_PER_DAY * hours / 24
    pull = min(max(interest - premium_average, -INTEREST_PULL_MAX), INTEREST_PULL_MAX)
    rate = premium_average + pull
    if divided:
        rate = rate * interval_hours / HOURS_NORMAL
    floor = -rate_max if rate_min is None else rate_min
    return min(max(rate, floor), rate_max).quantize(FUNDING_RATE_STEP)


@dataclass(slots=True, kw_only=True)
class PremiumAverage:
    """The average premium of an interval: its k-th minute counts k times."""

    #: Sum of k x premium.
    total: float = 0.0
    #: Minutes so far.
    minutes: int = 0

    def add(self, premium_now: float) -> None:
        """Take one more minute."""
        self.minutes += 1
        self.total += self.minutes * premium_now

    @property
    def weight(self) -> int:
        """1 + 2 + ... + minutes."""
        return self.minutes * (self.minutes + 1) // 2

    @property
    def value(self) -> float:
        """Fraction; 0 before the first minute."""
        return self.total / self.weight if self.minutes else 0.0


def premium(bid: float, ask: float, index: float) -> float:
    """Return the premium of a book over its index, fraction; inside the spread it is 0."""
    return (max(0.0, bid - index) - max(0.0, index - ask)) / index


def funding_payment(quantity: Decimal, mark: Decimal, rate: Decimal) -> Decimal:
    """Return what a position (signed base units) receives: rate > 0 takes from longs."""
    return -quantity * mark * rate
