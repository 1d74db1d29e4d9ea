"""The unmodified ccxt class reads markets, account and settings from Binance's wire."""

from decimal import Decimal

BTC = "BTC/USDT:USDT"


async def test_markets(binance):
    market = binance.market(BTC)
    assert (market["id"], market["linear"], market["settle"]) == ("BTCUSDT", True, "USDT")
    assert market["precision"]["price"] == "0.1"
    assert market["limits"]["cost"]["min"] == "5"
