"""Changing resting orders, and orders of one account that meet."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from counterpoise.domain.orders import OrderKind, OrderState, Side, TimeInForce
from counterpoise.exchange.events import ExchangeEvent, OrderChanged
from counterpoise.exchange.exchange import Exchange
from counterpoise.exchange.modes import SelfTradeMode
from counterpoise.exchange.orders import (
    CancelCause,
    ExchangeOrder,
    NewOrder,
    OrderRefused,
    RefusalReason,
)

D = Decimal
BTC = "BTCUSDT"


def order(side: Side, quantity: str, price: Decimal | None = None, **other: Any) -> NewOrder:
    return NewOrder(
        instrument_id=BTC,
        side=side,
        quantity=D(quantity),
        kind=OrderKind.MARKET if price is None else OrderKind.LIMIT,
        price_limit=price,
        **other,
    )


def found(exchange: Exchange, name: str) -> ExchangeOrder:
    result = exchange.order("a", client_order_id=name)
    assert result is not None
    return result


def ends(events: list[ExchangeEvent]) -> list[tuple[str | None, CancelCause | None]]:
    return [
        (each.order.client_order_id, each.order.cancel_cause)
        for each in events
        if isinstance(each, OrderChanged) and not each.order.open
    ]


@pytest.fixture
def inside(exchange: Exchange) -> Decimal:
    """A bid alone at its price: between the background's best bid and best ask."""
    return exchange.book(BTC).bids[0][0] + D("0.1")


def test_smaller_quantity_keeps_the_place_in_the_queue(exchange: Exchange, inside: Decimal) -> None:
    exchange.open_account("b", D(10_000))
    exchange.place("a", order(Side.BUY, "0.05", inside, client_order_id="a1"))
    exchange.place("b", order(Side.BUY, "0.05", inside, client_order_id="b1"))
    placed, events = exchange.amend("a", client_order_id="a1", quantity=D("0.02"))
    assert placed.quantity == D("0.02")
    assert [type(each).__name__ for each in events] == ["OrderChanged", "BookChanged"]
    assert exchange.book(BTC).bids[0] == (inside, D("0.07"))
    exchange.open_account("c", D(10_000))
    exchange.place("c", order(Side.SELL, "0.03", inside))
    assert exchange.account("a").positions[BTC].quantity == D("0.02")
    assert exchange.account("b").positions[BTC].quantity == D("0.01")


@pytest.mark.parametrize("change", ["quantity", "price"])
def test_more_or_another_price_goes_to_the_end(
    exchange: Exchange, inside: Decimal, change: str
) -> None:
    exchange.open_account("b", D(10_000))
    exchange.open_account("c", D(10_000))
    start = inside if change == "quantity" else inside - 5
    exchange.place("a", order(Side.BUY, "0.02", start, client_order_id="a1"))
    exchange.place("b", order(Side.BUY, "0.02", inside))
    if change == "quantity":
        exchange.amend("a", client_order_id="a1", quantity=D("0.03"))
    else:
        exchange.amend("a", client_order_id="a1", price_limit=inside)
    exchange.place("c", order(Side.SELL, "0.02", inside))
    assert exchange.account("b").positions[BTC].quantity == D("0.02")
    assert exchange.account("a").positions == {}
    assert found(exchange, "a1").order_id == exchange.account("a").open_orders[0].order_id


def test_new_price_may_fill_and_post_only_may_not(exchange: Exchange, inside: Decimal) -> None:
    low = inside - 50
    exchange.place("a", order(Side.BUY, "0.01", low, client_order_id="takes"))
    exchange.place("a", order(Side.BUY, "0.01", low, client_order_id="shy", post_only=True))
    ask = exchange.book(BTC).asks[0][0]
    exchange.amend("a", client_order_id="takes", price_limit=ask)
    taken = found(exchange, "takes")
    assert (taken.state, taken.average_price, taken.price_limit) == (OrderState.FILLED, ask, ask)
    exchange.amend("a", client_order_id="shy", price_limit=ask)
    assert found(exchange, "shy").cancel_cause is CancelCause.POST_ONLY_WOULD_TAKE
    assert exchange.account("a").open_orders == ()


def test_quantity_counts_what_is_filled(exchange: Exchange, inside: Decimal) -> None:
    exchange.open_account("b", D(10_000))
    exchange.place("a", order(Side.BUY, "0.05", inside, client_order_id="a1"))
    exchange.place("b", order(Side.SELL, "0.02", inside, time_in_force=TimeInForce.IOC))
    exchange.amend("a", client_order_id="a1", quantity=D("0.03"))
    part = found(exchange, "a1")
    assert (part.filled_quantity, part.remaining) == (D("0.02"), D("0.01"))
    assert exchange.book(BTC).bids[0] == (inside, D("0.01"))
    _, events = exchange.amend("a", client_order_id="a1", quantity=D("0.02"))
    assert ends(events) == [("a1", CancelCause.AMENDED_AWAY)]
    assert found(exchange, "a1").filled_quantity == D("0.02")
    assert exchange.book(BTC).bids[0][0] < inside


def test_refused_amendments_change_nothing(exchange: Exchange, inside: Decimal) -> None:
    exchange.place("a", order(Side.BUY, "0.01", inside, client_order_id="a1"))
    exchange.place("a", order(Side.BUY, "0.01", client_order_id="over"))
    before = exchange.save()
    cases: list[tuple[dict[str, Any], RefusalReason]] = [
        ({"client_order_id": "a1"}, RefusalReason.AMEND_UNCHANGED),
        ({"client_order_id": "a1", "price_limit": inside}, RefusalReason.AMEND_UNCHANGED),
        ({"client_order_id": "nobody", "quantity": D(1)}, RefusalReason.ORDER_NOT_FOUND),
        ({"client_order_id": "over", "quantity": D(1)}, RefusalReason.ALREADY_OVER),
        ({"client_order_id": "a1", "quantity": D("0.00005")}, RefusalReason.QUANTITY_OFF_GRID),
        ({"client_order_id": "a1", "quantity": D(1)}, RefusalReason.MARGIN_INSUFFICIENT),
        ({"client_order_id": "a1", "price_limit": D("1.05")}, RefusalReason.PRICE_OFF_GRID),
        ({"client_order_id": "a1", "price_limit": inside * 2}, RefusalReason.PRICE_OUT_OF_BAND),
    ]
    for change, reason in cases:
        with pytest.raises(OrderRefused) as caught:
            exchange.amend("a", **change)
        assert caught.value.reason is reason
    assert exchange.save() == before


def test_reduce_only_is_amended_within_the_position(exchange: Exchange, inside: Decimal) -> None:
    exchange.place("a", order(Side.BUY, "0.03"))
    ask = exchange.book(BTC).asks[5][0]
    rest = order(Side.SELL, "0.01", ask, client_order_id="r", reduce_only=True)
    exchange.place("a", rest)
    placed, _ = exchange.amend("a", client_order_id="r", quantity=D("0.9"))
    assert placed.quantity == D("0.03")
    assert found(exchange, "r").quantity_asked == D("0.9")


@pytest.mark.parametrize(
    ("mode", "ended", "position"),
    [
        (SelfTradeMode.CANCEL_MAKER, [("maker", CancelCause.SELF_TRADE)], None),
        (SelfTradeMode.CANCEL_TAKER, [("taker", CancelCause.SELF_TRADE)], None),
        (
            SelfTradeMode.CANCEL_BOTH,
            [("maker", CancelCause.SELF_TRADE), ("taker", CancelCause.SELF_TRADE)],
            None,
        ),
        (SelfTradeMode.NONE, [("maker", None), ("taker", None)], None),
    ],
)
def test_self_trade_modes(
    exchange: Exchange, inside: Decimal, mode: SelfTradeMode,
    ended: list[tuple[str, CancelCause | None]], position: None,
) -> None:  # fmt: skip
    exchange.set_self_trade_mode("a", mode)
    assert exchange.self_trade_mode("a") is mode
    exchange.place("a", order(Side.BUY, "0.02", inside, client_order_id="maker"))
    taker = order(Side.SELL, "0.02", inside, client_order_id="taker")
    _, events = exchange.place("a", taker)
    assert ends(events) == ended
    assert exchange.account("a").positions.get(BTC) is position
    fills = exchange.fills("a", 0)
    if mode is SelfTradeMode.NONE:
        assert [(each.side, each.price, each.quantity) for each in fills] == [
            (Side.BUY, inside, D("0.02")), (Side.SELL, inside, D("0.02")),
        ]  # fmt: skip
    else:
        assert fills == ()


def test_an_order_may_say_otherwise_than_its_account(exchange: Exchange, inside: Decimal) -> None:
    exchange.place("a", order(Side.BUY, "0.02", inside, client_order_id="maker"))
    taker = order(Side.SELL, "0.02", inside, client_order_id="taker")
    _, events = exchange.place("a", replace(taker, self_trade=SelfTradeMode.CANCEL_TAKER))
    assert ends(events) == [("taker", CancelCause.SELF_TRADE)]
    assert found(exchange, "maker").open


def test_taker_trades_with_others_up_to_its_own_order(exchange: Exchange, inside: Decimal) -> None:
    exchange.open_account("b", D(10_000))
    exchange.set_self_trade_mode("a", SelfTradeMode.CANCEL_TAKER)
    exchange.place("b", order(Side.BUY, "0.01", inside))
    exchange.place("a", order(Side.BUY, "0.01", inside, client_order_id="own"))
    exchange.place("a", order(Side.SELL, "0.03", inside - 50, client_order_id="taker"))
    taker = found(exchange, "taker")
    assert (taker.filled_quantity, taker.cancel_cause) == (D("0.01"), CancelCause.SELF_TRADE)
    fok = order(Side.SELL, "0.02", inside - 50, time_in_force=TimeInForce.FOK)
    _, events = exchange.place("a", fok)
    assert ends(events) == [(None, CancelCause.FOK_NOT_FILLED)]
