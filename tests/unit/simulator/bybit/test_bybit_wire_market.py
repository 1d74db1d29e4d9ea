"""ccxt reads the market through Bybit's REST and finds what the exchange says."""

from decimal import Decimal

import pytest

BTC = "BTC/USDT:USDT"
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_markets_are_the_listed_instruments(rehearsal, bybit):
    assert sorted(bybit.markets) == sorted(
        f"{each.base}/USDT:USDT" for each in rehearsal.exchange.instruments()
    )
    instrument = rehearsal.exchange.instrument("BTCUSDT")
    market = bybit.market(BTC)
    assert (market["id"], market["linear"], market["active"]) == ("BTCUSDT", True, True)
    assert market["contractSize"] == 1
    assert Decimal(str(market["precision"]["price"])) == instrument.tick_size
    assert Decimal(str(market["precision"]["amount"])) == instrument.lot_size
    assert Decimal(str(market["limits"]["amount"]["min"])) == instrument.quantity_min
    assert market["info"]["fundingInterval"] == 8 * 60


async def test_all_products_of_a_plain_client_load_and_only_linear_ones_exist(rehearsal):
    client = rehearsal.client(options={})
    markets = await client.load_markets()
    assert {each["linear"] for each in markets.values()} == {True}
    assert client.currencies["USDT"]["id"] == "USDT"


async def test_time_is_the_venues(rehearsal, bybit):
    assert await bybit.fetch_time() == rehearsal.floor.venue.clock.told_ns() // 1_000_000


async def test_book_has_the_exchanges_levels(rehearsal, bybit):
    rehearsal.grant(1)
    book = await bybit.fetch_order_book(BTC, 5)
    truth = rehearsal.exchange.book("BTCUSDT")
    assert [Decimal(str(each[0])) for each in book["bids"]] == [each[0] for each in truth.bids[:5]]
    assert [Decimal(str(each[1])) for each in book["asks"]] == [each[1] for each in truth.asks[:5]]


async def test_tickers_show_mark_index_and_funding(rehearsal, bybit):
    rehearsal.grant(1)
    tickers = await bybit.fetch_tickers()
    row = tickers[BTC]["info"]
    exchange = rehearsal.exchange
    assert Decimal(row["markPrice"]) == exchange.mark("BTCUSDT")
    assert Decimal(row["indexPrice"]) == exchange.index("BTCUSDT")
    assert Decimal(row["lastPrice"]) == exchange.last("BTCUSDT")
    assert Decimal(row["openInterestValue"]) > 0
    rate = await bybit.fetch_funding_rate(BTC)
    assert Decimal(str(rate["fundingRate"])) == exchange.funding("BTCUSDT").rate
    assert rate["fundingTimestamp"] == exchange.funding("BTCUSDT").funding_ns // 1_000_000
    assert len(tickers) == len(exchange.instruments())


@pytest.mark.parametrize(("timeframe", "seconds"), [("1m", 60), ("5m", 300), ("1h", 3_600)])
async def test_bars_are_the_exchanges(rehearsal, bybit, timeframe, seconds):
    bars = await bybit.fetch_ohlcv(BTC, timeframe, limit=10)
    now_ns = rehearsal.exchange.now_ns
    truth = rehearsal.exchange.candles(
        "BTCUSDT", seconds, now_ns - 10 * seconds * 10**9, now_ns + 1, kind="last"
    )[-10:]
    assert [bar[0] for bar in bars] == [each.open_ns // 1_000_000 for each in truth]
    assert [bar[4] for bar in bars] == [float(each.close) for each in truth]
    assert [bar[5] for bar in bars] == [float(each.volume) for each in truth]


async def test_bars_of_the_mark_start_where_asked(rehearsal, bybit):
    since = rehearsal.exchange.now_ns // 1_000_000 - 3_600_000
    bars = await bybit.fetch_mark_ohlcv(BTC, "1m", since=since, limit=5)
    first = -(-since // 60_000) * 60_000
    truth = rehearsal.exchange.candles(
        "BTCUSDT", 60, first * 10**6, (first + 300_000) * 10**6, kind="mark"
    )
    assert [bar[0] for bar in bars] == [first + 60_000 * at for at in range(5)]
    assert [bar[1] for bar in bars] == [float(each.open) for each in truth]


async def test_trades_are_told_since_the_start(rehearsal, bybit):
    rehearsal.grant(2)
    trades = await bybit.fetch_trades(BTC)
    assert Decimal(str(trades[-1]["price"])) == rehearsal.exchange.last("BTCUSDT")
    assert len({each["id"] for each in trades}) == len(trades)


async def test_tiers_have_bounds_rates_and_leverage(rehearsal, bybit):
    tiers = (await bybit.fetch_leverage_tiers([BTC]))[BTC]
    truth = rehearsal.exchange.instrument("BTCUSDT").tiers
    assert len(tiers) == len(truth)
    first, model = tiers[0], truth[0]
    assert Decimal(str(first["maxNotional"])) == model.notional_max
    assert Decimal(str(first["maintenanceMarginRate"])) == model.maintenance_margin_fraction
    assert first["maxLeverage"] == float(1 / model.initial_margin_fraction)
    assert tiers[1]["minNotional"] == first["maxNotional"]


async def test_price_limit_is_the_band(rehearsal):
    _, body = await rehearsal.get("/v5/market/price-limit", "symbol=BTCUSDT")
    band = rehearsal.exchange.price_band("BTCUSDT")
    assert band.sell_min <= Decimal(body["result"]["sellLmt"]) < Decimal(body["result"]["buyLmt"])
    assert Decimal(body["result"]["buyLmt"]) <= band.buy_max


async def test_pages_follow_the_cursor(rehearsal):
    query, names = "category=linear&limit=4", []
    while True:
        _, body = await rehearsal.get("/v5/market/instruments-info", query)
        names += [row["symbol"] for row in body["result"]["list"]]
        cursor = body["result"]["nextPageCursor"]
        if not cursor:
            break
        query = f"category=linear&limit=4&cursor={cursor}"
    assert names == list(rehearsal.floor.listed)


async def test_unknown_symbol_and_period_are_parameter_errors(rehearsal):
    _, body = await rehearsal.get("/v5/market/orderbook", "category=linear&symbol=NOUSDT")
    assert (body["retCode"], body["retMsg"]) == (10001, "params error: symbol invalid")
    _, body = await rehearsal.get("/v5/market/kline", "symbol=BTCUSDT&interval=7")
    assert (body["retCode"], body["retMsg"]) == (10001, "Invalid period!")
