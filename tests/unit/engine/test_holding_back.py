"""Whatever holds the daemon back takes what waits in the book with it."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from counterpoise.domain.account import OpenOrder
from counterpoise.domain.events import (
    ControlAction,
    ControlRequested,
    CycleDue,
    FillReported,
    UpdateSource,
)
from counterpoise.domain.orders import ApprovedOrder, Fill, OrderState, Side
from counterpoise.engine import actions
from counterpoise.engine.execution_parameters import ExecutionParameters
from counterpoise.engine.trading_state import Cause
from engine_world import World, make_run, ready


def with_a_resting_hedge() -> tuple[World, ApprovedOrder]:
    world = ready(make_run(execution=ExecutionParameters(passive_seconds=Decimal(10))))
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.now_ns))
    world.reconcile("cycle")
    (hedge,) = world.submits()
    assert hedge.intent.rests
    world.after(1)
    world.order(hedge.intent.client_order_id, OrderState.ACCEPTED, name="ETHUSDT")
    return world, hedge


def order_of_before() -> OpenOrder:
    return OpenOrder(
        client_order_id="cp" + "7" * 30,
        venue_order_id="v7",
        instrument_id="BTCUSDT",
        side=Side.SELL,
        quantity=Decimal("0.01"),
        filled_quantity=Decimal(0),
        price_limit=Decimal(50_000),
        reduce_only=True,
        state=OrderState.ACCEPTED,
    )


def foreign_fill(world: World) -> list[actions.Action]:
    fill = Fill(
        fill_id="x1",
        instrument_id="BTCUSDT",
        client_order_id=None,
        venue_order_id="v9",
        side=Side.BUY,
        quantity=Decimal("0.01"),
        price=Decimal(50_000),
        fee=Decimal(0),
        fee_currency="USDT",
        liquidity=None,
        realised_pnl=None,
        event_ns=world.now_ns,
        received_ns=world.now_ns,
    )
    return world.feed(FillReported(fill=fill, source=UpdateSource.STREAM))


@pytest.mark.parametrize("cause", [Cause.FOREIGN, Cause.INVARIANT])
def test_an_increase_that_waits_is_canceled_when_nothing_may_grow(cause: Cause) -> None:
    world, hedge = with_a_resting_hedge()
    if cause is Cause.FOREIGN:
        asked = foreign_fill(world)
    else:
        # An order of before fills more than it was sent for.
        other = order_of_before()
        world.state.orders.adopt(other, created_ns=world.now_ns, expires_ns=world.now_ns)
        asked = world.order(other.client_order_id, OrderState.PARTIALLY_FILLED, filled="0.02")
    assert cause in world.state.causes
    cancel = actions.Cancel(instrument_id="ETHUSDT", client_order_id=hedge.intent.client_order_id)
    assert cancel in asked
    (plan,) = world.state.plans.values()
    assert plan.reductions_only


def paused(world: World) -> list[actions.Action]:
    return world.feed(
        ControlRequested(
            control_id="c1",
            action=ControlAction.PAUSE,
            actor="operator",
            reason="",
            from_halt=False,
            received_ns=world.now_ns,
        )
    )


def cut_by_the_guard(world: World) -> list[actions.Action]:
    world.book("BTCUSDT", "10000")
    return world.mark("BTCUSDT", "10000")


def seized(world: World) -> list[actions.Action]:
    return world.position("ETHUSDT", "-0.5", "2500")


@pytest.mark.parametrize("why", [paused, foreign_fill, cut_by_the_guard, seized])
def test_an_increase_that_is_still_in_the_journal_is_withdrawn(
    why: Callable[[World], list[actions.Action]],
) -> None:
    held = {"BTCUSDT": ("0.2", "50000"), "ETHUSDT": ("-2", "2500")}
    world = ready(positions=held)
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.now_ns))
    world.reconcile("cycle", positions=held)
    growing = [s for s in world.submits() if not s.intent.reduce_only]
    assert [s.intent.instrument_id for s in growing] == ["ETHUSDT"]
    key = growing[0].intent.client_order_id
    world.after(0.1)
    asked = why(world)
    assert [a for a in asked if isinstance(a, actions.Withdraw)] == [
        actions.Withdraw(client_order_id=key)
    ]
    # It counts as on its way until its own end is told.
    assert world.state.orders.active[key].state is OrderState.JOURNALED
    sent = [a for a in asked if isinstance(a, actions.Submit)]
    assert all(a.approved.intent.reduce_only for a in sent)


def test_an_increase_on_its_way_is_withdrawn_until_the_venue_has_answered() -> None:
    world = ready()
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.now_ns))
    world.reconcile("cycle")
    (hedge,) = world.submits()
    key = hedge.intent.client_order_id
    world.order(
        key,
        OrderState.SUBMITTED,
        name="ETHUSDT",
        source=UpdateSource.LOCAL,
        venue_order_id=None,
    )
    # It is not sent again, whatever the venue says of its stamp.
    assert [a for a in paused(world) if isinstance(a, actions.Withdraw)] == [
        actions.Withdraw(client_order_id=key)
    ]
    world.order(key, OrderState.ACCEPTED, name="ETHUSDT")
    assert not [a for a in cut_by_the_guard(world) if isinstance(a, actions.Withdraw)]


def test_a_withdrawn_increase_ends_its_decision_and_leaves_nothing_alone() -> None:
    world = ready()
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.now_ns))
    world.reconcile("cycle")
    (hedge,) = world.submits()
    paused(world)
    world.order(
        hedge.intent.client_order_id,
        OrderState.EXPIRED,
        name="ETHUSDT",
        source=UpdateSource.LOCAL,
        venue_order_id=None,
        code="WITHDRAWN",
    )
    assert world.state.plans == {}
    assert world.state.orders.active == {}
    assert len(world.submits()) == 1
