"""Bybit's conditional orders and the trading stop: parameters, refusals, lists, position rows."""

from decimal import Decimal

import pytest

from counterpoise.simulator import commands

pytestmark = pytest.mark.asyncio(loop_scope="module")

ACCOUNT_LISTS = "category=linear&symbol=BTCUSDT"


@pytest.fixture
def waiting(rehearsal):
    yield rehearsal
    for order in live(rehearsal):
        command = commands.CancelTrigger(rehearsal.key.account_id, order.trigger_order_id)
        rehearsal.floor.venue.do(command)


def live(rehearsal):
    return [e for e in rehearsal.exchange.trigger_orders(rehearsal.key.account_id) if e.live]


def at(rehearsal, fraction):
    price = rehearsal.exchange.mark("BTCUSDT") * Decimal(fraction)
    return str(price // Decimal("0.1") * Decimal("0.1"))


def body(rehearsal, **changes):
    return {
        "category": "linear", "symbol": "BTCUSDT", "side": "Sell", "orderType": "Market",
        "qty": "0.01", "triggerPrice": at(rehearsal, "0.98"), "triggerDirection": 2,
        "triggerBy": "MarkPrice",
    } | changes  # fmt: skip


async def bought(rehearsal):
    _, answer = await rehearsal.post(
        "/v5/order/create",
        {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Market",
         "qty": "0.05"},
    )  # fmt: skip
    assert answer["retCode"] == 0


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"triggerDirection": None}, 10001, "TriggerDirection"),
        ({"triggerBy": "BestPrice"}, 10001, "TriggerBy"),
        ({"triggerPrice": "-1"}, 10001, "TriggerPrice"),
        ({"triggerDirection": 1}, 110092, "expect Rising"),
        ({"triggerPrice": "999999"}, 110093, "expect Falling"),
        ({"qty": "0"}, 10001, "Qty invalid"),
        ({"orderType": "Limit"}, 10001, "Price invalid"),
        ({"positionIdx": 1}, 10001, "position idx"),
    ],
)
async def test_what_is_wrong_is_said_at_once(waiting, changes, code, words):
    _, answer = await waiting.post("/v5/order/create", body(waiting, **changes))
    assert answer["retCode"] == code
    assert words in answer["retMsg"]
    assert live(waiting) == []


async def test_filters_tell_both_kinds_apart(waiting):
    bid = at(waiting, "0.97")
    _, plain = await waiting.post(
        "/v5/order/create",
        {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit",
         "qty": "0.01", "price": bid},
    )  # fmt: skip
    _, held = await waiting.post("/v5/order/create", body(waiting, orderLinkId="held-1"))
    ids = {"Order": [plain["result"]["orderId"]], "StopOrder": [held["result"]["orderId"]]}

    async def listed(extra):
        _, answer = await waiting.get("/v5/order/realtime", ACCOUNT_LISTS + extra)
        return [row["orderId"] for row in answer["result"]["list"]]

    assert await listed("") == ids["StopOrder"] + ids["Order"]
    for name, wanted in ids.items():
        assert await listed(f"&orderFilter={name}") == wanted
    _, done = await waiting.post(
        "/v5/order/cancel-all",
        {"category": "linear", "symbol": "BTCUSDT", "orderFilter": "StopOrder"},
    )
    assert [row["orderId"] for row in done["result"]["list"]] == ids["StopOrder"]
    assert await listed("") == ids["Order"]
    _, answer = await waiting.get("/v5/order/history", f"{ACCOUNT_LISTS}&orderLinkId=held-1")
    (row,) = answer["result"]["list"]
    assert (row["orderStatus"], row["cancelType"], row["stopOrderType"]) == (
        "Deactivated", "CancelByUser", "Stop",
    )  # fmt: skip


async def test_a_trading_stop_is_set_moved_shown_and_taken_away(waiting):
    path = "/v5/position/trading-stop"
    fields = {"category": "linear", "symbol": "BTCUSDT", "tpslMode": "Full", "positionIdx": 0}
    _, refused = await waiting.post(path, fields | {"stopLoss": at(waiting, "0.98")})
    assert (refused["retCode"], refused["retMsg"]) == (
        10001, "can not set tp/sl/ts for zero position",
    )  # fmt: skip
    await bought(waiting)
    stop, profit = at(waiting, "0.98"), at(waiting, "1.05")
    wanted = fields | {"stopLoss": stop, "takeProfit": profit, "slTriggerBy": "MarkPrice"}
    _, done = await waiting.post(path, wanted)
    assert done["retCode"] == 0
    _, again = await waiting.post(path, wanted)
    assert again["retCode"] == 34040

    async def shown():
        _, answer = await waiting.get("/v5/position/list", ACCOUNT_LISTS)
        (row,) = answer["result"]["list"]
        return row["stopLoss"], row["takeProfit"]

    assert [Decimal(each) for each in await shown()] == [Decimal(stop), Decimal(profit)]
    assert {each.terms.quantity for each in live(waiting)} == {None}
    lower = at(waiting, "0.97")
    await waiting.post(path, fields | {"stopLoss": lower, "takeProfit": "0"})
    told_stop, told_profit = await shown()
    assert (Decimal(told_stop), told_profit) == (Decimal(lower), "")
    (order,) = live(waiting)
    assert order.terms.trigger_price == Decimal(lower)
    _, wrong = await waiting.post(
        path, fields | {"stopLoss": at(waiting, "1.02"), "slTriggerBy": "MarkPrice"}
    )
    assert wrong["retCode"] == 110093


async def test_a_part_of_a_position_has_its_own_stop(waiting):
    await bought(waiting)
    _, done = await waiting.post(
        "/v5/position/trading-stop",
        {"category": "linear", "symbol": "BTCUSDT", "tpslMode": "Partial", "positionIdx": 0,
         "stopLoss": at(waiting, "0.98"), "slSize": "0.02", "slTriggerBy": "MarkPrice"},
    )  # fmt: skip
    assert done["retCode"] == 0
    waiting.floor.venue.shock("BTCUSDT", -0.03, 0)
    waiting.grant(1)
    (held,) = waiting.account.positions.values()
    assert held.quantity == Decimal("0.03")
    _, answer = await waiting.get("/v5/order/history", f"{ACCOUNT_LISTS}&orderFilter=StopOrder")
    row = answer["result"]["list"][0]
    assert (row["orderStatus"], row["stopOrderType"], row["createType"], row["cumExecQty"]) == (
        "Filled", "StopLoss", "CreateByStopLoss", "0.02",
    )  # fmt: skip
