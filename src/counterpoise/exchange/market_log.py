"""The market's diary: what everybody could see, one canonical JSON line per event.

Same seed, opening time and scenario without clients: the same bytes, however the calls to
`advance` were cut and however fast the clock ran.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from counterpoise.exchange.events import (
    BookChanged,
    ExchangeEvent,
    FundingRateChanged,
    LiquidationPrinted,
    MarkChanged,
    TradePrinted,
)

_MARKET: Final = (BookChanged, FundingRateChanged, LiquidationPrinted, MarkChanged, TradePrinted)
_ENCODER: Final = msgspec.json.Encoder(order="sorted")


def market_log(events: Iterable[ExchangeEvent]) -> str:
    """Return the market events as JSON lines, in their order; events of accounts are left out."""
    lines = [
        _ENCODER.encode({"event": type(each).__name__, **msgspec.to_builtins(each)})
        for each in events
        if isinstance(each, _MARKET)
    ]
    return b"".join(line + b"\n" for line in lines).decode()
