"""Numbers and times as every venue writes them, and as we write them for every venue."""

from decimal import Decimal
from typing import Any

from counterpoise.domain.errors import VenueRejected
from counterpoise.domain.orders import Side
from counterpoise.domain.rounding import quantize_down, quantize_up
from counterpoise.domain.units import NS_PER_MS


def plain(value: Decimal) -> str:
    """Return a decimal without exponent and trailing zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def price_on_grid(price: Decimal, side: Side, tick_size: Decimal, *, reduce_only: bool) -> Decimal:
    """Return a limit price on the tick grid, never worse for us than `price`.

    An increase that is off the grid is a mistake of ours and raises VenueRejected OFF_TICK; a
    reduction must go out, so it is moved to the nearest tick inside its limit.
    """
    rounded = (quantize_down if side is Side.BUY else quantize_up)(price, tick_size)
    if rounded != price and not reduce_only:
        raise VenueRejected(
            f"price {price} is not a multiple of the tick {tick_size}", code="OFF_TICK"
        )
    return rounded


def decimal(text: Any) -> Decimal:
    """Return a venue's number. Raises ValueError, which names what is none."""
    try:
        return Decimal(text)
    except (ArithmeticError, TypeError, ValueError):
        raise ValueError(f"{str(text)[:40]!r} is no number") from None


def ns_from_ms(text: str | int | None) -> int:
    """Return ns of a venue's milliseconds; 0 where it says nothing."""
    return int(text) * NS_PER_MS if text else 0


def optional_decimal(text: str | None) -> Decimal | None:
    """Return a number a venue may leave out by "" or by no field at all."""
    return decimal(text) if text else None


def positive_decimal(text: str | None) -> Decimal | None:
    """Return a number that a venue writes as "" or "0" where there is none."""
    value = optional_decimal(text)
    return value or None
