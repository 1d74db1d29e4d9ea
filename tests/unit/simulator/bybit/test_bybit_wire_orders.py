"""ccxt trades through Bybit's REST; what it reads back is what the exchange says."""

from decimal import Decimal

import ccxt
import pytest

from counterpoise.domain.orders import OrderState
from counterpoise.simulator import commands

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
LIMIT_ONLY = {"acknowledged": True}
pytestmark = pytest.mark.asyncio(loop_scope="module")


def far(rehearsal, side, fraction="0.008"):
    """A price that rests inside the band."""
    sign = -1 if side == "buy" else 1
    mark = rehearsal.exchange.mark("BTCUSDT")
    return float((mark * (1 + sign * Decimal(fraction))).quantize(Decimal("0.1")))


def through(rehearsal, side):
    """A price that takes at once, inside the band."""
    return far(rehearsal, "sell" if side == "buy" else "buy", "0.005")


async def ended(bybit, order_id):
    return await bybit.fetch_order(order_id, BTC, LIMIT_ONLY)


async def test_a_market_order_makes_a_position_fees_and_a_trade(rehearsal, bybit):
    before = rehearsal.account.wallet_balance
    order = await bybit.create_order(
        BTC, "market", "buy", 0.02, None, {"clientOrderId": "market-one_1"}
    )
    assert (order["id"], order["clientOrderId"]) == (rehearsal.fills[-1].order_id, "market-one_1")
    fills = [each for each in rehearsal.fills if each.order_id == order["id"]]
    trades = await bybit.fetch_my_trades(BTC, params={"orderId": order["id"]})
    assert [Decimal(str(each["price"])) for each in trades] == [each.price for each in fills]
    assert [Decimal(str(each["amount"])) for each in trades] == [each.quantity for each in fills]
    assert [Decimal(each["info"]["execFee"]) for each in trades] == [each.fee for each in fills]
    assert {each["takerOrMaker"] for each in trades} == {"taker"}
    (position,) = await bybit.fetch_positions()
    held = rehearsal.account.positions["BTCUSDT"]
    assert (position["symbol"], position["side"]) == (BTC, "long")
    assert Decimal(position["info"]["size"]) == held.quantity == Decimal("0.02")
    assert Decimal(position["info"]["avgPrice"]) == held.entry_price
    assert Decimal(position["info"]["unrealisedPnl"]) == held.unrealised_pnl
    assert Decimal(position["info"]["positionMM"]) == held.maintenance_margin
    balance = await bybit.fetch_balance()
    row = balance["info"]["result"]["list"][0]
    assert Decimal(row["totalEquity"]) == rehearsal.account.equity
    assert Decimal(row["totalWalletBalance"]) == before - sum(each.fee for each in fills)
    assert balance["USDT"]["total"] == float(rehearsal.account.wallet_balance)
    closed = await ended(bybit, order["id"])
    assert (closed["status"], closed["filled"], closed["type"]) == ("closed", 0.02, "market")


@pytest.mark.parametrize(
    ("params", "takes", "status", "reason"),
    [
        ({}, False, "open", "EC_NoError"),
        ({}, True, "closed", "EC_NoError"),
        ({"timeInForce": "IOC"}, False, "canceled", "EC_NoImmediateQtyToFill"),
        ({"timeInForce": "IOC"}, True, "closed", "EC_NoError"),
        ({"timeInForce": "FOK"}, False, "canceled", "EC_CancelForNoFullFill"),
        ({"timeInForce": "FOK"}, True, "closed", "EC_NoError"),
        ({"postOnly": True}, False, "open", "EC_NoError"),
        ({"postOnly": True}, True, "canceled", "EC_PostOnlyWillTakeLiquidity"),
    ],
)
async def test_a_limit_order_is_taken_first_and_ends_by_its_kind(
    rehearsal, bybit, params, takes, status, reason
):
    price = through(rehearsal, "buy") if takes else far(rehearsal, "buy")
    placed = await bybit.create_order(BTC, "limit", "buy", 0.01, price, dict(params))
    assert placed["status"] is None
    order = await ended(bybit, placed["id"])
    assert (order["status"], order["info"]["rejectReason"]) == (status, reason)
    assert order["price"] == price
    assert order["filled"] == (0.01 if status == "closed" else 0)
    in_force = "PostOnly" if "postOnly" in params else params.get("timeInForce", "GTC")
    assert order["info"]["timeInForce"] == in_force


async def test_orders_are_found_by_either_id_open_and_ended(rehearsal, bybit):
    resting = await bybit.create_order(
        BTC, "limit", "sell", 0.01, far(rehearsal, "sell"), {"clientOrderId": "rests"}
    )
    (found,) = await bybit.fetch_open_orders(BTC, None, None, {"orderLinkId": "rests"})
    assert (found["id"], found["status"]) == (resting["id"], "open")
    assert [each["id"] for each in await bybit.fetch_open_orders()] == [resting["id"]]
    assert (await bybit.fetch_open_order(resting["id"], BTC))["clientOrderId"] == "rests"
    await bybit.cancel_order(None, BTC, {"orderLinkId": "rests"})
    assert await bybit.fetch_open_orders() == []
    (gone,) = await bybit.fetch_canceled_orders(BTC, None, None, {"orderLinkId": "rests"})
    assert (gone["id"], gone["info"]["cancelType"]) == (resting["id"], "CancelByUser")
    assert gone["info"]["leavesQty"] == "0"
    (again,) = await bybit.fetch_canceled_and_closed_orders(
        BTC, None, None, {"orderId": resting["id"]}
    )
    assert (again["clientOrderId"], again["status"]) == ("rests", "canceled")
    assert (await ended(bybit, resting["id"]))["status"] == "canceled"
    # The literal "None" ccxt sends beside a client id is an order id nobody has.
    with pytest.raises(ccxt.OrderNotFound):
        await bybit.fetch_order(None, BTC, {"orderLinkId": "rests", "acknowledged": True})


async def test_an_amended_order_keeps_its_id(rehearsal, bybit):
    placed = await bybit.create_order(BTC, "limit", "buy", 0.01, far(rehearsal, "buy"))
    price = far(rehearsal, "buy", "0.007")
    changed = await bybit.edit_order(placed["id"], BTC, "limit", "buy", 0.03, price)
    assert changed["id"] == placed["id"]
    order = rehearsal.exchange.order(rehearsal.key.account_id, order_id=placed["id"])
    assert (order.quantity, order.price_limit) == (Decimal("0.03"), Decimal(str(price)))
    await bybit.edit_order(
        placed["id"], BTC, "limit", "buy", None, None, {"qty": "0.02", "price": str(price)}
    )
    assert (await bybit.fetch_open_order(placed["id"], BTC))["amount"] == 0.02


async def test_reduce_only_cuts_to_the_position(rehearsal, bybit):
    with pytest.raises(ccxt.InvalidOrder, match="110017"):
        await bybit.create_order(BTC, "market", "sell", 0.01, None, {"reduceOnly": True})
    await bybit.create_order(BTC, "market", "buy", 0.01)
    with pytest.raises(ccxt.InvalidOrder, match="110017"):
        await bybit.create_order(BTC, "market", "buy", 0.01, None, {"reduceOnly": True})
    await bybit.create_order(BTC, "market", "sell", 0.05, None, {"reduceOnly": True})
    assert rehearsal.account.positions == {}
    assert await bybit.fetch_positions() == []
    flat = await bybit.fetch_position(BTC)
    assert (flat["info"]["size"], flat["info"]["side"]) == ("0", "")


async def test_zero_closes_all(rehearsal, bybit):
    await bybit.create_order(BTC, "market", "buy", 0.04)
    _, body = await rehearsal.post(
        "/v5/order/create",
        {
            "category": "linear", "symbol": "BTCUSDT", "side": "Sell", "orderType": "Market",
            "qty": "0", "reduceOnly": True, "closeOnTrigger": True,
        },
    )  # fmt: skip
    assert body["retCode"] == 0
    assert rehearsal.account.positions == {}


@pytest.mark.parametrize(
    ("changes", "code", "error"),
    [
        ({"symbol": "NOUSDT"}, 10001, "symbol invalid"),
        ({"category": "inverse"}, 10001, "category invalid"),
        ({"side": "buy"}, 10001, "Side invalid"),
        ({"orderType": "Stop"}, 10001, "OrderType invalid"),
        ({"timeInForce": "GTX"}, 10001, "TimeInForce invalid"),
        ({"qty": "0.00001"}, 10001, "Qty invalid"),
        ({"qty": "-1"}, 10001, "Qty invalid"),
        ({"qty": "5000"}, 10001, "exceeds maximum limit"),
        ({"price": "80000.05"}, 10001, "Price invalid"),
        ({"price": None}, 10001, "Price invalid"),
        ({"orderLinkId": "no/slash"}, 10001, "orderLinkId invalid"),
        ({"orderLinkId": "x" * 37}, 10001, "orderLinkId invalid"),
        ({"positionIdx": 1}, 10001, "position idx not match position mode"),
        ({"positionIdx": 7}, 10001, "PositionIdx invalid"),
        ({"triggerPrice": "1"}, 10001, "TriggerDirection"),
        ({"stopLoss": "1"}, 10001, "stop loss"),
        ({"qty": "9"}, 110007, "ab not enough for new order"),
    ],
)
async def test_what_is_wrong_with_an_order_is_said_at_once(rehearsal, changes, code, error):
    good = {
        "category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit",
        "qty": "0.01", "price": str(far(rehearsal, "buy")),
    }  # fmt: skip
    _, body = await rehearsal.post("/v5/order/create", good | changes)
    assert (body["retCode"], body["result"]) == (code, {})
    assert error in body["retMsg"]
    assert rehearsal.account.open_orders == ()


async def test_a_small_order_is_refused_by_its_notional(rehearsal):
    body = {"category": "linear", "symbol": "XRPUSDT", "side": "Buy", "orderType": "Market"}
    _, answer = await rehearsal.post("/v5/order/create", body | {"qty": "1"})
    assert rehearsal.exchange.mark("XRPUSDT") < 5
    assert answer["retCode"] == 110094


async def test_a_client_id_is_never_taken_twice(rehearsal, bybit):
    price = far(rehearsal, "buy")
    placed = await bybit.create_order(BTC, "limit", "buy", 0.01, price, {"clientOrderId": "once"})
    await bybit.cancel_order(placed["id"], BTC)
    with pytest.raises(ccxt.InvalidOrder, match="110072"):
        await bybit.create_order(BTC, "limit", "buy", 0.01, price, {"clientOrderId": "once"})


async def test_canceling_says_what_became_of_the_order(rehearsal, bybit):
    with pytest.raises(ccxt.OrderNotFound, match="110001"):
        await bybit.cancel_order("1", BTC)
    filled = await bybit.create_order(BTC, "market", "buy", 0.01)
    with pytest.raises(ccxt.InvalidOrder, match="110008"):
        await bybit.cancel_order(filled["id"], BTC)
    resting = await bybit.create_order(BTC, "limit", "buy", 0.01, far(rehearsal, "buy"))
    await bybit.cancel_order(resting["id"], BTC)
    with pytest.raises(ccxt.InvalidOrder, match="110010"):
        await bybit.cancel_order(resting["id"], BTC)


async def test_a_limit_out_of_the_band_is_moved_to_its_end(rehearsal, bybit):
    band = rehearsal.exchange.price_band("BTCUSDT")
    tick = rehearsal.exchange.instrument("BTCUSDT").tick_size
    beyond = float((band.buy_max * 2).quantize(Decimal("0.1")))
    placed = await bybit.create_order(BTC, "limit", "buy", 0.01, beyond)
    order = rehearsal.exchange.order(rehearsal.key.account_id, order_id=placed["id"])
    assert (order.state, order.price_limit % tick) == (OrderState.FILLED, 0)
    assert Decimal((await ended(bybit, placed["id"]))["info"]["price"]) == order.price_limit
    assert order.price_limit <= band.buy_max * Decimal("1.001")
    assert order.average_price < band.buy_max


async def test_a_batch_answers_for_each_order(rehearsal, bybit):
    price = far(rehearsal, "buy")
    orders = [
        {"symbol": BTC, "type": "limit", "side": "buy", "amount": 0.01, "price": price},
        {"symbol": BTC, "type": "limit", "side": "buy", "amount": 9, "price": price},
        {"symbol": ETH, "type": "market", "side": "sell", "amount": 0.1},
    ]
    one, refused, two = await bybit.create_orders(orders)
    assert refused["status"] == "rejected"
    assert refused["info"]["code"] == 110007
    assert [each.order_id for each in rehearsal.account.open_orders] == [one["id"]]
    assert rehearsal.fills[-1].order_id == two["id"]
    await bybit.edit_orders(
        [{"id": one["id"], "symbol": BTC, "type": "limit", "side": "buy", "amount": 0.02}]
    )
    assert rehearsal.account.open_orders[0].quantity == Decimal("0.02")
    canceled = await bybit.cancel_orders([one["id"], "17"], BTC)
    assert canceled[0]["id"] == one["id"]
    assert rehearsal.account.open_orders == ()


async def test_cancel_all_goes_by_symbol_or_settlement(rehearsal, bybit):
    price = far(rehearsal, "buy")
    first = await bybit.create_order(BTC, "limit", "buy", 0.01, price)
    eth = await bybit.create_order(ETH, "limit", "buy", 0.1, 0.995 * (await bid(bybit, ETH)))
    (canceled,) = await bybit.cancel_all_orders(BTC)
    assert canceled["id"] == first["id"]
    assert [each.order_id for each in rehearsal.account.open_orders] == [eth["id"]]
    await bybit.cancel_all_orders()
    assert rehearsal.account.open_orders == ()
    _, body = await rehearsal.post("/v5/order/cancel-all", {"category": "linear"})
    assert body["retCode"] == 10001


async def bid(bybit, symbol):
    return (await bybit.fetch_order_book(symbol, 1))["bids"][0][0]


async def test_pages_of_orders_join_without_gap(rehearsal, bybit):
    price = far(rehearsal, "buy")
    placed = [(await bybit.create_order(BTC, "limit", "buy", 0.01, price))["id"] for _ in range(3)]
    query, found = "category=linear&settleCoin=USDT&limit=2", []
    cursor = ""
    while True:
        _, body = await rehearsal.get("/v5/order/realtime", query + cursor)
        found += [row["orderId"] for row in body["result"]["list"]]
        if not body["result"]["nextPageCursor"]:
            break
        cursor = f"&cursor={body['result']['nextPageCursor']}"
    assert found == placed[::-1]


async def test_the_past_of_a_market_that_ended_is_still_listed(rehearsal, bybit):
    order = await bybit.create_order("LTC/USDT:USDT", "market", "buy", 1)
    rehearsal.floor.venue.do(commands.Delist("LTCUSDT"))
    answer = await bybit.privateGetV5ExecutionList({"category": "linear", "limit": 100})
    ours = [row for row in answer["result"]["list"] if row["symbol"] == "LTCUSDT"]
    assert {(row["execType"], row["side"]) for row in ours} == {
        ("Trade", "Buy"),
        ("Settle", "Sell"),
    }
    orders = await bybit.privateGetV5OrderHistory({"category": "linear"})
    assert order["id"] in {row["orderId"] for row in orders["result"]["list"]}
    with pytest.raises(ccxt.BadRequest, match="symbol invalid"):
        await bybit.privateGetV5ExecutionList({"category": "linear", "symbol": "LTCUSDT"})
