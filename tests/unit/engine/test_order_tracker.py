"""An order's state moves only along its table; what is told twice changes nothing."""

from decimal import Decimal

import pytest

from counterpoise.domain.account import OpenOrder
from counterpoise.domain.events import OrderUpdate, UpdateSource
from counterpoise.domain.orders import TERMINAL, TRANSITIONS, OrderState, Side
from counterpoise.engine.order_tracker import REDUCTION_COUNTS_NS, OrderTracker
from engine_world import World, ready


def adopted(state: OrderState = OrderState.ACCEPTED, *, reduce_only: bool = False) -> OrderTracker:
    tracker = OrderTracker()
    tracker.adopt(
        OpenOrder(
            client_order_id="cp" + "1" * 30,
            venue_order_id="v1",
            instrument_id="BTCUSDT",
            side=Side.SELL,
            quantity=Decimal("0.5"),
            filled_quantity=Decimal(0),
            price_limit=Decimal(50_000),
            reduce_only=reduce_only,
            state=state,
        ),
        created_ns=1,
        expires_ns=2,
    )
    return tracker


def told(tracker: OrderTracker, state: OrderState, filled: str | None = None) -> object:
    return tracker.told(
        OrderUpdate(
            client_order_id="cp" + "1" * 30,
            venue_order_id="v1",
            instrument_id="BTCUSDT",
            state=state,
            filled_quantity=None if filled is None else Decimal(filled),
            average_price=None,
            source=UpdateSource.STREAM,
            code=None,
            message="",
            order=None,
            event_ns=3,
            received_ns=3,
        )
    )


@pytest.mark.parametrize("state", [s for s in OrderState if s not in TERMINAL])
@pytest.mark.parametrize("following", list(OrderState))
def test_only_the_table_moves_a_state(state: OrderState, following: OrderState) -> None:
    tracker = adopted(state)
    changed = told(tracker, following, "0.1")
    order = tracker.get("cp" + "1" * 30)
    assert order is not None
    allowed = following in TRANSITIONS[state]
    assert (changed is not None) == allowed
    assert order.state is (following if allowed else state)


def test_a_terminal_state_is_left_by_nothing() -> None:
    tracker = adopted()
    told(tracker, OrderState.FILLED, "0.5")
    for late in OrderState:
        assert told(tracker, late, "0.2") is None
    order = tracker.get("cp" + "1" * 30)
    assert order is not None
    assert order.state is OrderState.FILLED
    assert order.open_order.filled_quantity == Decimal("0.5")


def test_the_filled_quantity_never_falls() -> None:
    tracker = adopted()
    told(tracker, OrderState.PARTIALLY_FILLED, "0.3")
    assert told(tracker, OrderState.PARTIALLY_FILLED, "0.2") is None
    told(tracker, OrderState.CANCELED, "0.1")
    order = tracker.get("cp" + "1" * 30)
    assert order is not None
    assert order.open_order.filled_quantity == Decimal("0.3")


def test_an_unknown_reduction_counts_as_working_only_for_a_while() -> None:
    tracker = adopted(reduce_only=True)
    told(tracker, OrderState.UNKNOWN)
    assert tracker.reducing(REDUCTION_COUNTS_NS) == {"BTCUSDT": Decimal("0.5")}
    assert tracker.reducing(REDUCTION_COUNTS_NS + 2) == {}
    assert tracker.unresolved() == frozenset({"BTCUSDT"})


def test_an_acknowledged_order_the_venue_no_longer_lists_is_asked_about() -> None:
    tracker = adopted()
    assert [o.open_order.venue_order_id for o in tracker.reconciled((), asked_ns=5)] == ["v1"]
    assert tracker.reconciled((), asked_ns=1) == []


def test_an_order_of_somebody_else_counts_in_the_gate() -> None:
    tracker = OrderTracker()
    foreign = OpenOrder(
        client_order_id=None,
        venue_order_id="other",
        instrument_id="ETHUSDT",
        side=Side.BUY,
        quantity=Decimal(1),
        filled_quantity=Decimal(0),
        price_limit=None,
        reduce_only=False,
        state=OrderState.ACCEPTED,
    )
    tracker.reconciled((foreign,), asked_ns=5)
    assert tracker.open_orders() == (foreign,)
    tracker.reconciled((), asked_ns=6)
    assert tracker.open_orders() == ()


def test_a_rejected_call_makes_the_engine_read_the_account_again() -> None:
    world: World = ready(positions={"BTCUSDT": ("0.58", "50000")})
    world.mark("BTCUSDT", "50000")
    assert world.submits(), "the guard was to reduce 2.9x"
    sent = world.submits()[0].intent
    world.order(
        sent.client_order_id,
        OrderState.REJECTED,
        source=UpdateSource.LOCAL,
        venue_order_id=None,
        code="51169",
    )
    assert any(getattr(a, "cause", "") == "rejected" for a in world.done)
