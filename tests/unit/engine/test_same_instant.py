"""Orders that fill in several executions of one millisecond, with the venue's numbers or without."""

from decimal import Decimal

import pytest

from counterpoise.domain.account import Position
from counterpoise.domain.events import (
    CycleDue,
    FillReported,
    PositionUpdate,
    Tick,
    UpdateSource,
)
from counterpoise.domain.orders import ApprovedOrder, Fill, FillCause, OrderState, Side
from counterpoise.domain.records import DecisionEnded, IncidentOpened
from counterpoise.domain.units import NS_PER_MS
from counterpoise.engine import actions, unshown
from engine_world import World, ready
from split_orders import EXECUTION, ORDER, POSITION, SplitOrder

LARGE = {"BTCUSDT": ("0.4", "50000"), "ETHUSDT": ("-3.8", "2500")}
PLAIN = (EXECUTION, ORDER, POSITION) * 2


def opened() -> World:
    """Return a world whose first cycle has sent its hedge."""
    world = ready()
    world.after(0.1)
    world.position("ETHUSDT", "0", None)
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.now_ns))
    world.reconcile("cycle")
    world.after(0.1)
    return world


def split(
    world: World,
    order: ApprovedOrder,
    first: str,
    before: str = "0",
    lag_ms: int = 0,
    number: int | None = None,
) -> SplitOrder:
    """Return an order that fills this much and the rest in the millisecond that is now."""
    parts = (Decimal(first), order.quantity - Decimal(first))
    return SplitOrder(
        world=world,
        order=order,
        parts=parts,
        before=Decimal(before),
        position_lag_ms=lag_ms,
        number=number,
    )


def incidents(world: World) -> list[str]:
    return [r.kind for r in world.records(IncidentOpened) if isinstance(r, IncidentOpened)]


@pytest.mark.parametrize(
    "topics",
    [
        (EXECUTION, ORDER, POSITION, EXECUTION, ORDER),
        (EXECUTION, POSITION, ORDER, ORDER),
        (POSITION, EXECUTION, ORDER, ORDER),
        (POSITION, ORDER, ORDER),
        (POSITION, POSITION, EXECUTION, ORDER, ORDER),
        (POSITION, POSITION, EXECUTION, EXECUTION, ORDER, ORDER),
        (ORDER, POSITION, ORDER),
        (ORDER, ORDER),
    ],
)
@pytest.mark.parametrize("lag_ms", [0, 2])
@pytest.mark.parametrize("number", [None, 500])
def test_the_gate_sees_all_of_a_hedge_that_filled_in_two_executions(
    topics: tuple[str, ...], lag_ms: int, number: int | None
) -> None:
    world = opened()
    hedge = world.submits()[0]
    split(world, hedge, "0.2", lag_ms=lag_ms, number=number).tell(*topics)
    core = world.submits()[1]
    assert core.intent.instrument_id == "BTCUSDT"
    assert core.leverage_worst is not None
    assert Decimal("2.20") < core.leverage_worst < Decimal("2.21")
    assert unshown.quantities(world.state) == {"ETHUSDT": -hedge.quantity}


def test_a_pair_whose_last_leg_fills_in_two_executions_stays_whole() -> None:
    world = opened()
    world.fill(world.submits()[0])
    core = world.submits()[1]
    world.after(0.1)
    order = split(world, core, "0.05")
    order.tell(EXECUTION, ORDER, POSITION, EXECUTION, ORDER)
    assert world.state.account.quantities()["BTCUSDT"] == core.quantity
    order.tell(POSITION)
    (ended,) = world.records(DecisionEnded)
    assert isinstance(ended, DecisionEnded)
    assert (ended.outcome, len(world.submits())) == ("done", 2)
    assert world.state.account.quantities()["BTCUSDT"] == core.quantity


@pytest.mark.parametrize(
    "topics",
    [
        PLAIN,
        (EXECUTION, POSITION, ORDER, ORDER, POSITION, EXECUTION),
        (EXECUTION, EXECUTION, ORDER, ORDER, POSITION, POSITION),
        (POSITION, POSITION, ORDER, ORDER, EXECUTION, EXECUTION),
        (ORDER, ORDER, POSITION, EXECUTION, POSITION, EXECUTION),
    ],
)
@pytest.mark.parametrize("lag_ms", [0, 2])
@pytest.mark.parametrize("number", [None, 500])
def test_a_reduction_in_two_executions_is_no_loss(
    topics: tuple[str, ...], lag_ms: int, number: int | None
) -> None:
    world = ready(positions=LARGE)
    world.after(0.1)
    world.market()
    hedge = next(o for o in world.submits() if o.intent.instrument_id == "ETHUSDT")
    world.after(0.1)
    order = split(world, hedge, "0.2", "-3.8", lag_ms, number)
    order.tell(*topics)
    assert world.state.account.quantities()["ETHUSDT"] == order.after
    assert incidents(world) == []
    assert len(world.submits()) == 2


def test_what_the_venue_takes_after_a_reduction_of_several_executions_is_told() -> None:
    world = ready(positions=LARGE)
    world.after(0.1)
    world.market()
    hedge = next(o for o in world.submits() if o.intent.instrument_id == "ETHUSDT")
    world.after(0.1)
    order = split(world, hedge, "0.2", "-3.8")
    # Its executions were lost: what the positions of that millisecond show explains no more.
    order.tell(POSITION, ORDER, ORDER, POSITION)
    assert incidents(world) == []
    world.after(1)
    world.position("ETHUSDT", str(order.after + Decimal("0.1")), "2500")
    assert incidents(world) == ["leg.vanished"]


def test_a_message_of_the_millisecond_that_shows_less_than_before_it_is_taken() -> None:
    world = opened()
    world.fill(world.submits()[0])
    world.after(0.1)
    world.position("ETHUSDT", "-4.255", "2500")
    core = world.submits()[1]
    order = split(world, core, "0.05")
    order.tell(EXECUTION)
    sold = Position(instrument_id="BTCUSDT", quantity=Decimal("-0.01"), entry_price=Decimal(50_000),
                    event_ns=order.event_ns)  # fmt: skip
    world.feed(PositionUpdate(position=sold, received_ns=world.now_ns))
    assert world.state.account.quantities()["BTCUSDT"] == Decimal("-0.01")
    # What follows in it is counted from there.
    order.tell(EXECUTION)
    left = core.quantity - Decimal("0.05") - Decimal("0.01")
    assert world.state.account.quantities()["BTCUSDT"] == left


def test_an_execution_told_late_of_an_earlier_stamp_uses_up_what_a_message_was_ahead() -> None:
    world = opened()
    hedge = world.submits()[0]
    first = SplitOrder(world=world, order=hedge, parts=(Decimal(1), hedge.quantity - 1))
    world.after(0.005)
    second = split(world, hedge, "1")
    # The position of the second moment has the first one's execution, which comes after it.
    second.tell(POSITION)
    first.tell(EXECUTION)
    assert world.state.account.quantities() == {"ETHUSDT": Decimal(-1)}
    instant = world.state.account.told_instant("ETHUSDT")
    assert instant is not None
    assert instant.ahead == 0


def test_an_answer_between_two_executions_is_older_than_both() -> None:
    world = opened()
    hedge = world.submits()[0]
    order = split(world, hedge, "0.2")
    world.now_ns = order.event_ns
    order.tell(EXECUTION, EXECUTION)
    world.reconcile("doubt", positions={"ETHUSDT": ("-0.2", "2500")})
    assert world.state.account.quantities() == {"ETHUSDT": -hedge.quantity}


def test_executions_after_the_position_they_are_added_up_from_explain_the_next_answer() -> None:
    world = opened()
    hedge = world.submits()[0]
    order = split(world, hedge, "0.2")
    order.tell(EXECUTION, POSITION)
    account = world.state.account
    account.count_from(world.snapshot(positions={"ETHUSDT": ("-0.2", "2500")}))
    order.tell(EXECUTION, POSITION, ORDER, ORDER)
    assert account.sums.executed == {"ETHUSDT": Decimal("0.2") - hedge.quantity}
    held = {"ETHUSDT": (str(-hedge.quantity), "2500")}
    assert account.sums.unexplained(world.snapshot(positions=held)) == {}
    assert world.state.orders.get(hedge.intent.client_order_id).state is OrderState.FILLED  # type: ignore[union-attr]


def denied() -> tuple[World, ApprovedOrder, SplitOrder]:
    """Return a world whose pair executed whole, and whose account shows less of its core."""
    world = opened()
    world.fill(world.submits()[0])
    world.after(0.1)
    core = world.submits()[1]
    order = split(world, core, "0.05")
    order.tell(EXECUTION, ORDER, EXECUTION)
    less = Position(instrument_id="BTCUSDT", quantity=Decimal("0.05"), entry_price=Decimal(50_000),
                    event_ns=order.event_ns + 200_000_000)  # fmt: skip
    world.feed(PositionUpdate(position=less, received_ns=world.now_ns))
    order.tell(ORDER)
    world.after(0.3)
    world.market()
    world.feed(Tick(now_ns=world.now_ns))
    return world, core, order


def test_a_pair_the_account_denies_is_not_taken_apart_before_it_was_asked() -> None:
    world, core, order = denied()
    assert len(world.submits()) == 2
    assert actions.Reconcile(cause="doubt") in world.done
    world.after(0.2)
    world.position("BTCUSDT", str(core.quantity), "50000")
    world.feed(Tick(now_ns=world.now_ns))
    (ended,) = world.records(DecisionEnded)
    assert isinstance(ended, DecisionEnded)
    assert (ended.outcome, len(world.submits())) == ("done", 2)
    assert world.state.account.quantities()["BTCUSDT"] == order.after


def test_a_pair_the_account_goes_on_to_deny_is_taken_apart() -> None:
    world, *_ = denied()
    world.after(1.1)
    world.market()
    world.feed(Tick(now_ns=world.now_ns))
    reduction = world.submits()[2]
    assert (reduction.intent.instrument_id, reduction.intent.reduce_only) == ("ETHUSDT", True)


def told(world: World, quantity: str, after_ms: int) -> None:
    """Tell what the venue holds, stamped so long after now."""
    position = Position(
        instrument_id="ETHUSDT",
        quantity=Decimal(quantity),
        entry_price=Decimal(2_500),
        event_ns=world.now_ns // NS_PER_MS * NS_PER_MS + after_ms * NS_PER_MS,
    )
    world.feed(PositionUpdate(position=position, received_ns=world.now_ns))


def executed(world: World, quantity: str, after_ms: int, fill_id: str = "x") -> None:
    """Tell an execution of the venue's own, signed base units."""
    signed = Decimal(quantity)
    fill = Fill(
        fill_id=fill_id,
        instrument_id="ETHUSDT",
        client_order_id=None,
        venue_order_id="adl",
        side=Side.BUY if signed > 0 else Side.SELL,
        quantity=abs(signed),
        price=Decimal(2_500),
        fee=Decimal(0),
        fee_currency="USDT",
        liquidity=None,
        realised_pnl=None,
        event_ns=world.now_ns // NS_PER_MS * NS_PER_MS + after_ms * NS_PER_MS,
        received_ns=world.now_ns,
        cause=FillCause.ADL,
    )
    world.feed(FillReported(fill=fill, source=UpdateSource.STREAM))


@pytest.mark.parametrize("gap_ms", [1, 10, 49, 60])
@pytest.mark.parametrize("order", ["position first", "execution first"])
def test_what_the_venue_takes_a_moment_after_an_increase_counts_once(
    gap_ms: int, order: str
) -> None:
    world = opened()
    hedge = world.submits()[0]
    split(world, hedge, "0.2").tell(EXECUTION, POSITION, EXECUTION, POSITION, ORDER, ORDER)
    taken, left = hedge.quantity + 1, Decimal(1)
    if order == "position first":
        told(world, str(left), gap_ms)
        executed(world, str(taken), gap_ms)
    else:
        executed(world, str(taken), gap_ms)
        told(world, str(left), gap_ms)
    assert world.state.account.quantities()["ETHUSDT"] == left
    assert "leg.vanished" in incidents(world)


def test_a_message_that_goes_against_executions_has_the_account_asked_for() -> None:
    world = opened()
    hedge = world.submits()[0]
    split(world, hedge, "0.2").tell(EXECUTION, POSITION, EXECUTION, POSITION, ORDER, ORDER)
    assert world.state.ask_again_ns is None
    told(world, "1", 10)
    assert world.state.ask_again_ns is not None


def test_a_message_from_before_the_last_execution_has_the_account_asked_for() -> None:
    world = opened()
    hedge = world.submits()[0]
    split(world, hedge, "0.2").tell(EXECUTION, EXECUTION)
    assert world.state.ask_again_ns is None
    told(world, "-0.2", 3)
    assert world.state.account.quantities()["ETHUSDT"] == -hedge.quantity
    assert world.state.ask_again_ns is not None


@pytest.mark.parametrize("number", [None, 500])
def test_an_older_execution_told_late_is_no_part_of_what_an_instant_shows(
    number: int | None,
) -> None:
    world = ready(positions=LARGE)
    world.after(0.1)
    world.position("ETHUSDT", "-3.8", "2500")
    world.after(0.1)
    world.market()
    cut = next(o for o in world.submits() if o.intent.instrument_id == "ETHUSDT")
    first, second = Decimal("0.2"), cut.quantity - Decimal("0.2")
    # An order of before took 0.5 a second ago; neither its execution nor its position was told.
    world.after(1)
    order = split(world, cut, "0.2", "-3.3", number=number)
    order.tell(POSITION, EXECUTION)
    assert world.state.account.quantities()["ETHUSDT"] == Decimal("-3.3") + first
    executed(world, "0.5", -900, "499")
    assert world.state.account.quantities()["ETHUSDT"] == Decimal("-3.3") + first
    order.tell(EXECUTION)
    assert world.state.account.quantities()["ETHUSDT"] == Decimal("-3.3") + first + second
    assert order.after == Decimal("-3.3") + first + second
