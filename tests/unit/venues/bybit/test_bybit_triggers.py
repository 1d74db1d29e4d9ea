from decimal import Decimal

import pytest

from counterpoise.domain.errors import OutcomeUnknown, VenueRejected
from counterpoise.domain.orders import OrderState, Side

CREATE = "/v5/order/create"


def listed(*rows):
    return {"retCode": 0, "time": 7, "result": {"list": list(rows), "nextPageCursor": ""}}


def row(status, **changes):
    base = {
        "symbol": "BTCUSDT",
        "orderId": "o1",
        "orderLinkId": "cp1",
        "orderStatus": status,
        "side": "Sell",
        "qty": "0.5",
        "orderType": "Market",
        "cumExecQty": "0",
        "triggerPrice": "90000.1",
        "reduceOnly": True,
        "updatedTime": "5",
    }
    return base | changes


@pytest.mark.parametrize(
    ("side", "trigger", "sent", "direction"),
    [(Side.SELL, "90000.12", "90000.2", 2), (Side.BUY, "110000.18", "110000.1", 1)],
)
async def test_a_stop_acts_a_tick_earlier_never_later(
    venue, stub, journal_order, side, trigger, sent, direction
):
    order = await journal_order(
        quantity="0.5", side=side, price=None, reduce_only=True, trigger_price=trigger
    )
    update = await venue.place_trigger(order)
    assert stub.sent(CREATE) == [
        {
            "category": "linear",
            "symbol": "BTCUSDT",
            "side": "Sell" if side is Side.SELL else "Buy",
            "orderType": "Market",
            "qty": "0.5",
            "triggerPrice": sent,
            "triggerBy": "MarkPrice",
            "triggerDirection": direction,
            "positionIdx": 0,
            "reduceOnly": True,
            "orderLinkId": order.intent.client_order_id,
            "smpType": "CancelMaker",
        }
    ]
    assert (update.state, update.venue_order_id) == (OrderState.ACCEPTED, "venue-1")


async def test_a_stop_the_mark_has_passed_is_refused_and_an_unread_answer_is_unknown(
    venue, stub, journal_order
):
    order = await journal_order(
        quantity="0.5", side=Side.SELL, price=None, reduce_only=True, trigger_price="90000"
    )
    stub.answers[CREATE] = {"retCode": 110093, "retMsg": "expect Falling", "result": {}}
    with pytest.raises(VenueRejected) as refused:
        await venue.place_trigger(order)
    assert refused.value.code == "110093"
    stub.answers[CREATE] = {"retCode": 0, "result": {}}
    with pytest.raises(OutcomeUnknown):
        await venue.place_trigger(order)


@pytest.mark.parametrize(
    ("status", "filled", "state"),
    [
        ("Untriggered", "0", OrderState.ACCEPTED),
        ("Triggered", "0", OrderState.ACCEPTED),
        ("Filled", "0.5", OrderState.FILLED),
        ("Deactivated", "0", OrderState.CANCELED),
        ("Cancelled", "0.2", OrderState.CANCELED),
        ("Rejected", "0", OrderState.REJECTED),
    ],
)
async def test_what_became_of_a_stop(venue, stub, status, filled, state):
    stub.answers["/v5/order/realtime"] = listed(row(status, cumExecQty=filled))
    found = await venue.find_trigger("BTCUSDT", "cp1")
    assert (found.client_order_id, found.state) == ("cp1", state)
    if state is not OrderState.ACCEPTED:
        assert found.filled_quantity == Decimal(filled)


async def test_a_stop_that_is_long_over_is_in_the_history(venue, stub):
    stub.answers["/v5/order/history"] = listed(row("Deactivated"))
    assert (await venue.find_trigger("BTCUSDT", "cp1")).state is OrderState.CANCELED
    assert await venue.find_trigger("BTCUSDT", "cp2") is None


async def test_only_what_waits_is_listed(venue, stub):
    def realtime(fields):
        assert fields["orderFilter"] == "StopOrder"
        return listed(
            row("Untriggered"),
            row("New", orderId="o2"),
            row("Untriggered", orderId="o3", orderLinkId="", qty="0", side="Buy"),
        )

    stub.answers["/v5/order/realtime"] = realtime
    first, second = await venue.triggers()
    assert (first.client_order_id, first.quantity) == ("cp1", Decimal("0.5"))
    assert (first.trigger_price, first.side) == (Decimal("90000.1"), Side.SELL)
    assert (second.client_order_id, second.quantity) == (None, None)
