"""Stops at the venue: placed, kept in step, replaced, adopted, and what follows when one acts."""

from dataclasses import replace
from decimal import Decimal

import pytest

from counterpoise.app import replay
from counterpoise.domain.account import OpenOrder, WaitingTrigger
from counterpoise.domain.events import (
    ControlAction,
    ControlRequested,
    OrderAbsent,
    OrderUpdate,
    Tick,
    TriggersListed,
    UpdateSource,
)
from counterpoise.domain.orders import ApprovedOrder, IntentSource, OrderKind, OrderState, Side
from counterpoise.domain.records import DecisionMade, IncidentOpened
from counterpoise.engine import actions, views
from counterpoise.engine.pairing import Pair
from counterpoise.engine.plan import PairProgress, Plan, attempts_after
from counterpoise.engine.protection import LegStops
from counterpoise.engine.run import ForeignPolicy
from counterpoise.engine.trading_state import Cause
from counterpoise.risk import gate, protection
from counterpoise.strategy.parameters import STRATEGY_VERSION
from engine_world import START_NS, World, make_state, warm
from stop_world import StopWorld, stop_run, stop_world


def kinds(made: StopWorld) -> list[str]:
    return [r.kind for r in made.world.records(IncidentOpened) if isinstance(r, IncidentOpened)]


def settled() -> StopWorld:
    made = stop_world()
    made.tick(4)
    made.tick()
    assert {name: len(stops) for name, stops in made.by_leg().items()} == {
        "BTCUSDT": 1,
        "ETHUSDT": 1,
    }
    return made


def test_each_leg_gets_one_stop_of_its_own_size_against_it_and_no_second_one() -> None:
    made = settled()
    for name, side, size in (("BTCUSDT", Side.SELL, "0.2"), ("ETHUSDT", Side.BUY, "2")):
        (stop,) = made.by_leg()[name]
        intent = stop.intent
        assert (intent.side, stop.quantity) == (side, Decimal(size))
        assert (intent.kind, intent.reduce_only) == (OrderKind.MARKET, True)
        assert intent.source is IntentSource.PROTECTION
        mark = made.world.state.market.mark(name)
        assert mark is not None
        assert intent.trigger_price is not None
        assert (intent.trigger_price - mark) * side.sign > 0
    for _ in range(30):
        made.tick()
    assert made.taken == 2


def test_nothing_is_placed_before_the_venue_has_listed_what_is_there() -> None:
    made = stop_world()
    made.world.after(4)
    asked = made.world.feed(Tick(now_ns=made.world.now_ns))
    assert [type(a) for a in asked] == [actions.ListTriggers]
    assert made.world.submits() == []


@pytest.mark.parametrize("run", [stop_run(observe=True), stop_run(has_triggers=False)])
def test_nothing_is_placed_or_asked_where_nothing_may_be(run) -> None:
    made = stop_world(run)
    made.tick(4)
    made.tick(20)
    assert (made.taken, made.dropped) == (0, [])
    assert not any(isinstance(a, actions.ListTriggers) for a in made.world.done)


def test_a_grown_position_has_a_new_stop_before_the_old_one_goes() -> None:
    made = settled()
    (old,), (beside,) = made.by_leg()["BTCUSDT"], made.by_leg()["ETHUSDT"]
    made.world.position("BTCUSDT", "0.3", "50000")
    made.world.after(1)
    asked = made.world.feed(Tick(now_ns=made.world.now_ns))
    assert not any(isinstance(a, actions.CancelTrigger) for a in asked)
    made.answer(asked)
    made.tick(4)
    made.tick()
    # The other leg's goes with it: liquidation is nearer than when that one was placed.
    assert made.dropped == [old.intent.client_order_id, beside.intent.client_order_id]
    assert [stop.quantity for stop in made.by_leg()["BTCUSDT"]] == [Decimal("0.3")]
    assert [stop.quantity for stop in made.by_leg()["ETHUSDT"]] == [Decimal(2)]


def test_a_moved_mark_moves_a_stop_once_per_cycle() -> None:
    made = settled()
    made.world.mark("BTCUSDT", "45000")
    made.tick(5)
    made.tick(5)
    assert made.taken == 2
    made.world.state.cycle_slot_ns = made.world.now_ns
    made.tick(5)
    made.tick(5)
    taken = made.taken
    assert taken in {3, 4}
    made.world.mark("BTCUSDT", "41000")
    made.tick(5)
    made.tick(5)
    assert made.taken == taken
    assert {name: len(stops) for name, stops in made.by_leg().items()} == {
        "BTCUSDT": 1,
        "ETHUSDT": 1,
    }


def test_a_stop_placed_before_the_other_leg_was_bought_moves_short_of_liquidation() -> None:
    # Hedges fill first: their stop is placed when liquidation is far, and lies beyond it later.
    made = stop_world(positions={"ETHUSDT": ("-2", "2500")})
    for _ in range(5):
        made.tick()
    (early,) = made.by_leg()["ETHUSDT"]
    assert early.intent.trigger_price == Decimal(3750)
    made.world.after(1)
    made.world.position("BTCUSDT", "0.45", "50000")
    for _ in range(5):
        made.tick()
    state = made.world.state
    view = views.risk_view(state, state.market.view(state.now_ns))
    (late,) = made.by_leg()["ETHUSDT"]
    assert state.run.protection is not None
    wanted = protection.stop_targets(view, state.guard, state.run.protection)["ETHUSDT"]
    assert late.intent.trigger_price == wanted.trigger_price == Decimal("2718.15")
    assert made.dropped == [early.intent.client_order_id]
    taken = made.taken
    for _ in range(20):
        made.tick()
    assert made.taken == taken


def test_a_flat_leg_keeps_no_stop() -> None:
    made = settled()
    (gone,) = made.by_leg()["ETHUSDT"]
    made.world.position("ETHUSDT", "0", None)
    made.tick()
    assert gone.intent.client_order_id in made.dropped
    assert "ETHUSDT" not in made.by_leg()


def test_a_stop_dropped_behind_us_is_noticed_and_replaced() -> None:
    made = settled()
    (lost,) = made.by_leg()["BTCUSDT"]
    del made.held_back[lost.intent.client_order_id]
    for _ in range(14):
        made.tick()
    assert "stop.dropped" in kinds(made)
    (new,) = made.by_leg()["BTCUSDT"]
    assert new.intent.client_order_id != lost.intent.client_order_id


def test_a_refused_stop_is_told_once_and_tried_ever_later() -> None:
    made = stop_world()
    made.takes = False
    for _ in range(60):
        made.tick()
    tried = [a for a in made.world.submits() if a.intent.instrument_id == "BTCUSDT"]
    assert 4 <= len(tried) <= 6
    assert kinds(made).count("stop.refused") == 2
    made.takes = True
    for _ in range(60):
        made.tick()
    assert {name: len(stops) for name, stops in made.by_leg().items()} == {
        "BTCUSDT": 1,
        "ETHUSDT": 1,
    }
    assert made.world.state.protection.legs["BTCUSDT"] == LegStops(
        placed_ns=made.world.state.protection.legs["BTCUSDT"].placed_ns,
        slot_ns=None,
        held={"BTCUSDT": Decimal("0.2"), "ETHUSDT": Decimal(-2)},
        refusals=0,
    )


def test_a_leg_that_one_answer_lacks_keeps_its_stop() -> None:
    made = settled()
    held = made.world.state.account.quantities()
    made.tick(4)
    core = {"BTCUSDT": (str(held["BTCUSDT"]), "50000")}
    for looks in (1, 2):
        made.world.reconcile("doubt", positions=core)
        made.tick()
        dropped = [a.instrument_id for a in made.world.done if isinstance(a, actions.CancelTrigger)]
        assert dropped == ["ETHUSDT"] * (looks - 1)


def test_stops_are_no_orders_of_the_book() -> None:
    made = settled()
    state = made.world.state
    assert state.orders.active == {}
    assert state.orders.reducing(state.now_ns) == {}
    held = state.account.quantities()["BTCUSDT"]
    assert state.orders.may_take_off("BTCUSDT", held, 0) == 0
    assert state.orders.resting("BTCUSDT") == []


def test_a_hedge_that_its_stop_closed_cuts_the_core() -> None:
    made = stop_world(
        positions={"BTCUSDT": ("0.3", "50000"), "ETHUSDT": ("-4.4", "2500")}, equity="10000"
    )
    made.tick(4)
    made.tick()
    (stop,) = made.by_leg()["ETHUSDT"]
    sent = len(made.world.submits())
    made.world.after(1)
    made.world.fill(stop)
    assert "stop.acted" in kinds(made)
    (cut,) = made.world.submits()[sent:]
    assert (cut.intent.instrument_id, cut.intent.source) == ("BTCUSDT", IntentSource.GUARD)
    stopped = made.world.state.protection.orders.get(stop.intent.client_order_id)
    assert stopped is not None
    assert stopped.state is OrderState.FILLED


def test_a_core_that_its_stop_closed_takes_its_hedges_along() -> None:
    made = settled()
    (stop,) = made.by_leg()["BTCUSDT"]
    sent = len(made.world.submits())
    made.world.after(1)
    made.world.fill(stop)
    assert {"stop.acted", "core.vanished"} <= set(kinds(made))
    closed = made.world.submits()[sent:]
    assert [(a.intent.instrument_id, a.intent.source) for a in closed] == [
        ("ETHUSDT", IntentSource.FLATTEN)
    ]


def restarted_between_legs() -> tuple[World, ApprovedOrder]:
    # Core and hedge were bought, the decision had not ended, and the daemon died.
    (stop,) = settled().by_leg()["BTCUSDT"]
    world = World(state=make_state(stop_run()))
    warm(world.state)
    world.market()
    planned = {"BTCUSDT": Decimal("0.2"), "ETHUSDT": Decimal(-4)}
    weights = {"BTCUSDT": Decimal(50_000), "ETHUSDT": Decimal(2_500)}
    pair = Pair(
        start={},
        planned=planned,
        weights=weights,
        core_id="BTCUSDT",
        notional=Decimal(10_000),
        tolerance=Decimal(100),
    )
    world.state.plans["before"] = Plan(
        decision_id="before",
        source=IntentSource.CYCLE,
        phases=[],
        started_ns=world.now_ns,
        attempts_from=attempts_after(0),
        pair=PairProgress(pair=pair, budget=pair.notional * 20, resumed=True),
    )
    found = gate_order(stop)
    world.state.protection.orders.adopt(
        found, created_ns=stop.intent.created_ns, expires_ns=stop.expires_ns
    )
    return world, stop


def gate_order(stop: ApprovedOrder) -> OpenOrder:
    return replace(gate.as_open_order(stop.intent, stop.quantity), state=OrderState.UNKNOWN)


def test_a_core_that_its_stop_closed_while_no_daemon_ran_is_not_bought_back() -> None:
    world, stop = restarted_between_legs()
    world.after(1)
    world.fill(stop)
    world.reconcile("start", positions={"ETHUSDT": ("-4", "2500")})
    world.feed(Tick(now_ns=world.after(1)))
    sent = [(a.intent.instrument_id, a.intent.source) for a in world.submits()]
    assert sent == [("ETHUSDT", IntentSource.FLATTEN)]
    kinds_told = [r.kind for r in world.records(IncidentOpened) if isinstance(r, IncidentOpened)]
    assert kinds_told.count("stop.acted") == 1
    assert kinds_told.count("core.vanished") == 1


def test_a_restart_adopts_what_the_venue_lists_and_places_nothing() -> None:
    before = settled()
    after = stop_world()
    after.held_back = dict(before.held_back)
    after.tick(4)
    for _ in range(20):
        after.tick()
    assert (after.taken, after.dropped) == (0, [])
    assert set(after.world.state.protection.orders.active) == set(before.held_back)


def test_switched_off_the_stops_of_an_earlier_run_are_dropped() -> None:
    before = settled()
    after = stop_world(stop_run(protection=None))
    after.held_back = dict(before.held_back)
    after.tick(4)
    after.tick()
    assert after.held_back == {}


@pytest.mark.parametrize("flatten", [False, True])
def test_a_stop_of_the_daemon_leaves_them_unless_it_flattens(flatten) -> None:
    made = settled()
    made.world.after(1)
    made.world.feed(
        ControlRequested(
            control_id="c1",
            action=ControlAction.FLATTEN_STOP if flatten else ControlAction.STOP,
            actor="test",
            reason="",
            from_halt=False,
            received_ns=made.world.now_ns,
        )
    )
    if not flatten:
        assert any(isinstance(a, actions.StopDaemon) for a in made.world.done)
        assert len(made.held_back) == 2
        return
    for sent in [a for a in made.world.submits() if a.intent.source is IntentSource.FLATTEN]:
        made.world.fill(sent)
    assert not any(isinstance(a, actions.StopDaemon) for a in made.world.done)
    made.tick()
    made.tick()
    assert made.held_back == {}
    assert any(isinstance(a, actions.StopDaemon) for a in made.world.done)


def test_an_unknown_placing_is_resolved_by_the_list() -> None:
    made = settled()
    book = made.world.state.protection
    (stop,) = made.by_leg()["BTCUSDT"]
    key = stop.intent.client_order_id
    unknown = replace(
        book.orders.active[key],
        open_order=replace(book.orders.active[key].open_order, state=OrderState.UNKNOWN),
    )
    book.orders.active[key] = unknown
    made.tick(11)
    assert book.orders.active[key].state is OrderState.ACCEPTED


def unanswered(seconds: int, *, proven_absent: bool) -> World:
    """Return a world whose venue answered no placing of a stop for so long."""
    world = stop_world().world
    now_ns = world.after(4)
    world.feed(TriggersListed(triggers=(), asked_ns=now_ns, received_ns=now_ns))
    for _ in range(seconds):
        for name in world.state.instruments:
            world.mark(name, world.state.market.mark(name) or Decimal(1))
        for action in world.feed(Tick(now_ns=world.after(1))):
            if not isinstance(action, actions.Submit):
                continue
            key, name = action.approved.intent.client_order_id, action.approved.intent.instrument_id
            world.order(key, OrderState.UNKNOWN, name=name, venue_order_id=None)
            if proven_absent:
                absent = OrderAbsent(client_order_id=key, evidence="no", received_ns=world.now_ns)
                world.feed(absent)
    return world


def test_a_venue_that_does_not_answer_is_not_given_one_stop_after_the_other() -> None:
    # Each request may have been carried out: what a hanging venue holds back adds up.
    world = unanswered(60, proven_absent=False)
    asked = [a for a in world.submits() if a.intent.instrument_id == "BTCUSDT"]
    assert 3 <= len(asked) <= 5


def test_placings_lost_on_their_way_do_not_keep_the_next_one_waiting() -> None:
    world = unanswered(60, proven_absent=True)
    asked = [a for a in world.submits() if a.intent.instrument_id == "BTCUSDT"]
    assert len(asked) == 20, "one every three seconds"
    told = [r.kind for r in world.records(IncidentOpened) if isinstance(r, IncidentOpened)]
    assert told == ["stop.refused", "stop.refused"], "once a leg"


def test_a_placing_is_computed_again_byte_for_byte() -> None:
    made = settled()
    rows = [r for r in made.world.records(DecisionMade) if isinstance(r, DecisionMade)]
    assert [r.kind for r in rows] == ["protection"]
    (result,) = replay.replay(
        [
            {
                "decision_id": rows[0].decision_id,
                "decided_at": "",
                "kind": rows[0].kind,
                "strategy_version": STRATEGY_VERSION,
                "inputs": rows[0].inputs,
                "outputs": rows[0].outputs,
            }
        ]
    )
    assert result.result is replay.ReplayResult.EQUAL


def refused(made, sent, *, outside: bool) -> None:
    made.feed(
        OrderUpdate(
            client_order_id=sent.intent.client_order_id,
            venue_order_id=None,
            instrument_id=sent.intent.instrument_id,
            state=OrderState.REJECTED,
            filled_quantity=None,
            average_price=None,
            source=UpdateSource.LOCAL,
            code="51006",
            message="",
            order=None,
            event_ns=made.now_ns,
            received_ns=made.now_ns,
            price_refused=outside,
        )
    )


def test_a_reduction_refused_for_its_price_goes_again_at_once_at_market() -> None:
    made = stop_world(stop_run(has_triggers=False), positions={"BTCUSDT": ("0.57", "50000")}).world
    made.after(1)
    made.mark("BTCUSDT", "49500")
    (first,) = made.submits()
    assert first.intent.kind is OrderKind.LIMIT
    refused(made, first, outside=True)
    again = made.submits()[1:]
    assert [(a.intent.kind, a.intent.price_limit, a.quantity) for a in again] == [
        (OrderKind.MARKET, None, first.quantity)
    ]
    assert again[0].intent.client_order_id != first.intent.client_order_id
    # A market order has no price to be refused: whatever it is refused for is not tried again.
    refused(made, again[0], outside=True)
    assert len(made.submits()) == 2


def test_a_venue_that_refuses_market_orders_too_is_given_a_price_again() -> None:
    made = stop_world(stop_run(has_triggers=False), positions={"BTCUSDT": ("0.57", "50000")}).world
    made.after(1)
    made.mark("BTCUSDT", "49500")
    refused(made, made.submits()[-1], outside=True)
    refused(made, made.submits()[-1], outside=False)
    kinds_sent = [order.intent.kind for order in made.submits()]
    assert kinds_sent == [OrderKind.LIMIT, OrderKind.MARKET]
    # The guard looks again a moment later: half a minute at market alone could reduce nothing.
    made.after(1)
    made.mark("BTCUSDT", "49500")
    assert made.submits()[2].intent.kind is OrderKind.LIMIT


def test_a_reduction_refused_for_anything_else_does_not() -> None:
    made = stop_world(stop_run(has_triggers=False), positions={"BTCUSDT": ("0.57", "50000")}).world
    made.after(1)
    made.mark("BTCUSDT", "49500")
    (first,) = made.submits()
    refused(made, first, outside=False)
    assert made.submits() == [first]
    assert made.now_ns > START_NS


def told_of_a_stranger(policy: ForeignPolicy, *, guarded: bool = True, **changed: object) -> World:
    """Return a world whose venue holds back an order that is not ours."""
    run = stop_run(foreign=policy) if guarded else stop_run(foreign=policy, protection=None)
    world = stop_world(run).world
    trigger = WaitingTrigger(
        **{
            "client_order_id": "web1",
            "venue_order_id": "a9",
            "instrument_id": "BTCUSDT",
            "side": Side.BUY,
            "quantity": Decimal(1),
            "trigger_price": Decimal(51_000),
            "reduce_only": False,
            **changed,
        }  # type: ignore[arg-type]
    )
    now_ns = world.after(4)
    world.feed(TriggersListed(triggers=(trigger,), asked_ns=now_ns, received_ns=now_ns))
    return world


def counted(world: World) -> list[str | None]:
    view = views.risk_view(world.state, world.state.market.view(world.now_ns))
    return [order.venue_order_id for order in view.open_orders]


def test_what_others_have_the_venue_hold_back_counts_where_it_could_open() -> None:
    world = told_of_a_stranger(ForeignPolicy.IGNORE)
    assert counted(world) == ["a9"]
    assert Cause.FOREIGN not in world.state.causes
    now_ns = world.after(4)
    world.feed(TriggersListed(triggers=(), asked_ns=now_ns, received_ns=now_ns))
    assert counted(world) == []


def test_where_nothing_foreign_is_allowed_it_holds_increases_back() -> None:
    assert Cause.FOREIGN in told_of_a_stranger(ForeignPolicy.REFUSE).state.causes


def test_a_stop_of_others_that_only_reduces_is_left_alone() -> None:
    world = told_of_a_stranger(ForeignPolicy.REFUSE, reduce_only=True)
    assert counted(world) == []
    assert Cause.FOREIGN not in world.state.causes


def test_without_stops_what_others_have_held_back_is_asked_about_until_it_is_gone() -> None:
    world = told_of_a_stranger(ForeignPolicy.REFUSE, guarded=False)
    asked = 0
    for _ in range(30):
        done = world.feed(Tick(now_ns=world.after(1)))
        asked += done.count(actions.ListTriggers())
    assert asked == 3
    now_ns = world.after(1)
    world.feed(TriggersListed(triggers=(), asked_ns=now_ns, received_ns=now_ns))
    world.reconcile("cycle")
    assert Cause.FOREIGN not in world.state.causes
    for _ in range(30):
        assert actions.ListTriggers() not in world.feed(Tick(now_ns=world.after(1)))
