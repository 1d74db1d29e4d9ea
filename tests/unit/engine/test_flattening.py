"""A flatten is done when nothing is held and nothing that is on its way may still be."""

from decimal import Decimal

import pytest

from counterpoise.domain.account import OpenOrder
from counterpoise.domain.events import (
    ControlAction,
    ControlRequested,
    CycleDue,
    InstrumentStateTold,
    OrderUnresolved,
    OrderUpdate,
    Tick,
    UpdateSource,
)
from counterpoise.domain.instruments import InstrumentState
from counterpoise.domain.orders import ApprovedOrder, OrderState, Side
from counterpoise.domain.records import DecisionMade, IncidentOpened, TradingStateChanged
from counterpoise.engine.trading_state import Cause
from engine_world import World, make_state, ready, warm

BOOK = {"BTCUSDT": ("0.2", "50000"), "ETHUSDT": ("-1", "2500")}


def seconds(world: World, count: int) -> None:
    """Let time pass with fresh data."""
    for _ in range(count):
        world.after(1)
        world.market()
        world.feed(Tick(now_ns=world.now_ns))


def ask(world: World, action: ControlAction) -> None:
    world.feed(
        ControlRequested(
            control_id=str(world.now_ns),
            action=action,
            actor="op",
            reason="",
            from_halt=False,
            received_ns=world.now_ns,
        )
    )


def growing() -> tuple[World, ApprovedOrder]:
    """Return a world whose cycle has sent an increase of its hedge, and that order."""
    world = ready(positions=BOOK)
    seconds(world, 1)
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.now_ns))
    world.reconcile("cycle", positions=BOOK)
    (increase,) = world.submits()
    assert not increase.intent.reduce_only
    world.after(0.1)
    return world, increase


def lose(world: World, order: ApprovedOrder) -> None:
    """Leave an order without an answer."""
    world.order(
        order.intent.client_order_id,
        OrderState.UNKNOWN,
        name=order.intent.instrument_id,
        source=UpdateSource.LOCAL,
        venue_order_id=None,
        code="TIMEOUT",
    )


def close_all(world: World) -> None:
    """Fill every reduction sent so far."""
    for sent in [s for s in world.submits() if s.intent.reduce_only]:
        world.fill(sent)
        world.position(sent.intent.instrument_id, "0", None)


def incidents(world: World) -> list[str]:
    return [r.kind for r in world.records(IncidentOpened) if isinstance(r, IncidentOpened)]


def assert_closed_at_once(world: World, increase: ApprovedOrder) -> None:
    """Fill the increase that was under way: the next tick takes it off again."""
    before = len(world.submits())
    world.fill(increase)
    world.position("ETHUSDT", str(-increase.quantity), "2500")
    seconds(world, 1)
    (sent,) = world.submits()[before:]
    assert (sent.intent.instrument_id, sent.intent.side) == ("ETHUSDT", Side.BUY)
    assert sent.intent.reduce_only
    assert sent.quantity == increase.quantity
    world.fill(sent)
    world.position("ETHUSDT", "0", None)
    seconds(world, 1)
    assert world.state.account.quantities() == {}


@pytest.mark.parametrize("lost", [False, True])
def test_a_flatten_waits_for_an_increase_that_is_still_on_its_way(*, lost: bool) -> None:
    world, increase = growing()
    if lost:
        lose(world, increase)
    ask(world, ControlAction.FLATTEN)
    world.after(0.2)
    close_all(world)
    seconds(world, 20)
    assert world.state.account.quantities() == {}
    assert Cause.FLATTENING in world.state.causes
    assert_closed_at_once(world, increase)
    assert Cause.FLATTENING not in world.state.causes
    assert incidents(world) == []


def test_a_restart_finds_the_flatten_that_waits_for_an_increase() -> None:
    world, increase = growing()
    lose(world, increase)
    ask(world, ControlAction.FLATTEN)
    close_all(world)
    seconds(world, 3)
    last = world.records(TradingStateChanged)[-1]
    assert isinstance(last, TradingStateChanged)
    assert last.causes == ("flattening", "operator")
    again = World(state=make_state(), now_ns=world.now_ns, fills=world.fills)
    warm(again.state)
    again.state.causes |= {Cause(name) for name in last.causes}
    again.state.orders.adopt(
        OpenOrder(
            client_order_id=increase.intent.client_order_id,
            venue_order_id=None,
            instrument_id="ETHUSDT",
            side=increase.intent.side,
            quantity=increase.quantity,
            filled_quantity=Decimal(0),
            price_limit=increase.intent.price_limit,
            reduce_only=False,
            state=OrderState.UNKNOWN,
        ),
        created_ns=increase.intent.created_ns,
        expires_ns=increase.expires_ns,
    )
    again.market()
    again.reconcile()
    seconds(again, 5)
    assert Cause.FLATTENING in again.state.causes
    assert_closed_at_once(again, increase)
    assert Cause.FLATTENING not in again.state.causes


def test_a_flatten_waits_for_a_fill_that_the_account_does_not_show() -> None:
    world, increase = growing()
    ask(world, ControlAction.FLATTEN)
    close_all(world)
    key, whole = increase.intent.client_order_id, str(increase.quantity)
    world.after(0.1)
    world.order(key, OrderState.FILLED, name="ETHUSDT", filled=whole)
    assert not world.state.orders.active
    seconds(world, 3)
    assert Cause.FLATTENING in world.state.causes
    world.position("ETHUSDT", f"-{whole}", "2500")
    before = len(world.submits())
    seconds(world, 1)
    assert [s.intent.instrument_id for s in world.submits()[before:]] == ["ETHUSDT"]


def test_an_order_that_nobody_can_find_does_not_hold_a_flatten_for_ever() -> None:
    world, increase = growing()
    lose(world, increase)
    ask(world, ControlAction.FLATTEN)
    close_all(world)
    seconds(world, 3)
    key = increase.intent.client_order_id
    world.feed(OrderUnresolved(client_order_id=key, evidence="lists", received_ns=world.now_ns))
    seconds(world, 1)
    assert Cause.FLATTENING not in world.state.causes
    assert incidents(world) == ["order.unresolved", "flatten.unsure"]


def test_a_core_that_is_gone_takes_a_hedge_along_that_fills_afterwards() -> None:
    world, increase = growing()
    lose(world, increase)
    world.position("BTCUSDT", "0", None)
    world.after(0.2)
    close_all(world)
    seconds(world, 3)
    assert world.state.account.quantities() == {}
    # No new pair is begun meanwhile: what closes the hedges would close its hedge, too.
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.now_ns))
    world.reconcile("cycle")
    row = world.records(DecisionMade)[-1]
    assert isinstance(row, DecisionMade)
    assert (row.kind, row.action) == ("cycle", "skipped")
    assert "ORDERS_AT_WORK" in row.summary
    assert_closed_at_once(world, increase)
    assert not world.state.core_vanished


def ending() -> World:
    """Return a world that closes a hedge whose market ends, by an order without an answer."""
    world = ready(positions=BOOK)
    world.after(0.5)
    world.feed(
        InstrumentStateTold(
            instrument_id="ETHUSDT", state=InstrumentState.CLOSING, received_ns=world.now_ns
        )
    )
    seconds(world, 1)
    (sent,) = world.submits()
    assert sent.intent.instrument_id == "ETHUSDT"
    lose(world, sent)
    return world


def test_a_flatten_of_everything_does_not_wait_behind_that_of_one_leg() -> None:
    world = ending()
    world.after(0.1)
    ask(world, ControlAction.FLATTEN)
    (_, core) = world.submits()
    assert (core.intent.instrument_id, core.intent.side) == ("BTCUSDT", Side.SELL)
    assert core.quantity == Decimal("0.2")
    # What closes the hedge already is counted on for its five seconds, then it is sent again.
    seconds(world, 3)
    assert len(world.submits()) == 2
    seconds(world, 3)
    assert [s.intent.instrument_id for s in world.submits()[2:]] == ["ETHUSDT"]


def test_hedges_without_their_core_do_not_wait_behind_another_flatten() -> None:
    world = ending()
    world.after(0.1)
    world.position("BTCUSDT", "0", None)
    assert world.state.core_vanished
    seconds(world, 6)
    assert [s.intent.instrument_id for s in world.submits()[1:]] == ["ETHUSDT"]
    row = world.records(DecisionMade)[-1]
    assert isinstance(row, DecisionMade)
    assert row.reasons == ("CORE_GONE",)


def test_a_reduction_that_waits_is_not_sent_twice_by_two_flattens() -> None:
    world = ready(positions=BOOK)
    seconds(world, 1)
    ask(world, ControlAction.FLATTEN)
    world.after(0.5)
    hedge = world.submits()[1].intent
    world.feed(
        OrderUpdate(
            client_order_id=hedge.client_order_id,
            venue_order_id=None,
            instrument_id="ETHUSDT",
            state=OrderState.REJECTED,
            filled_quantity=None,
            average_price=None,
            source=UpdateSource.LOCAL,
            code="110017",
            message="",
            order=None,
            event_ns=world.now_ns,
            received_ns=world.now_ns,
            position_doubtful=True,
        )
    )
    # The gap of flattens is over while the position is still to be read again.
    world.after(0.6)
    seconds(world, 4)
    sent = [s for s in world.submits() if s.intent.instrument_id == "ETHUSDT"]
    assert [s.quantity for s in sent] == [Decimal(1), Decimal(1)]
