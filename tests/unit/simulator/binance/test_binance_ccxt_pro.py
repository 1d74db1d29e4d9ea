"""ccxt.pro's own class keeps its books and hears of its orders over Binance's streams."""

import asyncio
from decimal import Decimal

import pytest

BTC = "BTC/USDT:USDT"


async def test_public_streams(watcher, running):
    async with asyncio.timeout(20):
        for _ in range(3):
            book = await watcher.watch_order_book(BTC)
        modelled = running.venue.exchange.book("BTCUSDT")
        assert abs(Decimal(str(book["bids"][0][0])) / modelled.bids[0][0] - 1) < Decimal("0.001")
        assert len(book["bids"]) >= 10
        (bar,) = await watcher.watch_ohlcv(BTC, "1m")
        assert bar[0] % 60_000 == 0
        ticker = await watcher.watch_ticker(BTC)
        assert ticker["symbol"] == BTC
        best = await watcher.watch_bids_asks([BTC])
        assert best[BTC]["bid"] < best[BTC]["ask"]
        mark = await watcher.watch_mark_price(BTC)
        assert mark["markPrice"] == pytest.approx(
            float(running.venue.exchange.mark("BTCUSDT")), rel=0.01
        )


async def test_private_streams(watcher, running):
    async with asyncio.timeout(20):
        # The first answer is the snapshot, and opens the socket.
        assert await watcher.watch_positions([BTC]) == []
        orders = asyncio.create_task(watcher.watch_orders(BTC))
        trades = asyncio.create_task(watcher.watch_my_trades(BTC))
        balance = asyncio.create_task(watcher.watch_balance())
        positions = asyncio.create_task(watcher.watch_positions([BTC]))
        await asyncio.sleep(0.5)
        assert running.wire._sessions.has_users
        made = await watcher.create_order(BTC, "market", "buy", 0.01)
        assert (await orders)[-1]["id"] == made["id"]
        trade = (await trades)[-1]
        assert (trade["order"], trade["side"]) == (made["id"], "buy")
        fills = running.venue.exchange.fills("7", 0)
        assert Decimal(trade["id"]) in {each.trade_sequence for each in fills}
        assert (await balance)["USDT"]["total"] <= 50_000
        assert (await positions)[-1]["symbol"] == BTC
