"""The unmodified ccxt class reads markets, account and settings from Binance's wire."""

import time
from decimal import Decimal

import ccxt.async_support as ccxt
import pytest

from counterpoise.domain.units import NS_PER_MS

BTC = "BTC/USDT:USDT"
ETH = "ETH/USDT:USDT"
SOL = "SOL/USDT:USDT"


async def test_markets_carry_every_filter(binance):
    market = binance.market(BTC)
    assert (market["id"], market["linear"], market["settle"]) == ("BTCUSDT", True, "USDT")
    assert (market["precision"]["price"], market["precision"]["amount"]) == ("0.1", "0.001")
    assert market["limits"]["amount"] == {"min": "0.001", "max": "1000"}
    assert market["limits"]["market"] == {"min": "0.001", "max": "120"}
    assert market["limits"]["cost"]["min"] == "5"
    assert sorted(each["filterType"] for each in market["info"]["filters"]) == [
        "LOT_SIZE",
        "MARKET_LOT_SIZE",
        "MAX_NUM_ALGO_ORDERS",
        "MAX_NUM_ORDERS",
        "MIN_NOTIONAL",
        "PERCENT_PRICE",
        "PRICE_FILTER",
    ]
    band = next(each for each in market["info"]["filters"] if each["filterType"] == "PERCENT_PRICE")
    assert (band["multiplierUp"], band["multiplierDown"]) == ("1.0500", "0.9500")
    assert sorted(binance.markets) == sorted(
        f"{base}/USDT:USDT" for base in ("BTC", "ETH", "SOL", "XRP", "DOGE", "LTC")
    )


async def test_time_and_balance(binance):
    assert abs(await binance.fetch_time() - time.time() * 1_000) < 2_000
    balance = await binance.fetch_balance()
    assert balance["USDT"] == {
        "free": "50000.00000000",
        "used": "0.00000000",
        "total": "50000.00000000",
    }
    assert balance["info"]["totalMarginBalance"] == "50000.00000000"
    (older,) = await binance.fapiPrivateV2GetBalance()
    assert (older["asset"], older["balance"]) == ("USDT", "50000.00000000")


async def test_a_position_in_both_versions(binance, running):
    await binance.create_order(BTC, "market", "buy", "0.01")
    await binance.create_order(ETH, "market", "sell", "0.5")
    held = running.account().positions
    positions = {each["symbol"]: each for each in await binance.fetch_positions()}
    assert set(positions) == {BTC, ETH}
    long, short = positions[BTC], positions[ETH]
    assert (long["side"], long["contracts"], long["hedged"]) == ("long", "0.01", False)
    assert (short["side"], short["contracts"]) == ("short", "0.5")
    assert Decimal(long["entryPrice"]) == held["BTCUSDT"].entry_price
    assert long["marginMode"] == "cross"
    # v3 has neither leverage nor margin type; v2 has both.
    assert long["leverage"] is None
    assert Decimal(short["info"]["notional"]) < 0
    (older,) = await binance.fapiPrivateV2GetPositionRisk({"symbol": "BTCUSDT"})
    assert (older["leverage"], older["marginType"]) == ("20", "cross")
    assert older["positionAmt"] == "0.01"
    account = await binance.fapiPrivateV3GetAccount()
    assert {each["symbol"]: each["positionAmt"] for each in account["positions"]} == {
        "BTCUSDT": "0.01",
        "ETHUSDT": "-0.5",
    }
    quantiles = await binance.fapiPrivateGetAdlQuantile()
    assert {each["symbol"] for each in quantiles} == {"BTCUSDT", "ETHUSDT"}


async def test_settings(binance):
    changed = await binance.set_leverage(10, BTC)
    assert changed == {"leverage": 10, "maxNotionalValue": changed["maxNotionalValue"],
                       "symbol": "BTCUSDT"}  # fmt: skip
    setting = await binance.fetch_leverage(BTC)
    assert (setting["longLeverage"], setting["marginMode"]) == (10, "cross")
    with pytest.raises(ccxt.MarginModeAlreadySet):
        await binance.set_margin_mode("cross", BTC)
    with pytest.raises(ccxt.ExchangeError, match="-4168"):
        await binance.set_margin_mode("isolated", BTC)
    with pytest.raises(ccxt.ExchangeError, match="-4028"):
        await binance.set_leverage(120, SOL)
    config = await binance.fapiPrivateGetAccountConfig()
    assert (config["canTrade"], config["dualSidePosition"], config["multiAssetsMargin"]) == (
        True,
        False,
        False,
    )
    fee = await binance.fetch_trading_fee(BTC)
    assert (fee["maker"], fee["taker"]) == ("0.0002", "0.0005")
    rights = await binance.sapiGetAccountApiRestrictions()
    assert (rights["enableFutures"], rights["enableWithdrawals"]) == (True, False)


async def test_position_mode(binance):
    assert (await binance.fetch_position_mode())["hedged"] is False
    with pytest.raises(ccxt.OperationRejected, match="-4059"):
        await binance.set_position_mode(False)
    await binance.set_position_mode(True)
    assert (await binance.fetch_position_mode())["hedged"] is True
    with pytest.raises(ccxt.ExchangeError, match="-4061"):
        await binance.create_order(BTC, "market", "buy", "0.01")
    await binance.create_order(BTC, "market", "buy", "0.02", None, {"hedged": True})
    await binance.create_order(BTC, "market", "sell", "0.01", None, {"positionSide": "SHORT"})
    held = {each["side"]: each for each in await binance.fetch_positions([BTC])}
    assert (held["long"]["contracts"], held["short"]["contracts"]) == ("0.02", "0.01")
    assert {each["hedged"] for each in held.values()} == {True}
    with pytest.raises(ccxt.ExchangeError, match="-1106"):
        await binance.fapiPrivatePostOrder(
            {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "0.01",
             "positionSide": "LONG", "reduceOnly": "true"}
        )  # fmt: skip
    with pytest.raises(ccxt.ExchangeError, match="-4068"):
        await binance.set_position_mode(False)


async def test_tiers(binance, running):
    tiers = (await binance.fetch_leverage_tiers([BTC]))[BTC]
    modelled = running.venue.exchange.instrument("BTCUSDT").tiers
    assert [Decimal(str(each["maintenanceMarginRate"])) for each in tiers] == [
        each.maintenance_margin_fraction for each in modelled
    ]
    assert (tiers[0]["minNotional"], tiers[0]["maxNotional"]) == ("0", "50000")
    assert [each["maxLeverage"] for each in tiers] == [
        "125", "100", "50", "20", "10", "5", "4", "3", "2", "1",
    ]  # fmt: skip
    # The published ladder of maintenance amounts.
    assert [int(each["info"]["cum"]) for each in tiers[:5]] == [0, 50, 1_300, 16_300, 266_300]


async def test_funding_and_marks(binance, running):
    rate = await binance.fetch_funding_rate(BTC)
    funding = running.venue.exchange.funding("BTCUSDT")
    assert Decimal(rate["fundingRate"]) == funding.rate
    assert rate["fundingTimestamp"] == funding.funding_ns // NS_PER_MS
    interval = await binance.fetch_funding_interval(BTC)
    assert interval["interval"] == "8h"
    mark = await binance.fetch_mark_price(BTC)
    assert abs(Decimal(mark["markPrice"]) / running.venue.exchange.mark("BTCUSDT") - 1) < Decimal(
        "0.01"
    )
    history = await binance.fetch_funding_rate_history(BTC, None, 2)
    hours_8 = 8 * 3_600_000
    assert [each["timestamp"] for each in history] == [
        rate["fundingTimestamp"] - 2 * hours_8,
        rate["fundingTimestamp"] - hours_8,
    ]
    assert [each["fundingRate"] for each in history] == ["0.00010000", "0.00010000"]


async def test_books_and_tickers(binance):
    book = await binance.fetch_order_book(BTC, 5)
    assert len(book["bids"]) == len(book["asks"]) == 5
    assert Decimal(book["bids"][0][0]) < Decimal(book["asks"][0][0])
    with pytest.raises(ccxt.ExchangeError, match="-1130"):
        await binance.fapiPublicGetDepth({"symbol": "BTCUSDT", "limit": 7})
    ticker = await binance.fetch_ticker(BTC)
    assert Decimal(ticker["low"]) <= Decimal(ticker["last"]) <= Decimal(ticker["high"])
    best = await binance.fetch_bids_asks([BTC])
    assert Decimal(best[BTC]["bid"]) < Decimal(best[BTC]["ask"])
    assert set(await binance.fetch_tickers()) == set(binance.markets)


async def test_bars_from_a_start_and_without_one(binance, running):
    minute = 60_000
    newest = await binance.fetch_ohlcv(BTC, "1m", None, 3)
    assert [bar[0] - newest[0][0] for bar in newest] == [0, minute, 2 * minute]
    now_ms = running.venue.exchange.now_ns // NS_PER_MS
    assert 0 <= now_ms - newest[-1][0] < 2 * minute
    since = newest[0][0] - 10 * minute
    forward = await binance.fetch_ohlcv(BTC, "5m", since, 2)
    assert forward[0][0] == -(-since // (5 * minute)) * 5 * minute
    assert forward[1][0] - forward[0][0] == 5 * minute
    marks = await binance.fetch_mark_ohlcv(BTC, "1m", since, 4)
    assert [bar[0] for bar in marks] == [since + place * minute for place in range(4)]
    modelled = running.venue.exchange.candles(
        "BTCUSDT", 60, since * NS_PER_MS, (since + minute) * NS_PER_MS, kind="mark"
    )
    assert [Decimal(each) for each in marks[0][1:5]] == [
        modelled[0].open,
        modelled[0].high,
        modelled[0].low,
        modelled[0].close,
    ]
    assert len(await binance.fetch_index_ohlcv(BTC, "1h", None, 2)) == 2
    with pytest.raises(ccxt.ExchangeError, match="-1120"):
        await binance.fapiPublicGetKlines({"symbol": "BTCUSDT", "interval": "7m"})


async def test_income_tells_profit_fee_and_deposit(binance, running):
    await binance.create_order(BTC, "market", "buy", "0.01")
    await binance.create_order(BTC, "market", "sell", "0.01", None, {"reduceOnly": True})
    rows = await binance.fapiPrivateGetIncome({"limit": 100})
    total = sum(Decimal(row["income"]) for row in rows)
    assert total == running.account().wallet_balance
    kinds = [row["incomeType"] for row in rows]
    assert kinds[0] == "TRANSFER"
    assert kinds.count("COMMISSION") >= 2
    fees = await binance.fapiPrivateGetIncome({"incomeType": "COMMISSION"})
    fills = running.venue.exchange.fills("7", 0)
    assert [Decimal(row["income"]) for row in fees] == [-fill.fee for fill in fills]


async def test_forgotten_corners_answer(binance):
    assert await binance.fapiPrivateGetForceOrders() == []
    assert (await binance.fapiPrivateGetApiTradingStatus())["indicators"] == {}
    assert await binance.fapiPrivateGetMultiAssetsMargin() == {"multiAssetsMargin": False}
    assert (await binance.fetch_status())["status"] == "ok"
    limits = await binance.fapiPrivateGetRateLimitOrder()
    assert [each["limit"] for each in limits] == [300, 1200]
    with pytest.raises(ccxt.ExchangeNotAvailable, match="404"):
        await binance.fapiPublicGetConstituents({"symbol": "BTCUSDT"})
