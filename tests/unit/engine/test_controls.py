"""What an operator's wish does, and that asking twice changes nothing."""

from decimal import Decimal

import pytest

from counterpoise.domain.account import OpenOrder, TradingState
from counterpoise.domain.events import ControlAction, ControlRequested, CycleDue, Tick
from counterpoise.domain.orders import OrderState, Side
from counterpoise.domain.records import ControlHandled, DecisionMade, TradingStateChanged
from counterpoise.engine import actions
from counterpoise.engine.order_tracker import ZERO
from counterpoise.engine.run import ForeignPolicy
from counterpoise.engine.trading_state import Cause
from engine_world import World, make_run, ready

HELD = {"BTCUSDT": ("0.1", "50000"), "ETHUSDT": ("-1", "2500")}


def ask(world: World, action: ControlAction, *, from_halt: bool = False) -> ControlHandled | None:
    world.feed(
        ControlRequested(
            control_id=f"c{world.now_ns}",
            action=action,
            actor="operator",
            reason="test",
            from_halt=from_halt,
            received_ns=world.after(0.1),
        )
    )
    handled = world.records(ControlHandled)
    last = handled[-1] if handled else None
    assert last is None or isinstance(last, ControlHandled)
    return last


def stops(world: World) -> list[actions.StopDaemon]:
    return [a for a in world.done if isinstance(a, actions.StopDaemon)]


def test_pause_reduces_only_and_resume_ends_it() -> None:
    world = ready(positions=HELD)
    answer = ask(world, ControlAction.PAUSE)
    assert answer is not None
    assert answer.result == "done"
    assert world.state.trading_state is TradingState.REDUCING
    ask(world, ControlAction.PAUSE)
    assert len(world.records(TradingStateChanged)) == 1
    ask(world, ControlAction.RESUME)
    assert world.state.trading_state is TradingState.ACTIVE


def test_resume_names_what_else_holds_back() -> None:
    world = ready()
    world.state.causes |= {Cause.OPERATOR, Cause.DATABASE}
    answer = ask(world, ControlAction.RESUME)
    assert answer is not None
    assert "database" in answer.message
    assert world.state.trading_state is TradingState.REDUCING


def test_halted_needs_the_word() -> None:
    world = ready()
    world.state.causes.add(Cause.INVARIANT)
    assert world.state.trading_state is TradingState.HALTED
    refused = ask(world, ControlAction.RESUME)
    assert refused is not None
    assert refused.result == "refused"
    assert world.state.trading_state is TradingState.HALTED
    ask(world, ControlAction.RESUME, from_halt=True)
    assert world.state.trading_state is TradingState.ACTIVE


@pytest.mark.parametrize("cause", [None, Cause.INVARIANT, Cause.DATABASE])
def test_flatten_closes_everything_in_every_state(cause: Cause | None) -> None:
    world = ready(positions=HELD)
    if cause is not None:
        world.state.causes.add(cause)
    ask(world, ControlAction.FLATTEN)
    sent = world.submits()
    assert [(s.intent.instrument_id, s.intent.side) for s in sent] == [
        ("BTCUSDT", Side.SELL),
        ("ETHUSDT", Side.BUY),
    ]
    assert all(s.intent.reduce_only for s in sent)
    ask(world, ControlAction.FLATTEN)
    assert len(world.submits()) == 2
    for order in sent:
        world.fill(order)
    assert world.state.account.quantities() == {}
    assert Cause.OPERATOR in world.state.causes


def test_a_stop_that_holds_leaves_positions_and_cancels_what_is_open() -> None:
    world = ready(positions=HELD)
    world.state.orders.adopt(
        OpenOrder(
            client_order_id="cp" + "1" * 30,
            venue_order_id="v1",
            instrument_id="BTCUSDT",
            side=Side.BUY,
            quantity=world.state.instruments["BTCUSDT"].lot_size,
            filled_quantity=ZERO,
            price_limit=None,
            reduce_only=False,
            state=OrderState.ACCEPTED,
        ),
        created_ns=world.now_ns,
        expires_ns=world.now_ns,
    )
    ask(world, ControlAction.STOP)
    assert actions.Cancel(instrument_id="BTCUSDT", client_order_id="cp" + "1" * 30) in world.done
    assert stops(world) == []
    world.order("cp" + "1" * 30, OrderState.CANCELED)
    (stop,) = stops(world)
    assert stop.exit_code == 0
    assert world.submits() == []


@pytest.mark.parametrize("action", [ControlAction.STOP, ControlAction.FLATTEN_STOP])
def test_a_stop_leaves_the_orders_of_others_alone(action: ControlAction) -> None:
    theirs = OpenOrder(
        client_order_id="theirs1",
        venue_order_id="v7",
        instrument_id="BTCUSDT",
        side=Side.BUY,
        quantity=Decimal("0.01"),
        filled_quantity=ZERO,
        price_limit=Decimal(40_000),
        reduce_only=False,
        state=OrderState.ACCEPTED,
    )
    world = ready(make_run(foreign=ForeignPolicy.IGNORE), positions=HELD, orders=(theirs,))
    assert world.state.orders.open_orders() == (theirs,)
    ask(world, action)
    assert not any(isinstance(asked, actions.Cancel) for asked in world.done)


def test_a_stop_gives_up_waiting_in_time_and_still_exits_clean() -> None:
    world = ready(positions=HELD)
    world.state.orders.adopt(
        OpenOrder(
            client_order_id="cp" + "1" * 30,
            venue_order_id=None,
            instrument_id="BTCUSDT",
            side=Side.BUY,
            quantity=world.state.instruments["BTCUSDT"].lot_size,
            filled_quantity=ZERO,
            price_limit=None,
            reduce_only=False,
            state=OrderState.UNKNOWN,
        ),
        created_ns=world.now_ns,
        expires_ns=world.now_ns,
    )
    ask(world, ControlAction.STOP)
    for _ in range(7):
        world.feed(Tick(now_ns=world.after(1)))
    (stop,) = stops(world)
    assert stop.exit_code == 0
    assert "adopts" in stop.reason


def test_flatten_and_stop_leaves_when_everything_is_closed() -> None:
    world = ready(positions=HELD)
    ask(world, ControlAction.FLATTEN_STOP)
    assert stops(world) == []
    for order in world.submits():
        world.fill(order)
    world.feed(Tick(now_ns=world.after(1)))
    (stop,) = stops(world)
    assert (stop.exit_code, stop.reason) == (0, "stopped: all positions closed")


def test_stop_policy_flatten_makes_a_stop_close_the_book() -> None:
    world = ready(make_run(flatten_on_stop=True), positions=HELD)
    ask(world, ControlAction.STOP)
    assert len(world.submits()) == 2


def test_no_cycle_is_decided_while_stopping() -> None:
    world = ready(positions=HELD)
    ask(world, ControlAction.FLATTEN_STOP)
    before = len(world.records(DecisionMade))
    assert world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.now_ns)) == []
    assert len(world.records(DecisionMade)) == before


def test_a_pause_drops_the_increases_of_a_plan_at_work() -> None:
    world = ready()
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.now_ns))
    world.reconcile("cycle")
    (hedge,) = world.submits()
    ask(world, ControlAction.PAUSE)
    world.fill(hedge)
    back = world.submits()[1:]
    assert [(s.intent.instrument_id, s.quantity) for s in back] == [("ETHUSDT", hedge.quantity)]
    assert back[0].intent.reduce_only, "the core must not follow: the hedge alone is taken off"
    world.after(0.1)
    world.fill(back[0])
    assert world.state.plans == {}


def test_a_flatten_goes_on_until_nothing_is_held() -> None:
    world = ready(positions=HELD)
    ask(world, ControlAction.FLATTEN)
    for sent in world.submits():
        world.order(
            sent.intent.client_order_id, OrderState.REJECTED, name=sent.intent.instrument_id
        )
    first = len(world.submits())
    for _ in range(4):
        world.market()
        world.feed(Tick(now_ns=world.after(1)))
    assert len(world.submits()) > first
    for sent in world.submits()[first:]:
        world.fill(sent)
    world.feed(Tick(now_ns=world.after(1)))
    assert Cause.FLATTENING not in world.state.causes
    assert world.state.trading_state is TradingState.REDUCING, "paused until resume"


def test_one_unknown_order_does_not_stop_the_other_legs_of_a_flatten() -> None:
    world = ready(positions=HELD)
    ask(world, ControlAction.FLATTEN_STOP)
    core, hedge = world.submits()
    world.order(core.intent.client_order_id, OrderState.UNKNOWN, venue_order_id=None)
    world.fill(hedge, hedge.quantity / 2)
    again = world.submits()[2:]
    assert [a.intent.instrument_id for a in again] == ["ETHUSDT"]


def test_observing_flattens_nothing() -> None:
    world = ready(make_run(observe=True), positions=HELD)
    answer = ask(world, ControlAction.FLATTEN)
    assert answer is not None
    assert answer.result == "refused"
    ask(world, ControlAction.FLATTEN_STOP)
    assert world.submits() == []
    assert not [a for a in world.done if isinstance(a, actions.Cancel)]
    assert len(stops(world)) == 1
