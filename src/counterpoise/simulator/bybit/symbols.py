"""How Bybit writes our instruments, figures and instants. Linear symbols are our ids already."""

from decimal import Decimal
from typing import Final

from counterpoise.domain import units
from counterpoise.exchange.orders import ExchangeFill

#: The one product that is listed.
CATEGORY: Final = "linear"
#: Products clients may ask for and find empty.
CATEGORIES: Final = frozenset({"inverse", "linear", "option", "spot"})
#: Settlement and fee currency.
CURRENCY: Final = "USDT"


def text(value: Decimal) -> str:
    """Return a figure without exponent and trailing zeros."""
    if not value:
        return "0"
    plain = str(value)
    if "E" in plain:
        return format(value.normalize(), "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def text_or(value: Decimal | None, absent: str) -> str:
    """Return a figure, or what stands for None there."""
    return absent if value is None else text(value)


def milliseconds(instant_ns: int) -> str:
    """Return an instant as ms since the epoch, as text."""
    return str(instant_ns // units.NS_PER_MS)


def execution_id(fill: ExchangeFill) -> str:
    """Return the `execId`, unique over all instruments."""
    return f"{fill.instrument_id}-{fill.fill_id}"
