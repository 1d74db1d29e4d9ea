"""How Binance writes figures and instants. Its symbols are our ids and its quantities base units."""

from decimal import Decimal
from typing import Final

from counterpoise.domain import units

#: Settlement and fee currency of every listed contract.
CURRENCY: Final = "USDT"
#: Decimals money is written with at least.
MONEY_PLACES: Final = 8
#: Grid of figures that come out of a division.
_QUOTIENT_STEP: Final = Decimal("0.00000001")


def text(value: Decimal) -> str:
    """Return a figure without exponent and trailing zeros."""
    if not value:
        return "0"
    return format(value.normalize(), "f")


def fixed(value: Decimal, places: int) -> str:
    """Return a figure with at least `places` decimals; more where it has more, never rounded."""
    whole, _, decimals = text(value).partition(".")
    decimals = decimals.ljust(places, "0")
    return f"{whole}.{decimals}" if decimals else whole


def money(value: Decimal) -> str:
    """Return an amount of the settlement currency, exactly."""
    return fixed(value, MONEY_PLACES)


def quotient(value: Decimal) -> str:
    """Return what a division gave, to eight decimals."""
    return fixed(value.quantize(_QUOTIENT_STEP), MONEY_PLACES)


def places(step: Decimal) -> int:
    """Return the decimals a grid step has."""
    return len(text(step).partition(".")[2])


def milliseconds(instant_ns: int) -> int:
    """Return an instant as ms since the epoch."""
    return instant_ns // units.NS_PER_MS
