"""One market event of each kind that a twin hears, and its introduction."""

from decimal import Decimal

from counterpoise.app.shadow import pipe
from counterpoise.domain.events import (
    BookDelta,
    BookGap,
    BookSnapshot,
    FundingRate,
    LiquidationPrinted,
    MarkPrice,
    StreamAlive,
    StreamDown,
    StreamName,
)
from counterpoise.domain.orders import Side

LEVELS = (("100.10", "2"), ("100.2", "0"))
EVENTS = [
    BookSnapshot(
        instrument_id="BTCUSDT",
        bids=LEVELS,
        asks=(),
        quantity_unit=Decimal("0.0100"),
        sequence=1,
        event_ns=1_800_000_000_000_000_001,
        received_ns=2,
    ),
    BookDelta(instrument_id="BTCUSDT", bids=(), asks=LEVELS, sequence=2, event_ns=3, received_ns=4),
    BookGap(instrument_id="BTCUSDT", expected=3, found=9, received_ns=5),
    MarkPrice(
        instrument_id="BTCUSDT", mark=Decimal("100.05"), index=None, event_ns=6, received_ns=7
    ),
    FundingRate(
        instrument_id="BTCUSDT",
        rate=Decimal("-0.0001"),
        funding_ns=8,
        interval_hours=Decimal(8),
        event_ns=9,
        received_ns=10,
    ),
    LiquidationPrinted(
        instrument_id="BTCUSDT",
        side=Side.SELL,
        quantity=Decimal(3),
        price=Decimal("99.5"),
        event_ns=11,
        received_ns=12,
    ),
    StreamAlive(stream=StreamName.MARKS, received_ns=13),
    StreamDown(stream=StreamName.BOOKS, reason="cut", received_ns=14),
]
FIRST = pipe.Introduction(
    settings={"venue": "okx", "hedge_candidates": ["ETHUSDT"]},
    venue="okx",
    addresses={"rest_url": "http://127.0.0.1:1", "simulated_trading": True},
    account_id="7-shadow",
)
