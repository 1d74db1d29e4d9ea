"""What orders filled counts before the account shows it, and no longer."""

from decimal import Decimal

import pytest

from counterpoise.domain.events import BalanceUpdate, CycleDue, Tick
from counterpoise.domain.orders import ApprovedOrder, IntentSource, OrderState, Side
from counterpoise.domain.records import DecisionEnded, IncidentOpened
from counterpoise.engine import actions, unshown
from counterpoise.engine.run import UNSHOWN_NS_MAX
from engine_world import MARKS, World, ready

LARGE = {"BTCUSDT": ("0.4", "50000"), "ETHUSDT": ("-3.8", "2500")}
DOUBT = actions.Reconcile(cause="doubt")


def opened() -> World:
    """Return a world whose first cycle has sent its hedge."""
    world = ready()
    world.after(0.1)
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.now_ns))
    world.reconcile("cycle")
    world.after(0.1)
    return world


def squeezed() -> World:
    """Return a world whose guard has just sent a reduction of both legs."""
    world = ready(positions=LARGE)
    world.after(1)
    world.market()
    assert len(world.submits()) == 2
    return world


def ends(world: World, order: ApprovedOrder, quantity: Decimal | None = None) -> None:
    """Tell an order's end without any execution."""
    filled = order.quantity if quantity is None else quantity
    state = OrderState.FILLED if filled == order.quantity else OrderState.CANCELED
    key, name = order.intent.client_order_id, order.intent.instrument_id
    world.order(key, state, name=name, filled=str(filled))


def passes(world: World, seconds: float) -> None:
    """Let time pass with fresh data, a mark each quarter of a second."""
    for number in range(round(seconds * 4)):
        world.after(0.25)
        world.market()
        if number % 4 == 3:
            world.feed(Tick(now_ns=world.now_ns))


def test_the_gate_counts_a_hedge_that_filled_and_is_not_shown() -> None:
    world = opened()
    hedge = world.submits()[0]
    ends(world, hedge)
    core = world.submits()[1]
    assert core.intent.instrument_id == "BTCUSDT"
    assert core.leverage_worst is not None
    assert core.leverage_worst > 2
    (counted,) = unshown.may_fill(world.state)
    assert (counted.instrument_id, counted.side, counted.remaining) == (
        "ETHUSDT",
        Side.SELL,
        hedge.quantity,
    )


def test_what_filled_of_an_order_at_work_counts_too() -> None:
    world = opened()
    hedge = world.submits()[0]
    key = hedge.intent.client_order_id
    world.order(key, OrderState.PARTIALLY_FILLED, name="ETHUSDT", filled="1.5")
    (counted,) = unshown.may_fill(world.state)
    assert counted.remaining == Decimal("1.5")
    assert world.state.orders.active[key].open_order.remaining == hedge.quantity - Decimal("1.5")
    # Unknown, it counts whole already.
    world.order(key, OrderState.UNKNOWN, name="ETHUSDT", filled="1.5")
    assert unshown.may_fill(world.state) == ()


@pytest.mark.parametrize("how", ["execution", "position", "answer"])
def test_what_the_account_shows_vanishes_at_once(how: str) -> None:
    world = opened()
    hedge = world.submits()[0]
    ends(world, hedge)
    assert unshown.quantities(world.state) == {"ETHUSDT": -hedge.quantity}
    world.after(0.1)
    held = {"ETHUSDT": (str(-hedge.quantity), "2500")}
    if how == "execution":
        world.fill(hedge)
    elif how == "position":
        world.position("ETHUSDT", *held["ETHUSDT"])
    else:
        world.reconcile("doubt", positions=held)
    assert unshown.may_fill(world.state) == ()
    assert world.state.account.quantities() == {"ETHUSDT": -hedge.quantity}
    assert unshown.quantities(world.state) == world.state.account.quantities()
    assert world.state.orders.unshown == {}


def test_an_older_position_shows_nothing() -> None:
    world = opened()
    hedge = world.submits()[0]
    world.position("ETHUSDT", "-1", MARKS["ETHUSDT"])
    world.after(0.1)
    ends(world, hedge)
    assert unshown.quantities(world.state) == {"ETHUSDT": -hedge.quantity - 1}


def test_of_an_order_shown_in_part_only_the_rest_is_unshown() -> None:
    world = opened()
    hedge = world.submits()[0]
    key = hedge.intent.client_order_id
    world.order(key, OrderState.PARTIALLY_FILLED, name="ETHUSDT", filled="1.5")
    world.after(0.1)
    world.position("ETHUSDT", "-1.5", MARKS["ETHUSDT"])
    assert unshown.orders(world.state) == []
    world.after(0.1)
    ends(world, hedge)
    (order,) = unshown.orders(world.state)
    assert order.unshown == hedge.quantity - Decimal("1.5")
    assert unshown.quantities(world.state) == {"ETHUSDT": -hedge.quantity}


def test_nothing_is_unshown_for_longer_than_its_limit() -> None:
    world = opened()
    ends(world, world.submits()[0])
    world.now_ns += UNSHOWN_NS_MAX
    world.market()
    assert unshown.may_fill(world.state) != ()
    world.after(1)
    world.market()
    assert unshown.may_fill(world.state) == ()
    assert world.state.orders.unshown == {}


def test_the_guard_does_not_repeat_a_cut_that_filled_and_is_not_shown() -> None:
    world = squeezed()
    world.after(0.1)
    for order in world.submits():
        ends(world, order)
    asked = len(world.done)
    passes(world, 4.75)
    assert len(world.submits()) == 2
    assert [a for a in world.done[asked:] if a == DOUBT] == [DOUBT] * 4
    # Nothing stops a reduction for longer, whatever the venue said it filled.
    passes(world, 0.75)
    again = world.submits()[2:]
    assert {o.intent.instrument_id for o in again} == {"BTCUSDT", "ETHUSDT"}
    assert {o.intent.source for o in again} == {IntentSource.GUARD}


def test_the_guard_judges_what_the_answer_shows() -> None:
    world = squeezed()
    first = list(world.submits())
    world.after(0.1)
    for order in first:
        ends(world, order)
    passes(world, 1.5)
    cut = {order.intent.instrument_id: order.quantity for order in first}
    world.reconcile(
        "doubt",
        positions={
            "BTCUSDT": (str(Decimal("0.4") - cut["BTCUSDT"]), "50000"),
            "ETHUSDT": (str(Decimal("-3.8") + cut["ETHUSDT"]), "2500"),
        },
    )
    assert unshown.reducing(world.state) == {}
    # The answer is no loss: our own orders explain it.
    assert world.records(IncidentOpened) == []
    passes(world, 6)
    assert len(world.submits()) == 2
    # A further fall is cut at once.
    world.feed(BalanceUpdate(balance=world.balance("8800"), received_ns=world.now_ns))
    assert len(world.submits()) == 4


def test_a_pair_takes_off_what_stands_alone_though_an_execution_is_untold() -> None:
    world = opened()
    hedge = world.submits()[0]
    world.after(0.1)
    world.fill(hedge)
    core = world.submits()[1]
    part = (core.quantity * Decimal("0.3")).quantize(Decimal("0.0001"))
    world.after(0.1)
    world.state.clock_offset_ms = 9_000.0
    ends(world, core, part)
    passes(world, 32)
    off = [o for o in world.submits() if o.intent.reduce_only]
    assert [(o.intent.instrument_id, o.intent.side) for o in off] == [("ETHUSDT", Side.BUY)]
    assert off[0].quantity / hedge.quantity == pytest.approx(Decimal("0.68"), abs=Decimal("0.03"))
    assert world.state.account.quantities() == {"ETHUSDT": -hedge.quantity}


def test_a_pair_ends_once_the_account_shows_what_it_filled() -> None:
    world = opened()
    for _ in range(2):
        world.after(0.1)
        ends(world, world.submits()[-1])
    passes(world, 3)
    assert len(world.submits()) == 2
    assert world.records(DecisionEnded) == []
    hedge, core = world.submits()
    world.position("ETHUSDT", str(-hedge.quantity), MARKS["ETHUSDT"])
    assert world.records(DecisionEnded) == []
    world.position("BTCUSDT", str(core.quantity), MARKS["BTCUSDT"])
    passes(world, 1)
    (row,) = world.records(DecisionEnded)
    assert isinstance(row, DecisionEnded)
    assert row.outcome == "done"


def test_an_order_made_while_something_is_unshown_knows_no_position_before_it() -> None:
    world = opened()
    ends(world, world.submits()[0], Decimal("1.5"))
    again = world.submits()[1]
    assert again.intent.instrument_id == "ETHUSDT"
    tracked = world.state.orders.active[again.intent.client_order_id]
    assert tracked.held_before is None
