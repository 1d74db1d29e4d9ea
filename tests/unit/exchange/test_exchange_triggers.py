"""Trigger orders of the modelled venue: what they wait for, what they place, how they end."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from counterpoise.domain.orders import OrderKind, OrderState, Side
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.exchange.events import ExchangeEvent, OrderChanged, TriggerChanged
from counterpoise.exchange.exchange import Exchange
from counterpoise.exchange.modes import PositionMode, PositionSide
from counterpoise.exchange.orders import (
    CancelCause,
    NewOrder,
    OrderRefused,
    RefusalReason,
    TriggerDirection,
    TriggerSource,
)
from counterpoise.exchange.parameters import ExchangeParameters
from counterpoise.exchange.triggers import TRIGGER_RULES, NewTrigger, TriggerOrder, TriggerState
from counterpoise.exchange.venues import binance_parameters, bybit_parameters

D = Decimal
BTC = "BTCUSDT"


def buy(exchange: Exchange, quantity: str = "0.1", **more: object) -> None:
    order = NewOrder(
        instrument_id=BTC, side=Side.BUY, quantity=D(quantity), kind=OrderKind.MARKET, **more
    )
    exchange.place("a", order)


def sell(exchange: Exchange, quantity: str, **more: object) -> None:
    order = NewOrder(
        instrument_id=BTC, side=Side.SELL, quantity=D(quantity), kind=OrderKind.MARKET, **more
    )
    exchange.place("a", order)


def stop(exchange: Exchange, under: str = "0.01", **more: object) -> NewTrigger:
    """A market stop under the mark for a long of 0.1."""
    price = exchange.mark(BTC) * (1 - D(under))
    tick = exchange.instrument(BTC).tick_size
    terms: dict[str, object] = {
        "instrument_id": BTC, "side": Side.SELL, "quantity": D("0.1"),
        "trigger_price": price // tick * tick, "source": TriggerSource.MARK,
        "direction": TriggerDirection.FALLING, "reduce_only": True,
    }  # fmt: skip
    return NewTrigger(**(terms | more))  # type: ignore[arg-type]


def rest(exchange: Exchange, terms: NewTrigger) -> str:
    return exchange.place_trigger("a", terms)[0].order_id


def fall(exchange: Exchange, fraction: float) -> list[ExchangeEvent]:
    exchange.shock(BTC, -fraction, 0)
    return exchange.advance(exchange.now_ns + NS_PER_SECOND)


def known(exchange: Exchange, order_id: str) -> TriggerOrder:
    found = exchange.trigger_order("a", order_id=order_id)
    assert found is not None
    return found


def position(exchange: Exchange, key: str = BTC) -> Decimal:
    held = exchange.account("a").positions.get(key)
    return D(0) if held is None else held.quantity


def refusal(exchange: Exchange, terms: NewTrigger) -> RefusalReason:
    with pytest.raises(OrderRefused) as refused:
        exchange.place_trigger("a", terms)
    return refused.value.reason


def test_it_binds_no_margin_and_is_in_no_book(exchange: Exchange) -> None:
    buy(exchange)
    before = exchange.account("a")
    placed, events = exchange.place_trigger("a", stop(exchange, client_order_id="s1"))
    after = exchange.account("a")
    assert (after.initial_margin, after.open_orders) == (before.initial_margin, ())
    assert (placed.client_order_id, placed.quantity) == ("s1", D("0.1"))
    (told,) = (each for each in events if isinstance(each, TriggerChanged))
    assert told.trigger.state is TriggerState.LIVE
    assert exchange.trigger_orders("a") == (told.trigger,)


def test_reached_it_tells_first_and_its_order_follows(exchange: Exchange) -> None:
    buy(exchange)
    order_id = rest(exchange, stop(exchange))
    told = [
        each
        for each in fall(exchange, 0.02)
        if isinstance(each, TriggerChanged)
        or (isinstance(each, OrderChanged) and each.order.trigger is not None)
    ]
    first, accepted, *fills = told
    assert isinstance(first, TriggerChanged)
    assert isinstance(accepted, OrderChanged)
    assert first.trigger.order_id == accepted.order.order_id
    assert (accepted.order.state, accepted.fill) == (OrderState.ACCEPTED, None)
    last = fills[-1]
    assert isinstance(last, OrderChanged)
    assert (last.order.state, last.order.filled_quantity) == (OrderState.FILLED, D("0.1"))
    assert position(exchange) == 0
    order = known(exchange, order_id)
    assert (order.state, order.triggered_ns) == (TriggerState.TRIGGERED, first.event_ns)


def test_a_rising_one_waits_for_the_rise(exchange: Exchange) -> None:
    sell(exchange, "0.1")
    terms = stop(exchange, "-0.01", side=Side.BUY, direction=TriggerDirection.RISING)
    order_id = rest(exchange, terms)
    fall(exchange, 0.02)
    assert known(exchange, order_id).state is TriggerState.LIVE
    fall(exchange, -0.05)
    assert known(exchange, order_id).state is TriggerState.TRIGGERED
    assert position(exchange) == 0


@pytest.mark.parametrize("source", [TriggerSource.INDEX, TriggerSource.LAST])
def test_it_may_wait_for_another_price(exchange: Exchange, source: TriggerSource) -> None:
    buy(exchange)
    order_id = rest(exchange, stop(exchange, "0.02", source=source))
    fall(exchange, 0.04)
    # The last price moves with the next trade alone.
    buy(exchange, "0.001")
    exchange.advance(exchange.now_ns + NS_PER_SECOND)
    assert known(exchange, order_id).state is TriggerState.TRIGGERED


def test_a_limit_order_rests_at_its_price(exchange: Exchange) -> None:
    buy(exchange)
    terms = stop(exchange, kind=OrderKind.LIMIT)
    above = terms.trigger_price * D("1.01") // D("0.1") * D("0.1")
    order_id = rest(exchange, replace(terms, price_limit=above))
    fall(exchange, 0.02)
    (resting,) = exchange.account("a").open_orders
    assert resting.order_id == known(exchange, order_id).order_id
    assert (resting.price_limit, resting.reduce_only, position(exchange)) == (above, True, D("0.1"))


def test_a_reduction_is_cut_to_what_is_held(exchange: Exchange) -> None:
    buy(exchange)
    order_id = rest(exchange, stop(exchange, quantity=D("0.5")))
    sell(exchange, "0.06")
    fall(exchange, 0.02)
    child = exchange.order("a", order_id=known(exchange, order_id).order_id)
    assert child is not None
    assert (child.quantity, position(exchange)) == (D("0.04"), 0)


def test_closing_all_closes_what_is_held_when_it_is_reached(exchange: Exchange) -> None:
    buy(exchange)
    order_id = rest(exchange, stop(exchange, quantity=None, reduce_only=False))
    buy(exchange, "0.03")
    fall(exchange, 0.02)
    child = exchange.order("a", order_id=known(exchange, order_id).order_id)
    assert child is not None
    assert (child.filled_quantity, child.reduce_only) == (D("0.13"), True)
    assert position(exchange) == 0


@pytest.mark.parametrize(
    ("flip", "failure"),
    [("0.1", RefusalReason.REDUCE_ONLY_NO_POSITION), ("0.2", RefusalReason.REDUCE_ONLY_SAME_SIDE)],
)
def test_a_reduction_with_nothing_to_reduce_fails(
    exchange: Exchange, flip: str, failure: RefusalReason
) -> None:
    buy(exchange)
    order_id = rest(exchange, stop(exchange))
    sell(exchange, flip)
    before = position(exchange)
    fall(exchange, 0.02)
    order = known(exchange, order_id)
    assert (order.state, order.failure, order.order_id) == (TriggerState.FAILED, failure, None)
    assert position(exchange) == before


def test_an_order_without_margin_fails_when_it_is_reached(exchange: Exchange) -> None:
    order_id = rest(exchange, stop(exchange, quantity=D(50), reduce_only=False))
    fall(exchange, 0.02)
    order = known(exchange, order_id)
    assert (order.state, order.failure) == (
        TriggerState.FAILED,
        RefusalReason.MARGIN_INSUFFICIENT,
    )


def test_one_bound_to_its_position_ends_with_it(exchange: Exchange) -> None:
    assert refusal(exchange, stop(exchange, with_position=True)) is (
        RefusalReason.REDUCE_ONLY_NO_POSITION
    )
    buy(exchange)
    bound = rest(exchange, stop(exchange, with_position=True))
    free = rest(exchange, stop(exchange))
    sell(exchange, "0.1")
    assert (known(exchange, bound).state, known(exchange, bound).cancel_cause) == (
        TriggerState.CANCELED,
        CancelCause.POSITION_GONE,
    )
    assert known(exchange, free).state is TriggerState.LIVE


def test_what_is_reached_already_is_refused(exchange: Exchange) -> None:
    assert refusal(exchange, stop(exchange, "0")) is RefusalReason.TRIGGER_AT_ONCE
    assert refusal(exchange, stop(exchange, "-0.01")) is RefusalReason.TRIGGER_AT_ONCE


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"instrument_id": "NOPE"}, RefusalReason.INSTRUMENT_UNKNOWN),
        ({"quantity": D("0.00001")}, RefusalReason.QUANTITY_OFF_GRID),
        ({"quantity": D(0)}, RefusalReason.QUANTITY_TOO_SMALL),
        ({"trigger_price": D("80000.01")}, RefusalReason.PRICE_OFF_GRID),
        ({"trigger_price": D(0)}, RefusalReason.PRICE_OFF_GRID),
        ({"client_order_id": "no dots."}, RefusalReason.CLIENT_ORDER_ID_INVALID),
        ({"position_side": PositionSide.LONG}, RefusalReason.POSITION_SIDE_MISMATCH),
        ({"kind": OrderKind.LIMIT}, RefusalReason.ORDER_INVALID),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_rests(
    exchange: Exchange, changes: dict[str, object], reason: RefusalReason
) -> None:
    assert refusal(exchange, stop(exchange, **changes)) is reason
    assert exchange.trigger_orders("a") == ()


def test_amending_and_canceling(exchange: Exchange) -> None:
    buy(exchange)
    order_id = rest(exchange, stop(exchange, client_order_id="s1"))
    lower = stop(exchange, "0.05").trigger_price
    exchange.amend_trigger("a", client_order_id="s1", trigger_price=lower, quantity=D("0.05"))
    terms = known(exchange, order_id).terms
    assert (terms.trigger_price, terms.quantity) == (lower, D("0.05"))
    with pytest.raises(OrderRefused) as refused:
        exchange.amend_trigger("a", order_id=order_id, trigger_price=exchange.mark(BTC) * 2)
    assert refused.value.reason in (RefusalReason.TRIGGER_AT_ONCE, RefusalReason.PRICE_OFF_GRID)
    with pytest.raises(OrderRefused) as refused:
        exchange.amend_trigger("a", order_id=order_id, quantity=D("0.05"))
    assert refused.value.reason is RefusalReason.AMEND_UNCHANGED
    fall(exchange, 0.02)
    assert known(exchange, order_id).state is TriggerState.LIVE
    exchange.cancel_trigger("a", client_order_id="s1")
    assert known(exchange, order_id).cancel_cause is CancelCause.CLIENT
    with pytest.raises(OrderRefused) as refused:
        exchange.cancel_trigger("a", order_id=order_id)
    assert refused.value.reason is RefusalReason.ALREADY_OVER
    fall(exchange, 0.1)
    assert position(exchange) == D("0.1")


def test_a_name_is_free_again_when_its_order_is_over(exchange: Exchange) -> None:
    order_id = rest(exchange, stop(exchange, client_order_id="s1"))
    again = stop(exchange, client_order_id="s1")
    assert refusal(exchange, again) is RefusalReason.CLIENT_ORDER_ID_DUPLICATE
    exchange.cancel_trigger("a", order_id=order_id)
    rest(exchange, again)


def test_positions_of_hedge_mode_have_stops_of_their_own(exchange: Exchange) -> None:
    exchange.set_position_mode("a", PositionMode.HEDGE)
    buy(exchange, position_side=PositionSide.LONG)
    sell(exchange, "0.1", position_side=PositionSide.SHORT)
    rest(exchange, stop(exchange, position_side=PositionSide.LONG))
    with pytest.raises(OrderRefused) as refused:
        exchange.set_position_mode("a", PositionMode.ONE_WAY)
    assert refused.value.reason is RefusalReason.MODE_LOCKED
    fall(exchange, 0.02)
    assert (position(exchange, f"{BTC}:long"), position(exchange, f"{BTC}:short")) == (0, D("-0.1"))


def test_a_waiting_one_locks_the_position_mode(exchange: Exchange) -> None:
    rest(exchange, stop(exchange))
    with pytest.raises(OrderRefused) as refused:
        exchange.set_position_mode("a", PositionMode.HEDGE)
    assert refused.value.reason is RefusalReason.MODE_LOCKED


def test_delisting_ends_them(exchange: Exchange) -> None:
    order_id = rest(exchange, stop(exchange))
    exchange.delist(BTC)
    assert known(exchange, order_id).cancel_cause is CancelCause.DELISTING


def test_protection_keeps_it_from_a_torn_market(exchange: Exchange) -> None:
    buy(exchange)
    # The last price stays behind the mark for the step of the shock.
    order_id = rest(exchange, stop(exchange, protect_fraction=D("0.0000001")))
    fall(exchange, 0.02)
    assert known(exchange, order_id).failure is RefusalReason.TRIGGER_PROTECTED
    assert position(exchange) == D("0.1")


def test_a_saved_venue_goes_on_with_them(
    exchange: Exchange, parameters: ExchangeParameters
) -> None:
    buy(exchange)
    waiting = rest(exchange, stop(exchange, client_order_id="s1"))
    ended = rest(exchange, stop(exchange, "0.03"))
    exchange.cancel_trigger("a", order_id=ended)
    saved = json.loads(json.dumps(exchange.save(), default=str))
    restored = Exchange.restore(parameters, saved)
    assert restored.trigger_orders("a") == exchange.trigger_orders("a")
    assert fall(exchange, 0.02) == fall(restored, 0.02)
    assert known(restored, waiting).state is TriggerState.TRIGGERED
    assert restored.save() == exchange.save()


def venue(parameters: ExchangeParameters, opened_ns: int) -> Exchange:
    exchange = Exchange.create(replace(parameters, history_days=1), opened_ns)
    exchange.open_account("a", D(100_000))
    exchange.advance(opened_ns + NS_PER_SECOND)
    return exchange


def test_bybit_has_one_order_under_one_id_and_ten_at_most(opened_ns: int) -> None:
    exchange = venue(bybit_parameters(7), opened_ns)
    buy(exchange)
    first = rest(exchange, stop(exchange, client_order_id="one"))
    for number in range(9):
        rest(exchange, stop(exchange, f"0.0{number + 1}", client_order_id=f"n{number}"))
    assert refusal(exchange, stop(exchange)) is RefusalReason.TRIGGER_ORDERS_TOO_MANY
    with pytest.raises(OrderRefused) as refused:
        buy(exchange, client_order_id="one")
    assert refused.value.reason is RefusalReason.CLIENT_ORDER_ID_DUPLICATE
    fall(exchange, 0.011)
    child = exchange.order("a", client_order_id="one")
    assert child is not None
    assert (child.order_id, child.created_ns) == (first, known(exchange, first).created_ns)
    assert refusal(exchange, stop(exchange, client_order_id="one")) is (
        RefusalReason.CLIENT_ORDER_ID_DUPLICATE
    )


def test_binance_counts_them_over_all_instruments(opened_ns: int) -> None:
    exchange = venue(binance_parameters(7), opened_ns)
    most = TRIGGER_RULES["binance"].open_max
    terms = stop(exchange)
    for number in range(most):
        name = ("BTCUSDT", "ETHUSDT")[number % 2]
        price = D(10) if name == "ETHUSDT" else terms.trigger_price
        rest(exchange, replace(terms, instrument_id=name, trigger_price=price))
    assert refusal(exchange, terms) is RefusalReason.TRIGGER_ORDERS_TOO_MANY
