"""The one arithmetic money is counted in, whatever a library left in the thread's context.

A Decimal operation reads precision, rounding and traps from an ambient context, which ccxt
changes when it writes an amount (to ROUND_HALF_UP, with Underflow trapped). The core counts in
its own, so that a decision and its replay in another process give the same bytes.
"""

from collections.abc import Callable
from decimal import (
    ROUND_HALF_EVEN,
    Context,
    DivisionByZero,
    InvalidOperation,
    Overflow,
    localcontext,
)
from functools import wraps
from typing import Final, ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

#: 28 digits, ties to even; what is not a number, a division by zero and an overflow raise.
MONEY: Final = Context(
    prec=28, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow]
)


def counted_in_money(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Return `function`, every Decimal operation of which runs in `MONEY`."""

    @wraps(function)
    def counted(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        with localcontext(MONEY):
            return function(*args, **kwargs)

    return counted
