"""Refusals, seizures and bent answers in Binance's words."""

import re
from decimal import Decimal

import ccxt.async_support as ccxt
import pytest

from counterpoise.domain.orders import OrderKind, Side
from counterpoise.exchange.modes import PositionSide
from counterpoise.exchange.orders import NewOrder, OrderRefused, RefusalReason
from counterpoise.simulator import commands
from counterpoise.simulator.binance import order_entry, symbols
from counterpoise.simulator.binance.errors import MESSAGES, Code
from counterpoise.simulator.binance.wire import BinanceWire
from counterpoise.simulator.faults import Fault, FaultKind

#: What no request of a client can meet: only operators withdraw.
OPERATORS = {RefusalReason.WITHDRAWAL_TOO_LARGE}


def test_every_refusal_of_the_exchange_has_its_own_code():
    for reason in set(RefusalReason) - OPERATORS:
        made = order_entry.refusal(OrderRefused(reason, ""))
        assert made.code is not Code.REJECTED, reason
        assert (made.status, made.row["code"]) == (400, made.code.value)


@pytest.mark.parametrize(("side", "code"), [(Side.BUY, -4016), (Side.SELL, -4024)])
def test_the_band_has_a_code_for_each_end(side, code):
    beyond = OrderRefused(RefusalReason.PRICE_OUT_OF_BAND, "")
    assert order_entry.refusal(beyond, side=side).code == code


def test_every_message_belongs_to_a_code_of_four_digits():
    assert all(re.fullmatch(r"-\d{4}", str(code.value)) for code in MESSAGES)


@pytest.mark.parametrize(
    ("value", "places", "written"),
    [
        ("63921", 2, "63921.00"),
        ("0.10", 1, "0.1"),
        ("1E-9", 2, "0.000000001"),
        ("-0", 0, "0"),
        ("1E+3", 0, "1000"),
    ],
)
def test_figures_are_padded_and_never_rounded(value, places, written):
    assert symbols.fixed(Decimal(value), places) == written


async def test_a_position_gone_by_adl_is_told_and_listed(binance, running, stream):
    key = (await binance.fapiPrivatePostListenKey())["listenKey"]
    bought = NewOrder(
        instrument_id="BTCUSDT",
        side=Side.BUY,
        quantity=Decimal("0.01"),
        kind=OrderKind.MARKET,
    )
    running.venue.place("7", [bought])
    async with stream(f"private/ws?listenKey={key}") as socket:
        running.venue.do(commands.ForceReduce("7", "BTCUSDT", None, PositionSide.NET))
        told = (await socket.event("ORDER_TRADE_UPDATE"))["o"]
        assert (told["x"], told["X"], told["S"], told["q"]) == (
            "CALCULATED",
            "FILLED",
            "SELL",
            "0.01",
        )
        assert told["c"].startswith("adl_autoclose-")
        update = (await socket.event("ACCOUNT_UPDATE"))["a"]
        assert (update["P"][0]["s"], update["P"][0]["pa"]) == ("BTCUSDT", "0")
    (listed,) = await binance.fapiPrivateGetForceOrders({"autoCloseType": "ADL"})
    assert (str(listed["orderId"]), listed["executedQty"]) == (str(told["i"]), "0.01")
    assert await binance.fapiPrivateGetForceOrders({"autoCloseType": "LIQUIDATION"}) == []
    trades = await binance.fapiPrivateGetUserTrades({"symbol": "BTCUSDT"})
    assert trades[-1]["id"] == told["t"] > 10**12


async def test_bent_answers(binance, running):
    await binance.create_order("BTC/USDT:USDT", "market", "buy", "0.01")
    running.floor.faults.add(Fault(kind=FaultKind.EMPTY_MARGINS))
    account = await binance.fapiPrivateV3GetAccount()
    assert (account["totalMarginBalance"], account["assets"][0]["walletBalance"]) == ("", "")
    assert account["positions"][0]["positionAmt"] == "0.01"
    running.floor.faults.clear()
    running.floor.faults.add(Fault(kind=FaultKind.EMPTY_POSITIONS))
    assert await binance.fapiPrivateV3GetPositionRisk() == []
    assert (await binance.fapiPrivateV3GetAccount())["positions"] == []
    running.floor.faults.clear()
    (row,) = await binance.fapiPrivateV3GetPositionRisk()
    assert Decimal(row["positionAmt"]) == running.account().positions["BTCUSDT"].quantity


async def test_a_delisted_contract_is_gone(binance, running):
    running.venue.do(commands.Delist("LTCUSDT"))
    info = await binance.fapiPublicGetExchangeInfo()
    assert "LTCUSDT" not in {each["symbol"] for each in info["symbols"]}
    with pytest.raises(ccxt.BadSymbol, match="-1121"):
        await binance.fapiPublicGetDepth({"symbol": "LTCUSDT"})
    again = BinanceWire(running.floor)
    assert sorted(again._desk.listed) == sorted(set(running.floor.listed) - {"LTCUSDT"})
    assert again.instrument_of("ltcusdt") is None
