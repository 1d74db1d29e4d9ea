"""Cash that nothing explains is nobody's profit: until a bill says what it was, it is a transfer.

A deposit or withdrawal is in the balance before its bill is listed, on some venues by minutes. Taken
as profit it would be drawdown once the bill comes, and hold the book down for good; taken as a loss
it would sell most of the book for nothing.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from counterpoise.domain.units import NS_PER_SECOND

#: A bill is waited for this long, ns; it is asked for a quarter of an hour back.
SUPPOSED_NS_MAX: Final = 1_200 * NS_PER_SECOND

ZERO: Final = Decimal(0)


@dataclass(slots=True, kw_only=True)
class SupposedTransfer:
    """What is taken for a transfer without a bill."""

    #: Deposits less withdrawals, quote; 0 = none.
    cash: Decimal = ZERO
    #: When the last of it was found, our clock, ns.
    found_ns: int = 0

    def suppose(self, cash: Decimal, now_ns: int) -> Decimal:
        """Take unexplained cash for a transfer and return it, quote."""
        self.cash += cash
        self.found_ns = now_ns
        return cash

    def explained(self, cash: Decimal) -> Decimal:
        """Take what a late bill or execution says; return how much of it was supposed, quote."""
        if cash * self.cash <= 0:
            return ZERO
        known = min(abs(cash), abs(self.cash)).copy_sign(cash)
        self.cash -= known
        return known

    def given_up(self, now_ns: int) -> Decimal:
        """Return what is no transfer after all, quote; called before each decision.

        Cash that went and that no bill told in time was a loss. What came stays a transfer: a
        profit that nobody can explain is none.
        """
        if self.cash == 0 or now_ns - self.found_ns < SUPPOSED_NS_MAX:
            return ZERO
        lost, self.cash = min(self.cash, ZERO), ZERO
        return lost
