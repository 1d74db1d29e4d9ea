"""What a smaller position is put down to: our orders, or the venue."""

from decimal import Decimal

import pytest

from counterpoise.domain.account import Position
from counterpoise.domain.events import CycleDue, FillReported, PositionUpdate, UpdateSource
from counterpoise.domain.orders import (
    ApprovedOrder,
    Fill,
    FillCause,
    IntentSource,
    LegChange,
    LegRole,
    OrderState,
    Side,
)
from counterpoise.domain.records import IncidentOpened
from counterpoise.domain.units import NS_PER_MS
from counterpoise.engine import working
from counterpoise.engine.plan import make_plan
from counterpoise.engine.trading_state import Cause
from engine_world import World, ready


def opened() -> World:
    """Return a world whose first cycle has sent its hedge."""
    world = ready()
    world.after(0.1)
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.now_ns))
    world.reconcile("cycle")
    world.after(0.1)
    return world


def incidents(world: World) -> list[str]:
    return [r.kind for r in world.records(IncidentOpened) if isinstance(r, IncidentOpened)]


def an_adl(world: World, quantity: str, fill_id: str = "777") -> None:
    """Tell the execution by which the venue took a part of the hedge."""
    fill = Fill(
        fill_id=fill_id,
        instrument_id="ETHUSDT",
        client_order_id="adl_autoclose",
        venue_order_id="v77",
        side=Side.BUY,
        quantity=Decimal(quantity),
        price=Decimal(2_500),
        fee=Decimal(0),
        fee_currency="USDT",
        liquidity=None,
        realised_pnl=Decimal(0),
        event_ns=world.now_ns,
        received_ns=world.now_ns,
        cause=FillCause.ADL,
    )
    world.feed(FillReported(fill=fill, source=UpdateSource.STREAM))


def reducing(world: World, quantity: str) -> ApprovedOrder:
    """Send a reduction of the hedge and return it."""
    change = LegChange(
        instrument_id="ETHUSDT",
        leg=LegRole.HEDGE,
        source=IntentSource.CYCLE,
        side=Side.BUY,
        quantity=Decimal(quantity),
        reduce_only=True,
    )
    plan = make_plan("d1", IntentSource.CYCLE, (change,), world.now_ns)
    world.done += working.begin(world.state, plan)
    return world.submits()[-1]


def hedged(core: str, hedge: str) -> World:
    world = ready(positions={"BTCUSDT": (core, "50000"), "ETHUSDT": (hedge, "2500")})
    for _ in range(3):
        world.after(1)
        world.market()
    return world


def guard_cuts(world: World) -> list[str]:
    return [
        s.intent.instrument_id for s in world.submits() if s.intent.source is IntentSource.GUARD
    ]


@pytest.mark.parametrize("at_work", [False, True])
def test_an_adl_is_answered_though_a_small_reduction_is_at_work(at_work: bool) -> None:  # noqa: FBT001
    world = hedged("0.27", "-3.8")
    if at_work:
        sent = reducing(world, "0.1").intent
        world.order(sent.client_order_id, OrderState.ACCEPTED, name="ETHUSDT")
    world.after(0.5)
    world.market()
    world.position("ETHUSDT", "-0.8", "2500")
    assert incidents(world) == ["leg.vanished"]
    an_adl(world, "3.0")
    assert incidents(world).count("leg.vanished") == 1, "told once"
    assert guard_cuts(world) == ["BTCUSDT"]


def test_an_adl_taken_for_our_reduction_is_answered_by_its_execution() -> None:
    world = hedged("0.27", "-3.8")
    sent = reducing(world, "3.0").intent
    world.order(sent.client_order_id, OrderState.ACCEPTED, name="ETHUSDT")
    world.after(0.5)
    world.market()
    world.position("ETHUSDT", "-0.8", "2500")
    assert (incidents(world), guard_cuts(world)) == ([], [])
    an_adl(world, "3.0")
    assert incidents(world)[0] == "leg.vanished"
    assert guard_cuts(world) == ["BTCUSDT"]


def test_a_reduction_without_an_answer_that_fills_late_is_ours() -> None:
    world = hedged("0.30", "-5.0")
    reduction = reducing(world, "1.0")
    world.after(5)
    world.market()
    world.order(reduction.intent.client_order_id, OrderState.UNKNOWN, name="ETHUSDT",
                source=UpdateSource.LOCAL, venue_order_id=None, code="TIMEOUT")  # fmt: skip
    world.after(0.2)
    world.position("ETHUSDT", "-4.0", "2500")
    world.fill(reduction)
    assert (incidents(world), guard_cuts(world)) == ([], [])
    world.after(0.2)
    world.position("ETHUSDT", "-3.0", "2500")
    assert incidents(world) == ["leg.vanished"], "it took all it could"


def test_a_reduction_told_as_filled_before_its_execution_is_ours() -> None:
    world = hedged("0.30", "-5.0")
    sent = reducing(world, "1.0").intent
    world.after(0.1)
    world.order(sent.client_order_id, OrderState.FILLED, name="ETHUSDT", filled="1.0")
    world.position("ETHUSDT", "-4.0", "2500")
    assert incidents(world) == []
    world.after(0.1)
    world.position("ETHUSDT", "-3.5", "2500")
    assert incidents(world) == ["leg.vanished"]


@pytest.mark.parametrize("lag_ms", [0, 2])
@pytest.mark.parametrize("number", [101, None])
def test_a_state_between_two_executions_of_one_moment_is_no_loss(
    number: int | None, lag_ms: int
) -> None:
    world = opened()
    hedge = world.submits()[0]
    moment_ns = world.now_ns
    parts = (Decimal(2), hedge.quantity - 2)
    for fill_id, part in zip(("101", "102"), parts, strict=True):
        an_execution = Fill(
            fill_id=fill_id,
            instrument_id="ETHUSDT",
            client_order_id=hedge.intent.client_order_id,
            venue_order_id="v1",
            side=Side.SELL,
            quantity=part,
            price=Decimal(2_500),
            fee=Decimal(0),
            fee_currency="USDT",
            liquidity=None,
            realised_pnl=None,
            event_ns=moment_ns,
            received_ns=world.now_ns,
        )
        world.feed(FillReported(fill=an_execution, source=UpdateSource.STREAM))
    world.order(hedge.intent.client_order_id, OrderState.FILLED, name="ETHUSDT",
                filled=str(hedge.quantity))  # fmt: skip
    world.after(0.001)
    for quantity, sequence in ((Decimal(-2), number), (-hedge.quantity, number and 102)):
        told = Position(instrument_id="ETHUSDT", quantity=quantity, entry_price=Decimal(2_500),
                        event_ns=moment_ns + lag_ms * NS_PER_MS,
                        trade_sequence=sequence)  # fmt: skip
        world.feed(PositionUpdate(position=told, received_ns=world.now_ns))
        assert world.state.account.quantities()["ETHUSDT"] == -hedge.quantity
    assert incidents(world) == []


def test_executions_beyond_an_orders_quantity_stop_increases_at_once() -> None:
    world = hedged("0.30", "-5.0")
    reduction = reducing(world, "1.0")
    for quantity in ("0.6", "0.7"):
        world.fills += 1
        intent = reduction.intent
        fill = Fill(
            fill_id=f"f{world.fills}",
            instrument_id="ETHUSDT",
            client_order_id=intent.client_order_id,
            venue_order_id="v1",
            side=Side.BUY,
            quantity=Decimal(quantity),
            price=Decimal(2_500),
            fee=Decimal(0),
            fee_currency="USDT",
            liquidity=None,
            realised_pnl=None,
            event_ns=world.after(0.01),
            received_ns=world.now_ns,
        )
        assert Cause.INVARIANT not in world.state.causes
        world.feed(FillReported(fill=fill, source=UpdateSource.STREAM))
    assert Cause.INVARIANT in world.state.causes
    world.order(intent.client_order_id, OrderState.FILLED, name="ETHUSDT", filled="1.3")
    assert incidents(world).count("order.overfilled") == 1
