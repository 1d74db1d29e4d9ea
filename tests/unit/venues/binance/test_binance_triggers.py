"""Stops as Binance's algo orders: what is sent, and what became of one."""

from decimal import Decimal

import pytest
from aiohttp import web

from counterpoise.domain.errors import OutcomeUnknown, VenueRejected, VenueUnreachable
from counterpoise.domain.orders import OrderState, Side

PLACE = "POST /fapi/v1/algoOrder"
FIND = "GET /fapi/v1/algoOrder"
KEY = "cp0123456789abcdef0123456789abcd"


def algo_row(**changes):
    return {
        "algoId": 9, "clientAlgoId": KEY, "symbol": "BTCUSDT", "side": "SELL", "algoStatus": "NEW",
        "quantity": "0.5", "triggerPrice": "80000", "reduceOnly": True, "actualOrderId": "",
        "createTime": 1, "updateTime": 2,
    } | changes  # fmt: skip


async def stop(journal_order, **changes):
    return await journal_order(
        **{
            "quantity": "0.5009",
            "price": None,
            "side": Side.SELL,
            "reduce_only": True,
            "trigger_price": "80000.01",
        }
        | changes
    )


async def test_a_stop_waits_for_the_mark_and_ends_with_the_position(venue, stub, journal_order):
    stub.answers[PLACE] = algo_row()
    update = await venue.place_trigger(await stop(journal_order))
    (sent,) = stub.sent(PLACE)
    for stamp in ("timestamp", "signature", "recvWindow"):
        del sent[stamp]
    # The price is rounded toward the mark: a stop that acts a tick earlier, never later.
    assert sent == {
        "algoType": "CONDITIONAL", "symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET",
        "quantity": "0.5", "triggerPrice": "80000.1", "workingType": "MARK_PRICE",
        "reduceOnly": "true", "timeInForce": "GTE_GTC", "clientAlgoId": KEY,
    }  # fmt: skip
    assert (update.state, update.venue_order_id) == (OrderState.ACCEPTED, "9")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"code": -2021, "msg": "would trigger"}, VenueRejected),
        ({"code": -4509, "msg": "no position"}, VenueRejected),
        ({"code": -1007, "msg": "?"}, OutcomeUnknown),
    ],
)
async def test_a_refused_stop_is_refused_and_an_unknown_one_unknown(
    venue, stub, journal_order, answer, error
):
    stub.answers[PLACE] = lambda _fields: web.json_response(answer, status=400)
    with pytest.raises(error):
        await venue.place_trigger(await stop(journal_order))
    stub.answers[PLACE] = algo_row(clientAlgoId="another")
    with pytest.raises(OutcomeUnknown):
        await venue.place_trigger(await stop(journal_order))


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("NEW", OrderState.ACCEPTED),
        ("TRIGGERING", OrderState.ACCEPTED),
        ("CANCELED", OrderState.CANCELED),
        ("EXPIRED", OrderState.CANCELED),
        ("REJECTED", OrderState.REJECTED),
    ],
)
async def test_a_stop_without_an_order_is_what_its_status_says(venue, stub, status, state):
    stub.answers[FIND] = algo_row(algoStatus=status)
    found = await venue.find_trigger("BTCUSDT", KEY)
    assert found is not None
    assert (found.client_order_id, found.state, found.filled_quantity) == (KEY, state, 0)


async def test_a_stop_that_acted_is_what_its_order_is(venue, stub):
    stub.answers[FIND] = algo_row(algoStatus="FINISHED", actualOrderId="77", actualQty="0.2")
    stub.answers["GET /fapi/v1/order"] = {
        "symbol": "BTCUSDT", "orderId": 77, "clientOrderId": KEY, "status": "FILLED",
        "side": "SELL", "type": "MARKET", "origQty": "0.5", "executedQty": "0.5",
        "avgPrice": "79990", "updateTime": 3,
    }  # fmt: skip
    found = await venue.find_trigger("BTCUSDT", KEY)
    assert found is not None
    assert (found.state, found.filled_quantity) == (OrderState.FILLED, Decimal("0.5"))
    assert found.average_price == 79_990
    # An order that is forgotten is over; the stop still says what it filled.
    stub.answers["GET /fapi/v1/order"] = lambda _fields: web.json_response(
        {"code": -2013, "msg": "no"}, status=400
    )
    found = await venue.find_trigger("BTCUSDT", KEY)
    assert found is not None
    assert (found.state, found.filled_quantity) == (OrderState.CANCELED, Decimal("0.2"))


async def test_a_state_nobody_documented_is_no_answer(venue, stub):
    stub.answers[FIND] = algo_row(algoStatus="SLEEPING")
    with pytest.raises(VenueUnreachable):
        await venue.find_trigger("BTCUSDT", KEY)


async def test_everything_that_waits_is_listed_whoever_sent_it(venue, stub):
    stub.answers["GET /fapi/v1/openAlgoOrders"] = [
        algo_row(algoId=11, clientAlgoId="", quantity="0", closePosition=True, reduceOnly=False),
        algo_row(),
    ]
    foreign, ours = await venue.triggers()
    assert (foreign.client_order_id, foreign.quantity, foreign.reduce_only) == (None, None, True)
    assert (ours.client_order_id, ours.quantity, ours.side) == (KEY, Decimal("0.5"), Side.SELL)
    assert ours.trigger_price == 80_000
