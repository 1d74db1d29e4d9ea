"""The unmodified ccxt class trades on Binance's wire, and refusals carry Binance's codes."""

import asyncio
import time
from decimal import Decimal

import ccxt.async_support as ccxt
import pytest

from counterpoise.simulator.binance import auth

BTC = "BTC/USDT:USDT"
XRP = "XRP/USDT:USDT"


async def far_bid(binance, fraction="0.03", symbol=BTC):
    book = await binance.fetch_order_book(symbol)
    price = Decimal(str(book["bids"][0][0])) * (1 - Decimal(fraction))
    return binance.price_to_precision(symbol, float(price))


async def test_a_market_order_fills_and_its_answer_has_no_average(binance, running):
    order = await binance.create_order(BTC, "market", "buy", "0.02", None, {"clientOrderId": "m-1"})
    assert (order["status"], order["filled"], order["clientOrderId"]) == ("closed", "0.02", "m-1")
    assert not {"avgPrice", "cumQuote"} & set(order["info"])
    found = await binance.fetch_order(order["id"], BTC)
    kept = running.venue.exchange.order("7", order_id=order["id"])
    assert Decimal(found["average"]) == kept.average_price.quantize(Decimal("1e-8"))
    assert found["type"] == "market"
    trades = await binance.fetch_my_trades(BTC)
    fills = running.venue.exchange.fills("7", 0)
    assert [
        (each["id"], each["order"], Decimal(each["price"]), Decimal(each["amount"]),
         Decimal(each["fee"]["cost"]))
        for each in trades
    ] == [
        (str(each.trade_sequence), each.order_id, each.price, each.quantity, each.fee)
        for each in fills
    ]  # fmt: skip
    assert {each["info"]["marginAsset"] for each in trades} == {"USDT"}
    assert {each["takerOrMaker"] for each in trades} == {"taker"}


async def test_a_resting_order_from_birth_to_cancel(binance):
    price = await far_bid(binance)
    made = await binance.create_order(
        BTC, "limit", "buy", "0.001", price, {"clientOrderId": "x-cvBPrNm9/a:b.c_1"}
    )
    assert (made["status"], made["price"], made["remaining"]) == ("open", price, "0.001")
    assert made["info"]["timeInForce"] == "GTC"
    (listed,) = await binance.fetch_open_orders(BTC)
    assert (listed["id"], listed["clientOrderId"]) == (made["id"], "x-cvBPrNm9/a:b.c_1")
    by_name = await binance.fetch_order(None, BTC, {"clientOrderId": "x-cvBPrNm9/a:b.c_1"})
    assert by_name["id"] == made["id"]
    canceled = await binance.cancel_order(made["id"], BTC)
    assert canceled["status"] == "canceled"
    assert await binance.fetch_open_orders(BTC) == []
    (ended,) = await binance.fetch_orders(BTC)
    assert (ended["status"], ended["filled"]) == ("canceled", "0")
    with pytest.raises(ccxt.OrderNotFound, match="-2011"):
        await binance.cancel_order(made["id"], BTC)


async def test_an_order_without_a_name_gets_one(binance, running):
    # ccxt names every order, so this one is signed by hand.
    stamp = int(time.time() * 1_000)
    body = f"symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.001&timestamp={stamp}"
    body += f"&signature={auth.signature(binance.secret, body)}"
    address = f"http://127.0.0.1:{running.port}/fapi/v1/order"
    headers = {
        "X-MBX-APIKEY": binance.apiKey,
        "Content-Type": "application/x-www-form-urlencoded",
    }
    async with binance.session.post(address, data=body, headers=headers) as answer:
        row = await answer.json()
        assert answer.headers["X-MBX-ORDER-COUNT-1M"] == "1"
    assert (row["status"], row["clientOrderId"]) == ("NEW", f"web_{row['orderId']}")
    found = await binance.fetch_order(None, BTC, {"clientOrderId": row["clientOrderId"]})
    assert (found["id"], found["status"]) == (str(row["orderId"]), "closed")


async def test_acknowledged_only(binance):
    row = await binance.fapiPrivatePostOrder(
        {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.001"}
    )
    assert (row["status"], row["executedQty"]) == ("NEW", "0")
    found = await binance.fapiPrivateGetOrder({"symbol": "BTCUSDT", "orderId": row["orderId"]})
    assert (found["status"], found["executedQty"]) == ("FILLED", "0.001")


async def test_immediate_and_post_only_orders(binance):
    # Far enough to cross, or not to, whatever the market does meanwhile.
    above = await far_bid(binance, "-0.03")
    below = await far_bid(binance)
    rest = await binance.create_order(BTC, "limit", "buy", "0.001", below, {"timeInForce": "IOC"})
    assert (rest["status"], rest["info"]["status"]) == ("expired", "EXPIRED")
    with pytest.raises(ccxt.OrderNotFillable, match="-5021"):
        await binance.create_order(BTC, "limit", "buy", "0.001", below, {"timeInForce": "FOK"})
    with pytest.raises(ccxt.OrderNotFillable, match="-5022"):
        await binance.create_order(
            BTC, "limit", "buy", "0.001", above, {"postOnly": True, "clientOrderId": "po"}
        )
    with pytest.raises(ccxt.OrderNotFound, match="-2013"):
        await binance.fetch_order(None, BTC, {"clientOrderId": "po"})
    post = await binance.create_order(BTC, "limit", "buy", "0.001", below, {"postOnly": True})
    assert (post["status"], post["timeInForce"], post["postOnly"]) == ("open", "PO", True)
    whole = await binance.create_order(BTC, "limit", "sell", "0.001", below, {"timeInForce": "FOK"})
    assert whole["info"]["status"] == "FILLED"


async def test_reduce_only(binance, running):
    with pytest.raises(ccxt.ExchangeError, match="-2022"):
        await binance.create_order(BTC, "market", "sell", "0.01", None, {"reduceOnly": True})
    await binance.create_order(BTC, "market", "buy", "0.01")
    with pytest.raises(ccxt.ExchangeError, match="-2022"):
        await binance.create_order(BTC, "market", "buy", "0.01", None, {"reduceOnly": True})
    order = await binance.create_order(BTC, "market", "sell", "0.05", None, {"reduceOnly": True})
    assert (order["filled"], order["reduceOnly"]) == ("0.01", True)
    assert running.account().positions == {}


async def test_an_amendment_keeps_the_order(binance):
    price = await far_bid(binance)
    made = await binance.create_order(BTC, "limit", "buy", "0.001", price)
    lower = await far_bid(binance, "0.04")
    changed = await binance.edit_order(made["id"], BTC, "limit", "buy", "0.002", lower)
    assert (changed["id"], changed["price"], changed["amount"]) == (made["id"], lower, "0.002")
    assert changed["info"]["modifyId"] == 1
    (listed,) = await binance.fetch_open_orders(BTC)
    assert (listed["price"], listed["amount"]) == (lower, "0.002")
    with pytest.raises(ccxt.ExchangeError, match="-5027"):
        await binance.edit_order(made["id"], BTC, "limit", "buy", "0.002", lower)


async def test_a_batch_answers_each_for_itself(binance):
    price = await far_bid(binance)
    item = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
            "quantity": "0.001", "price": price}  # fmt: skip
    items = [item | {"newClientOrderId": "b1"}, item | {"quantity": "0.0015"}, item]
    rows = await binance.fapiPrivatePostBatchOrders({"batchOrders": items})
    assert rows[0]["clientOrderId"] == "b1"
    assert rows[1] == {"code": -4023, "msg": "Quantity not increased by step size."}
    assert rows[2]["status"] == "NEW"
    ids = [str(rows[0]["orderId"]), str(rows[2]["orderId"])]
    ended = await binance.cancel_orders(ids, BTC)
    assert [each["status"] for each in ended] == ["canceled", "canceled"]
    two = await binance.create_orders(
        [{"symbol": BTC, "type": "limit", "side": "buy", "amount": "0.001", "price": price},
         {"symbol": BTC, "type": "limit", "side": "buy", "amount": "0.002", "price": price}]
    )  # fmt: skip
    assert sorted(each["amount"] for each in two) == ["0.001", "0.002"]
    await binance.cancel_all_orders(BTC)
    assert await binance.fetch_open_orders(BTC) == []


async def test_a_countdown_cancels_one_symbol(binance, running):
    mine = await binance.create_order(BTC, "limit", "buy", "0.001", await far_bid(binance))
    price = await far_bid(binance, symbol=XRP)
    other = await binance.create_order(XRP, "limit", "buy", "10", price)
    countdown = binance.fapiPrivatePostCountdownCancelAll
    armed = await countdown({"symbol": "BTCUSDT", "countdownTime": 60_000})
    assert armed == {"symbol": "BTCUSDT", "countdownTime": "60000"}
    await countdown({"symbol": "BTCUSDT", "countdownTime": 0})
    assert running.wire._desk.countdowns == {}
    assert (await binance.fetch_order(mine["id"], BTC))["status"] == "open"
    await countdown({"symbol": "BTCUSDT", "countdownTime": 1})
    await asyncio.sleep(0.3)
    assert (await binance.fetch_order(mine["id"], BTC))["status"] == "canceled"
    assert (await binance.fetch_order(other["id"], XRP))["status"] == "open"


#: What is wrong with an order -> Binance's code and ccxt's class.
REFUSALS = [
    ({"symbol": "NOPEUSDT"}, -1121, ccxt.BadSymbol),
    ({"side": "LONG"}, -1117, ccxt.BadRequest),
    ({"type": "ICEBERG"}, -1116, ccxt.BadRequest),
    ({"type": "STOP_MARKET", "stopPrice": "1"}, -4120, ccxt.ExchangeError),
    ({"timeInForce": "GTD"}, -1115, ccxt.BadRequest),
    ({"timeInForce": ""}, -1102, ccxt.BadRequest),
    ({"quantity": "0"}, -4003, ccxt.ExchangeError),
    ({"quantity": "0.0015"}, -4023, ccxt.ExchangeError),
    ({"quantity": "1001"}, -4005, ccxt.ExchangeError),
    ({"price": "0"}, -4001, ccxt.ExchangeError),
    ({"price": "90000.05"}, -4014, ccxt.ExchangeError),
    ({"price": "900000"}, -4016, ccxt.ExchangeError),
    ({"price": "100", "side": "SELL"}, -4024, ccxt.ExchangeError),
    ({"price": "4000", "quantity": "0.001"}, -4164, ccxt.ExchangeError),
    ({"newClientOrderId": "a b"}, -1100, ccxt.BadRequest),
    ({"newClientOrderId": "x" * 37}, -4015, ccxt.ExchangeError),
    ({"positionSide": "LONG"}, -4061, ccxt.ExchangeError),
    ({"positionSide": "UP"}, -4060, ccxt.ExchangeError),
    ({"quantity": "12"}, -2019, ccxt.InsufficientFunds),
    ({"quantity": "900"}, -2027, ccxt.ExchangeError),
]


async def test_refusals(binance):
    fields = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.001",
        "price": "94000",
    }
    for changed, code, kind in REFUSALS:
        with pytest.raises(kind, match=f'"code":{code},'):
            await binance.fapiPrivatePostOrder(fields | changed)
    assert await binance.fetch_orders(BTC) == []


async def test_a_name_in_use_and_orders_nobody_knows(binance):
    price = await far_bid(binance)
    await binance.create_order(BTC, "limit", "buy", "0.001", price, {"clientOrderId": "twice"})
    with pytest.raises(ccxt.ExchangeError, match="-4116"):
        await binance.create_order(BTC, "limit", "buy", "0.001", price, {"clientOrderId": "twice"})
    with pytest.raises(ccxt.OrderNotFound, match="-2013"):
        await binance.fetch_order("17", BTC)
    with pytest.raises(ccxt.ExchangeError, match="-1102"):
        await binance.fapiPrivateGetOrder({"symbol": "BTCUSDT"})


async def test_the_least_notional_is_waived_for_a_reduction(binance):
    await binance.create_order(XRP, "market", "buy", "11")
    with pytest.raises(ccxt.ExchangeError, match="-4164"):
        await binance.create_order(XRP, "market", "buy", "1")
    order = await binance.create_order(XRP, "market", "sell", "1", None, {"reduceOnly": True})
    assert order["filled"] == "1"
