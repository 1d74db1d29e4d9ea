"""Binance's algo endpoints: their parameters, their refusals, their lists and their states."""

from decimal import Decimal

import ccxt.async_support as ccxt
import pytest

from counterpoise.domain.orders import Side
from counterpoise.exchange.orders import TriggerDirection, TriggerSource
from counterpoise.exchange.triggers import NewTrigger
from counterpoise.simulator.binance import algo_rows

BTC = "BTC/USDT:USDT"


def under(running, fraction):
    price = running.venue.exchange.mark("BTCUSDT") * (1 - Decimal(fraction))
    return str((price // Decimal("0.1") * Decimal("0.1")).normalize())


def body(running, **changes):
    fields = {
        "algoType": "CONDITIONAL", "symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET",
        "quantity": "0.01", "triggerPrice": under(running, "0.02"), "workingType": "MARK_PRICE",
    } | changes  # fmt: skip
    return {name: value for name, value in fields.items() if value is not None}


async def test_what_is_wrong_with_an_algo_order_has_binances_code(binance, running):
    place = binance.fapiPrivatePostAlgoOrder
    for changes, code in (
        ({"algoType": "VP"}, "-1102"),
        ({"type": "MARKET"}, "-1116"),
        ({"triggerPrice": None}, "-1102"),
        ({"triggerPrice": "0"}, "-4006"),
        ({"triggerPrice": "80000.05"}, "-4014"),
        ({"workingType": "INDEX_PRICE"}, "-4031"),
        ({"quantity": None}, "-1102"),
        ({"closePosition": "true"}, "-4137"),
        ({"closePosition": "true", "quantity": None, "reduceOnly": "true"}, "-1106"),
        ({"closePosition": "true", "quantity": None, "type": "STOP", "price": "9"}, "-4136"),
        ({"type": "STOP"}, "-1102"),
        ({"timeInForce": "GTE_GTC"}, "-4509"),
        ({"timeInForce": "FOK"}, "-1115"),
        ({"clientAlgoId": "x" * 37}, "-4015"),
        ({"clientAlgoId": "no space"}, "-1100"),
        ({"positionSide": "LONG"}, "-4061"),
        ({"triggerPrice": under(running, "-0.02")}, "-2021"),
        ({"type": "TAKE_PROFIT_MARKET"}, "-2021"),
    ):
        with pytest.raises(ccxt.ExchangeError, match=f'"code":{code}\\b'):
            await place(body(running, **changes))
    assert running.venue.exchange.trigger_orders("7") == ()


async def test_lists_and_canceling_all(binance, running):
    place = binance.fapiPrivatePostAlgoOrder
    first = await place(body(running, clientAlgoId="one"))
    second = await place(body(running, type="STOP", price="50000", timeInForce="GTX"))
    other = await place(
        body(running, symbol="ETHUSDT", quantity="0.1", triggerPrice="100", side="SELL")
    )
    assert (first["algoStatus"], first["clientAlgoId"]) == ("NEW", "one")
    assert (second["orderType"], second["timeInForce"]) == ("STOP", "GTX")
    listed = await binance.fapiPrivateGetOpenAlgoOrders()
    assert [each["algoId"] for each in listed] == [
        first["algoId"], second["algoId"], other["algoId"],
    ]  # fmt: skip
    (found,) = await binance.fapiPrivateGetOpenAlgoOrders({"symbol": "ETHUSDT"})
    assert found["algoId"] == other["algoId"]
    done = await binance.fapiPrivateDeleteAlgoOpenOrders({"symbol": "BTCUSDT"})
    assert done["msg"] == "The operation of cancel all open order is done."
    ended = await binance.fapiPrivateGetAllAlgoOrders({"symbol": "BTCUSDT"})
    assert [(each["algoId"], each["algoStatus"]) for each in ended] == [
        (first["algoId"], "CANCELED"), (second["algoId"], "CANCELED"),
    ]  # fmt: skip
    # Orders of the book and algo orders are canceled apart.
    await binance.fapiPrivateDeleteAllOpenOrders({"symbol": "ETHUSDT"})
    assert len(await binance.fapiPrivateGetOpenAlgoOrders()) == 1
    with pytest.raises(ccxt.OrderNotFound, match="-2013"):
        await binance.fapiPrivateGetAlgoOrder({"algoId": 1})
    with pytest.raises(ccxt.ExchangeError, match="-1102"):
        await binance.fapiPrivateDeleteAlgoOrder({"symbol": "BTCUSDT"})


async def test_a_limit_stop_is_triggered_and_then_finished(binance, running):
    await binance.create_order(BTC, "market", "buy", "0.05")
    made = await binance.fapiPrivatePostAlgoOrder(
        body(running, type="STOP", price="200000", triggerPrice=under(running, "0.01"),
             reduceOnly="true", clientAlgoId="limit-stop")
    )  # fmt: skip
    running.venue.shock("BTCUSDT", -0.02, 0)
    running.venue.advance(running.venue.exchange.now_ns + 500_000_000)
    query = {"algoId": made["algoId"]}
    found = await binance.fapiPrivateGetAlgoOrder(query)
    assert (found["algoStatus"], found["actualType"]) == ("TRIGGERED", "LIMIT")
    child = await binance.fetch_order(found["actualOrderId"], BTC)
    assert (child["status"], child["clientOrderId"]) == ("open", "limit-stop")
    with pytest.raises(ccxt.OrderNotFound, match="-2011"):
        await binance.fapiPrivateDeleteAlgoOrder(query)
    await binance.cancel_order(child["id"], BTC)
    assert (await binance.fapiPrivateGetAlgoOrder(query))["algoStatus"] == "FINISHED"


async def test_one_without_a_name_is_found_by_the_one_the_venue_gives(running):
    exchange = running.venue.exchange
    placed = running.venue.place_trigger(
        "7",
        NewTrigger(
            instrument_id="BTCUSDT", side=Side.SELL, quantity=Decimal("0.01"),
            trigger_price=Decimal(under(running, "0.02")), source=TriggerSource.MARK,
            direction=TriggerDirection.FALLING,
        ),
    )  # fmt: skip
    order = exchange.trigger_order("7", order_id=placed.order_id)
    row = algo_rows.answer_row(order)
    assert algo_rows.named_by_venue(row["clientAlgoId"]) == placed.order_id
    assert algo_rows.named_by_venue("limit-stop") is None
