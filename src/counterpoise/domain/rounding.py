"""The one border between float statistics and Decimal money, and rounding to a grid.

Every function says its rounding direction in its name.
"""

from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_UP, Decimal


def decimal_from_float(value: float) -> Decimal:
    """Return the shortest decimal that reads back as `value`. Raises ValueError if not finite."""
    result = Decimal(repr(value))
    if not result.is_finite():
        raise ValueError(f"value={value!r} is not finite; a statistic reached the money border")
    return result


def float_from_decimal(value: Decimal) -> float:
    """Return the nearest float of a money figure, for statistics only."""
    return float(value)


def quantize_toward_zero(value: Decimal, step: Decimal) -> Decimal:
    """Return `value` on the grid of `step`, never farther from zero."""
    return (value / step).to_integral_value(rounding=ROUND_DOWN) * step


def quantize_away_from_zero(value: Decimal, step: Decimal) -> Decimal:
    """Return `value` on the grid of `step`, never nearer to zero."""
    return (value / step).to_integral_value(rounding=ROUND_UP) * step


def quantize_down(value: Decimal, step: Decimal) -> Decimal:
    """Return `value` on the grid of `step`, never larger."""
    return (value / step).to_integral_value(rounding=ROUND_FLOOR) * step


def quantize_up(value: Decimal, step: Decimal) -> Decimal:
    """Return `value` on the grid of `step`, never smaller."""
    return (value / step).to_integral_value(rounding=ROUND_CEILING) * step
