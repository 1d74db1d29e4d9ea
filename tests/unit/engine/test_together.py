"""The first increase of a pair goes out only if the gate would allow all of them."""

from dataclasses import replace
from decimal import Decimal

import pytest

import engine_world
from counterpoise.domain.account import OpenOrder
from counterpoise.domain.events import (
    ClockMeasured,
    ControlAction,
    ControlRequested,
    CycleDue,
    OrderUnresolved,
    Tick,
)
from counterpoise.domain.orders import IntentSource, LegChange, LegRole, OrderState, Side
from counterpoise.domain.records import DecisionEnded, DecisionMade, OrderDenied
from counterpoise.engine import working
from counterpoise.engine.cycle import CycleInputs, recompute
from counterpoise.engine.plan import make_plan
from counterpoise.engine.run import ForeignPolicy
from counterpoise.ledger import codec
from counterpoise.market.freshness import FreshnessLimits
from counterpoise.market.state import Market
from engine_world import INSTRUMENTS, MARKS, World, instrument, make_run, make_state, ready

#: A book so far above its mark that no price in it may be paid.
BASIS = Decimal("1.009")


def market(world: World, basis: Decimal = Decimal(1)) -> None:
    """Tell fresh data, with the core's book away from its mark."""
    world.market()
    world.book("BTCUSDT", MARKS["BTCUSDT"] * basis)


def seconds(world: World, count: int, basis: Decimal = Decimal(1)) -> None:
    """Let time pass."""
    for _ in range(count):
        world.after(1)
        market(world, basis)
        world.feed(Tick(now_ns=world.now_ns))


def cycle(world: World, basis: Decimal = Decimal(1), **account: object) -> None:
    """Run one cycle to its decision."""
    world.after(1)
    market(world, basis)
    world.feed(ClockMeasured(offset_ns=0, received_ns=world.now_ns))
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.now_ns))
    world.reconcile("cycle", **account)


def denied(world: World) -> list[tuple[str, str]]:
    """Return every denial on record."""
    rows = world.records(OrderDenied)
    return [(row.instrument_id, row.reason) for row in rows if isinstance(row, OrderDenied)]


def ended(world: World) -> DecisionEnded:
    """Return the end of the last decision."""
    row = world.records(DecisionEnded)[-1]
    assert isinstance(row, DecisionEnded)
    return row


def sent(world: World) -> list[tuple[str, Side, bool]]:
    """Return what was sent, in order."""
    intents = [order.intent for order in world.submits()]
    return [(each.instrument_id, each.side, each.reduce_only) for each in intents]


def test_a_core_that_stays_denied_has_no_hedge_bought_in_the_next_cycle() -> None:
    world = ready()
    cycle(world)
    hedge = world.submits()[0]
    world.after(0.1)
    world.fill(hedge)
    core = world.submits()[1].intent.client_order_id
    world.order(core, OrderState.UNKNOWN, venue_order_id=None)
    told = OrderUnresolved(client_order_id=core, evidence="nobody knows", received_ns=world.now_ns)
    world.feed(told)
    while not sent(world)[-1][2]:
        seconds(world, 1)
    world.fill(world.submits()[-1])
    seconds(world, 2)
    assert ended(world).outcome == "unwound"
    before, rows = len(world.submits()), len(denied(world))
    for number in range(3):
        cycle(world)
        # A reason that does not pass by itself is not waited for.
        assert world.state.plans == {}
        row = ended(world)
        assert (row.outcome, row.orders_sent) == ("incomplete", 0)
        assert "denied together, nothing grows: BTCUSDT ORDER_UNRESOLVED" in row.summary
        assert "scaled" not in row.summary
        assert denied(world)[rows:] == [("BTCUSDT", "ORDER_UNRESOLVED")] * (number + 1)
        seconds(world, 20)
    assert len(world.submits()) == before


def test_a_foreign_order_that_leaves_no_room_for_the_core_keeps_the_hedge_from_being_bought() -> (
    None
):
    strange = OpenOrder(
        client_order_id=None,
        venue_order_id="x1",
        instrument_id="BTCUSDT",
        side=Side.BUY,
        quantity=Decimal("0.20"),
        filled_quantity=Decimal(0),
        price_limit=Decimal(40_000),
        reduce_only=False,
        state=OrderState.ACCEPTED,
    )
    world = ready(make_run(foreign=ForeignPolicy.IGNORE), orders=(strange,))
    for number in range(2):
        cycle(world, orders=(strange,))
        seconds(world, 14)
        # Marks may move back: it is waited for as long as a phase lasts, then given up.
        assert len(world.state.plans) == 1
        seconds(world, 2)
        assert world.state.plans == {}
        assert denied(world) == [("BTCUSDT", "LEVERAGE_EXCEEDED")] * (number + 1)
    assert world.submits() == []


def test_a_reason_that_passes_in_time_delays_the_pair_and_no_more() -> None:
    world = ready()
    cycle(world, BASIS)
    seconds(world, 5, BASIS)
    assert world.submits() == []
    assert working.waiting(world.state) == {}, "the guard counts no increase as a reduction"
    seconds(world, 1)
    assert sent(world) == [("ETHUSDT", Side.SELL, False)]
    world.fill(world.submits()[0])
    world.fill(world.submits()[1])
    assert (ended(world).outcome, denied(world)) == ("done", [])
    row = ended(world)
    assert row.naked_leg_seconds is not None
    assert row.naked_leg_seconds < 1, "nothing stood alone while it waited"


def test_what_waits_is_dropped_by_a_pause() -> None:
    world = ready()
    cycle(world, BASIS)
    pause = ControlRequested(
        control_id="c1",
        action=ControlAction.PAUSE,
        actor="operator",
        reason="",
        from_halt=False,
        received_ns=world.now_ns,
    )
    world.feed(pause)
    seconds(world, 1)
    assert (world.submits(), world.state.plans) == ([], {})


def test_once_a_hedge_has_filled_its_core_is_tried_as_before() -> None:
    world = ready()
    cycle(world)
    world.book("BTCUSDT", MARKS["BTCUSDT"] * BASIS)
    world.fill(world.submits()[0])
    seconds(world, 4, BASIS)
    assert set(denied(world)) == {("BTCUSDT", "PRICE_TOO_FAR")}
    seconds(world, 3)
    world.fill(world.submits()[1])
    assert ended(world).outcome == "done"


def test_legs_larger_than_one_order_are_judged_whole() -> None:
    world = ready()
    small = {
        name: replace(rules, market_quantity_max=Decimal(most), limit_quantity_max=Decimal(most))
        for (name, rules), most in zip(world.state.instruments.items(), ("0.05", "1"), strict=True)
    }
    world.state.instruments = small
    world.state.market = Market(tuple(small.values()), FreshnessLimits())
    cycle(world)
    assert [s.quantity for s in world.submits()] == [Decimal(1)]
    assert denied(world) == []


def test_the_decision_of_a_denied_pair_computes_again_equal() -> None:
    world = ready()
    cycle(world, BASIS)
    (row,) = world.records(DecisionMade)
    assert isinstance(row, DecisionMade)
    inputs = codec.decode(row.inputs, CycleInputs)
    assert codec.encode(recompute(inputs)) == row.outputs


# --- pairs that are taken apart again and again ---


def play(world: World, *, core_trades: bool) -> None:
    """Let a cycle's length pass; hedges and reductions fill, the core as the venue likes."""
    answered = {s.intent.client_order_id for s in world.submits()[: world.fills]}
    for _ in range(50):
        world.after(1)
        market(world)
        world.feed(Tick(now_ns=world.now_ns))
        while open_orders := [
            s
            for s in world.submits()
            if s.intent.client_order_id in world.state.orders.active
            and s.intent.client_order_id not in answered
        ]:
            intent = open_orders[0].intent
            answered.add(intent.client_order_id)
            if intent.instrument_id == "BTCUSDT" and intent.increases and not core_trades:
                world.order(intent.client_order_id, OrderState.REJECTED, filled="0", code="51008")
            else:
                world.fill(open_orders[0])
    world.after(850)


def held(world: World) -> dict[str, tuple[str, str]]:
    """Return what is held, as an answer tells it."""
    found = world.state.account.quantities()
    return {name: (str(quantity), str(MARKS[name])) for name, quantity in found.items()}


def opened_in(world: World, cycles: int, *, core_trades: bool = False) -> list[bool]:
    """Run cycles and tell in which of them a hedge was bought."""
    found = []
    for _ in range(cycles):
        before = len(world.submits())
        cycle(world, positions=held(world), wallet=str(world.state.account.wallet_balance))
        play(world, core_trades=core_trades)
        found.append(any(not s.intent.reduce_only for s in world.submits()[before:]))
    return found


def test_a_core_the_venue_refuses_every_time_has_its_hedge_bought_ever_less_often() -> None:
    world = ready()
    # The first two as ever, then one cycle is left out, then three.
    opened = opened_in(world, 8)
    assert opened == [True, True, False, True, False, False, False, True]
    assert world.state.account.quantities() == {}
    rows = [row for row in world.records(DecisionEnded) if isinstance(row, DecisionEnded)]
    assert [row.outcome for row in rows].count("unwound") == 4
    assert "2 pairs in a row were unwound: none is opened yet" in rows[2].summary


def test_a_pair_that_stands_ends_the_row() -> None:
    world = ready()
    assert opened_in(world, 3) == [True, True, False]
    assert opened_in(world, 1, core_trades=True) == [True]
    assert set(world.state.account.quantities()) == {"BTCUSDT", "ETHUSDT"}
    assert world.state.pairs_unwound == 0


# --- one hedge for another ---


@pytest.fixture
def rotating(monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a world that is about to sell ETH for SOL beside a core that grows."""
    monkeypatch.setitem(engine_world.MARKS, "SOLUSDT", Decimal(200))
    three = (*INSTRUMENTS, instrument("SOLUSDT", tick="0.01", lot="0.01"))
    state = make_state()
    state.instruments = {rules.instrument_id: rules for rules in three}
    state.market = Market(three, FreshnessLimits())
    world = World(state=state)
    world.market()
    world.reconcile(positions={"BTCUSDT": ("0.2", "50000"), "ETHUSDT": ("-3.6", "2500")})
    world.after(1)
    return world


def rotate(world: World) -> None:
    """Begin: ETH closed, SOL opened for it and for the core's growth."""

    def change(name: str, side: Side, quantity: str, *, reduce_only: bool = False) -> LegChange:
        return LegChange(
            instrument_id=name,
            leg=LegRole.CORE if name == "BTCUSDT" else LegRole.HEDGE,
            source=IntentSource.CYCLE,
            side=side,
            quantity=Decimal(quantity),
            reduce_only=reduce_only,
        )

    changes = (
        change("ETHUSDT", Side.BUY, "3.6", reduce_only=True),
        change("SOLUSDT", Side.SELL, "54"),
        change("BTCUSDT", Side.BUY, "0.04"),
    )
    plan = make_plan("d" * 16, IntentSource.CYCLE, changes, world.now_ns)
    world.done += working.begin(world.state, plan)


def test_reductions_are_sent_whatever_the_increases_behind_them_may(rotating: World) -> None:
    market(rotating, BASIS)
    rotate(rotating)
    assert sent(rotating) == [("ETHUSDT", Side.BUY, True)]


def test_what_stands_alone_has_its_other_hedge_bought_without_the_core(rotating: World) -> None:
    market(rotating, BASIS)
    rotate(rotating)
    rotating.after(0.1)
    rotating.fill(rotating.submits()[0])
    seconds(rotating, 1, BASIS)
    assert len(rotating.submits()) == 1
    seconds(rotating, 2, BASIS)
    new = rotating.submits()[1]
    assert (new.intent.instrument_id, new.intent.side) == ("SOLUSDT", Side.SELL)
    # What the sold hedge covered, and nothing for a core that did not grow.
    assert Decimal(44) <= new.quantity <= Decimal(46)
    assert denied(rotating) == [("BTCUSDT", "PRICE_TOO_FAR")]
    rotating.fill(new)
    seconds(rotating, 1, BASIS)
    assert "denied together" in ended(rotating).summary
    assert rotating.state.account.quantities()["BTCUSDT"] == Decimal("0.2")


def test_a_rotation_that_may_be_is_sent_at_once(rotating: World) -> None:
    rotate(rotating)
    rotating.after(0.1)
    rotating.fill(rotating.submits()[0])
    rotating.fill(rotating.submits()[1])
    rotating.fill(rotating.submits()[2])
    assert [name for name, _, _ in sent(rotating)] == ["ETHUSDT", "SOLUSDT", "BTCUSDT"]
    assert ended(rotating).outcome == "done"


def test_a_hedge_that_may_not_grow_keeps_no_other_from_growing(rotating: World) -> None:
    # Its last order is still open to everybody's knowledge: that holds back its own market only.
    unknown = replace(make_order("ETHUSDT", Side.SELL, Decimal("0.1")), state=OrderState.UNKNOWN)
    rotating.state.orders.adopt(unknown, created_ns=rotating.now_ns, expires_ns=rotating.now_ns)
    told = OrderUnresolved(
        client_order_id=unknown.client_order_id or "",
        evidence="nobody knows",
        received_ns=rotating.now_ns,
    )
    rotating.feed(told)
    changes = tuple(
        LegChange(
            instrument_id=name,
            leg=LegRole.CORE if name == "BTCUSDT" else LegRole.HEDGE,
            source=IntentSource.CYCLE,
            side=side,
            quantity=Decimal(quantity),
            reduce_only=False,
        )
        for name, side, quantity in (
            ("ETHUSDT", Side.SELL, "0.4"),
            ("SOLUSDT", Side.SELL, "10"),
            ("BTCUSDT", Side.BUY, "0.04"),
        )
    )
    plan = make_plan("d" * 16, IntentSource.CYCLE, changes, rotating.now_ns)
    rotating.done += working.begin(rotating.state, plan)
    assert denied(rotating) == [("ETHUSDT", "ORDER_UNRESOLVED")]
    assert sent(rotating) == [("SOLUSDT", Side.SELL, False)]
    rotating.after(0.1)
    rotating.fill(rotating.submits()[0])
    # The core follows what was hedged, and no further.
    core = rotating.submits()[1]
    assert (core.intent.instrument_id, core.intent.side) == ("BTCUSDT", Side.BUY)
    assert Decimal(0) < core.quantity <= Decimal("0.04")


def make_order(name: str, side: Side, quantity: Decimal) -> OpenOrder:
    """Return an order of ours as the last run left it."""
    return OpenOrder(
        client_order_id="cp" + "7" * 30,
        venue_order_id=None,
        instrument_id=name,
        side=side,
        quantity=quantity,
        filled_quantity=Decimal(0),
        price_limit=MARKS[name],
        reduce_only=False,
        state=OrderState.ACCEPTED,
    )
