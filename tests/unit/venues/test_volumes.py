"""Volumes asked for again and again: rows that cannot be read are left out, failures are retried."""

import asyncio
import time
from decimal import Decimal

from counterpoise.domain.errors import VenueUnreachable
from counterpoise.domain.events import TradedVolume
from counterpoise.venues import volumes
from counterpoise.venues.binance.market_stream import _volume as binance_row
from counterpoise.venues.okx.market_stream import _volume as okx_row


class RealClock:
    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic(self) -> float:
        return time.monotonic()


async def test_volumes_are_told_again_and_a_failure_is_retried(monkeypatch):
    for name, seconds in (("FIRST", 0.0), ("EVERY", 0.05), ("RETRY", 0.01)):
        monkeypatch.setattr(volumes, f"{name}_SECONDS", seconds)
    answers = [
        VenueUnreachable("no answer"),
        [
            {"symbol": "BTCUSDT", "quoteVolume": "12.5", "closeTime": 7},
            {"symbol": "OTHER", "quoteVolume": "1", "closeTime": 7},
            {"symbol": "ETHUSDT", "quoteVolume": "many", "closeTime": 7},
            {"symbol": "ETHUSDT"},
            None,
        ],
        [{"symbol": "ETHUSDT", "quoteVolume": "3", "closeTime": 8}],
    ]

    async def ask():
        answer = answers.pop(0) if answers else []
        if isinstance(answer, Exception):
            raise answer
        return answer

    heard: list[TradedVolume] = []
    ours = {"BTCUSDT": "BTCUSDT", "ETHUSDT": "ETHUSDT"}
    task = asyncio.create_task(volumes.follow(ask, binance_row, ours, heard.append, RealClock()))
    try:
        async with asyncio.timeout(10):
            while len(heard) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    told = [(each.instrument_id, each.volume_quote, each.event_ns) for each in heard]
    assert told == [
        ("BTCUSDT", Decimal("12.5"), 7_000_000),
        ("ETHUSDT", Decimal(3), 8_000_000),
    ]


def test_okx_counts_base_units_at_the_last_price():
    row = {"instId": "BTC-USDT-SWAP", "volCcy24h": "120.5", "vol24h": "12050", "last": "60000"}
    symbol, quote, _ = okx_row({**row, "ts": "1"})
    assert (symbol, Decimal(quote)) == ("BTC-USDT-SWAP", Decimal(7_230_000))
