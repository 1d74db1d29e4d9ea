"""A pair ends complete or unwound, within the time its legs may stand alone."""

from dataclasses import replace
from decimal import Decimal

import pytest

from counterpoise.app import boot
from counterpoise.domain.account import OpenOrder
from counterpoise.domain.events import CycleDue, OrderUnresolved, OrderUpdate, Tick, UpdateSource
from counterpoise.domain.orders import IntentSource, LegRole, OrderState, Side
from counterpoise.domain.records import DecisionEnded, IncidentOpened, PairOpened
from counterpoise.engine import actions, working
from counterpoise.engine.execution_parameters import ExecutionParameters
from counterpoise.engine.guarding import leg_vanished
from counterpoise.engine.pairing import Pair
from counterpoise.engine.plan import PairProgress, Plan, attempts_after
from counterpoise.ledger import codec
from counterpoise.risk.view import RiskLimits
from counterpoise.strategy.memory import Regime
from engine_world import MARKS, World, make_run, make_state, ready, warm


def cycle(world: World) -> None:
    """Run one cycle to its decision."""
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.now_ns))
    world.reconcile("cycle")


def opened(**changes: object) -> World:
    """Return a world whose first cycle has sent its hedge."""
    world = ready(make_run(**changes))
    world.after(0.1)
    cycle(world)
    world.after(0.1)
    return world


def seconds(world: World, count: int) -> None:
    """Let time pass with fresh data."""
    for _ in range(count):
        world.after(1)
        world.market()
        world.feed(Tick(now_ns=world.now_ns))


def unfilled(world: World) -> None:
    """End the newest order without a fill."""
    last = world.submits()[-1].intent
    world.order(last.client_order_id, OrderState.CANCELED, name=last.instrument_id, filled="0")


def at_work(world: World) -> bool:
    """Tell whether the newest order has not ended."""
    return world.submits()[-1].intent.client_order_id in world.state.orders.active


def ended(world: World) -> DecisionEnded:
    (row,) = world.records(DecisionEnded)
    assert isinstance(row, DecisionEnded)
    return row


def last(world: World) -> tuple[str, Side, Decimal, bool]:
    sent = world.submits()[-1]
    return (
        sent.intent.instrument_id,
        sent.intent.side,
        sent.quantity,
        sent.intent.reduce_only,
    )


def test_a_pair_is_written_before_its_first_order() -> None:
    world = opened()
    kinds = [type(a.record) if isinstance(a, actions.Write) else type(a) for a in world.done]
    assert kinds.index(PairOpened) < kinds.index(actions.Submit)
    (row,) = world.records(PairOpened)
    assert isinstance(row, PairOpened)
    pair = codec.decode(row.body, Pair)
    hedge = world.submits()[0]
    assert pair.planned["ETHUSDT"] == -hedge.quantity
    assert row.naked_leg_seconds == 20
    assert row.notional == pair.notional > 0


def test_a_pair_that_fills_ends_done_with_its_naked_seconds() -> None:
    world = opened()
    world.fill(world.submits()[0])
    seconds(world, 3)
    world.fill(world.submits()[1])
    row = ended(world)
    assert row.outcome == "done"
    assert row.naked_leg_seconds is not None
    assert Decimal("2.9") < row.naked_leg_seconds < Decimal("3.1")
    assert row.naked_notional_seconds is not None
    assert row.naked_notional_seconds > 0


def test_while_the_budget_lasts_the_core_is_tried_again_and_then_the_hedge_taken_off() -> None:
    world = opened()
    hedge = world.submits()[0]
    world.fill(hedge)
    tries = 0
    for _ in range(25):
        while not last(world)[3] and at_work(world):
            assert last(world)[:2] == ("BTCUSDT", Side.BUY)
            tries += 1
            unfilled(world)
        if last(world)[3]:
            break
        seconds(world, 1)
    # Three at once, one every two seconds while time is left, and a last one.
    assert 12 <= tries <= 15
    assert last(world) == ("ETHUSDT", Side.BUY, hedge.quantity, True)
    world.after(0.1)
    world.fill(world.submits()[-1])
    row = ended(world)
    assert row.outcome == "unwound"
    assert "unwound after 2" in row.summary
    ids = [s.intent.client_order_id for s in world.submits()]
    assert len(ids) == len(set(ids))


def test_the_core_completes_on_a_later_try() -> None:
    world = opened()
    world.fill(world.submits()[0])
    for _ in range(3):
        unfilled(world)
    seconds(world, 2)
    world.fill(world.submits()[-1])
    row = ended(world)
    assert (row.outcome, world.state.plans) == ("done", {})
    assert "completed after 2" in row.summary


def test_a_core_the_gate_denies_is_not_waited_for_longer_than_the_budget() -> None:
    world = opened(limits=RiskLimits(clock_offset_ms_max=Decimal(500)))
    hedge = world.submits()[0]
    world.state.clock_offset_ms = 9_000.0
    world.fill(hedge)
    assert len(world.submits()) == 1
    for _ in range(20):
        seconds(world, 1)
    assert last(world) == ("ETHUSDT", Side.BUY, hedge.quantity, True)


def test_half_a_leg_may_stand_alone_twice_as_long() -> None:
    world = opened()
    hedge = world.submits()[0]
    half = (hedge.quantity / 2).quantize(Decimal("0.001"))
    world.fill(hedge, half)
    unfilled(world)
    unfilled(world)
    alone = 0
    while not last(world)[3]:
        if at_work(world):
            unfilled(world)
            continue
        alone += 1
        assert alone < 60
        seconds(world, 1)
    assert 35 <= alone <= 55
    assert last(world) == ("ETHUSDT", Side.BUY, half, True)


def test_what_stands_alone_by_little_is_taken_off_all_the_same() -> None:
    world = opened()
    hedge = world.submits()[0]
    world.after(0.1)
    world.fill(hedge)
    core = world.submits()[1]
    most = (core.quantity * Decimal("0.80")).quantize(Decimal("0.0001"))
    world.after(0.1)
    world.fill(core, most)
    alone = 0
    while not last(world)[3]:
        if at_work(world):
            unfilled(world)
            continue
        alone += 1
        assert alone < 65
        seconds(world, 1)
    assert alone >= 55
    assert last(world)[:2] == ("ETHUSDT", Side.BUY)
    world.after(0.1)
    world.fill(world.submits()[-1])
    assert ended(world).outcome == "unwound"
    assert world.records(IncidentOpened) == []


def test_an_unwinding_that_does_not_fill_is_tried_at_wider_prices() -> None:
    world = opened()
    hedge = world.submits()[0]
    world.state.clock_offset_ms = 9_000.0
    world.fill(hedge)
    while not last(world)[3]:
        seconds(world, 1)
    prices = []
    for _ in range(7):
        prices.append(world.submits()[-1].intent.price_limit)
        unfilled(world)
        while not at_work(world):
            seconds(world, 1)
    assert prices == sorted(prices)
    assert prices[-1] > prices[0] >= MARKS["ETHUSDT"]
    part = world.submits()[-1]
    world.after(0.1)
    world.fill(part)
    assert ended(world).outcome == "unwound"


def test_what_cannot_be_repaired_is_an_incident_and_left_to_the_next_cycle() -> None:
    world = opened()
    world.fill(world.submits()[0])
    for _ in range(150):
        if any(o.state is OrderState.JOURNALED for o in world.state.orders.active.values()):
            unfilled(world)
        seconds(world, 1)
        if not world.state.plans:
            break
    (row,) = world.records(IncidentOpened)
    assert isinstance(row, IncidentOpened)
    assert (row.kind, row.severity) == ("pair.naked", "critical")
    assert ended(world).outcome == "incomplete"


def test_an_unknown_core_is_waited_for_and_found() -> None:
    world = opened()
    world.fill(world.submits()[0])
    core = world.submits()[1]
    key = core.intent.client_order_id
    world.order(key, OrderState.UNKNOWN, venue_order_id=None)
    seconds(world, 16)
    assert len(world.submits()) == 2, "nothing is sent beside an order that may still fill"
    world.fill(core)
    assert ended(world).outcome in {"done", "incomplete"}
    assert world.state.account.quantities()["BTCUSDT"] == core.quantity


def test_an_unknown_core_is_not_waited_for_beyond_the_budget() -> None:
    world = opened()
    hedge = world.submits()[0]
    world.fill(hedge)
    key = world.submits()[1].intent.client_order_id
    world.order(key, OrderState.UNKNOWN, venue_order_id=None)
    seconds(world, 22)
    # Another core order would be denied: the first one counts in full and is unresolved.
    assert last(world) == ("ETHUSDT", Side.BUY, hedge.quantity, True)


def test_no_second_increase_is_sent_beside_one_that_may_still_fill() -> None:
    # Half the entry, so that the gate would allow the core twice.
    world = ready()
    world.state.strategy = replace(world.state.strategy, entry_scale=0.5)
    world.after(0.1)
    cycle(world)
    world.after(0.1)
    hedge = world.submits()[0]
    world.fill(hedge)
    core = world.submits()[1]
    key = core.intent.client_order_id
    world.order(key, OrderState.ACCEPTED, name="BTCUSDT")
    seconds(world, 22)
    assert key in world.state.orders.active
    assert [s.intent.instrument_id for s in world.submits() if s.intent.increases] == [
        "ETHUSDT",
        "BTCUSDT",
    ]
    assert last(world) == ("ETHUSDT", Side.BUY, hedge.quantity, True)
    # Both fill after all: the core alone is taken off again, and nothing is bought.
    world.fill(world.submits()[-1])
    world.fill(core)
    seconds(world, 1)
    name, side, off, reduces = last(world)
    assert (name, side, reduces) == ("BTCUSDT", Side.SELL, True)
    assert Decimal("0.9") * core.quantity < off <= core.quantity
    world.fill(world.submits()[-1])
    seconds(world, 1)
    assert ended(world).outcome == "unwound"


def test_an_unresolved_order_ends_its_decision_and_keeps_counting() -> None:
    world = opened()
    key = world.submits()[0].intent.client_order_id
    world.order(key, OrderState.UNKNOWN, name="ETHUSDT", venue_order_id=None)
    told = OrderUnresolved(client_order_id=key, evidence="nobody knows", received_ns=world.now_ns)
    world.feed(told)
    world.feed(told)
    (row,) = world.records(IncidentOpened)
    assert isinstance(row, IncidentOpened)
    assert row.kind == "order.unresolved"
    seconds(world, 17)
    assert ended(world).outcome == "incomplete"
    assert world.state.orders.unresolved() == {"ETHUSDT"}
    assert world.state.orders.active[key].open_order.remaining == world.submits()[0].quantity


def test_an_unresolved_order_does_not_keep_drift_from_being_found() -> None:
    world = opened()
    key = world.submits()[0].intent.client_order_id
    world.order(key, OrderState.UNKNOWN, name="ETHUSDT", venue_order_id=None)
    world.feed(OrderUnresolved(client_order_id=key, evidence="nobody", received_ns=world.now_ns))
    seconds(world, 17)
    assert list(world.state.orders.active) == [key]
    for _ in range(2):
        world.reconcile("cycle", positions={"BTCUSDT": ("0.2", "50000")})
        seconds(world, 5)
    kinds = [r.kind for r in world.records(IncidentOpened) if isinstance(r, IncidentOpened)]
    assert kinds == ["order.unresolved", "account.drift"]
    assert world.state.orders.unresolved() == {"ETHUSDT"}


def test_the_guard_and_an_unwinding_do_not_take_the_same_thing_off_twice() -> None:
    world = opened()
    hedge = world.submits()[0]
    world.fill(hedge)
    world.after(1)
    asked = leg_vanished(world.state)
    world.done += asked
    # The guard's own reductions are out before the pair is looked at again.
    seconds(world, 1)
    off = sum(
        (
            s.quantity
            for s in world.submits()
            if s.intent.reduce_only and s.intent.instrument_id == "ETHUSDT"
        ),
        Decimal(0),
    )
    assert off <= hedge.quantity


def test_a_decision_does_not_buy_back_what_the_venue_took_off_its_hedge() -> None:
    world = opened()
    hedge = world.submits()[0]
    world.fill(hedge)
    core = world.submits()[1].intent
    left = Decimal("2.127")
    assert left < hedge.quantity
    world.after(0.2)
    world.position("ETHUSDT", str(-left), MARKS["ETHUSDT"])
    world.order(core.client_order_id, OrderState.CANCELED, name="BTCUSDT", filled="0")
    seconds(world, 30)
    assert [r.kind for r in world.records(IncidentOpened) if isinstance(r, IncidentOpened)] == [
        "leg.vanished"
    ]
    later = [sent.intent for sent in world.submits()[2:]]
    assert [(i.instrument_id, i.reduce_only, i.quantity) for i in later] == [
        ("ETHUSDT", True, left)
    ]
    world.fill(world.submits()[-1])
    seconds(world, 1)
    assert ended(world).outcome == "unwound"
    assert "BTCUSDT increase dropped: the venue took a hedge away" in ended(world).summary


def test_what_the_venue_took_is_seen_while_an_order_that_grows_the_hedge_is_at_work() -> None:
    world = opened()
    hedge = world.submits()[0]
    world.order(hedge.intent.client_order_id, OrderState.ACCEPTED, name="ETHUSDT")
    world.position("ETHUSDT", "-2", MARKS["ETHUSDT"])
    assert world.records(IncidentOpened) == []
    world.after(0.1)
    world.position("ETHUSDT", "-1", MARKS["ETHUSDT"])
    (told,) = world.records(IncidentOpened)
    assert isinstance(told, IncidentOpened)
    assert told.summary == "ETHUSDT went to -1 from -2 without an order of ours"


def test_a_message_between_two_executions_of_an_order_takes_nothing_away() -> None:
    world = opened()
    hedge = world.submits()[0]
    world.order(hedge.intent.client_order_id, OrderState.ACCEPTED, name="ETHUSDT")
    for _ in range(2):
        world.fill(hedge, Decimal(1))
    assert world.state.account.quantities()["ETHUSDT"] == Decimal(-2)
    world.position("ETHUSDT", "-1", MARKS["ETHUSDT"])
    world.position("ETHUSDT", "-2", MARKS["ETHUSDT"])
    assert world.records(IncidentOpened) == []


def test_what_an_order_filled_is_not_traded_again_before_the_account_shows_it() -> None:
    # Bybit tells an order's end and its executions on two topics, in any order.
    world = opened()
    hedge, key = world.submits()[0], world.submits()[0].intent.client_order_id
    world.order(key, OrderState.ACCEPTED, name="ETHUSDT")
    world.after(0.1)
    world.order(key, OrderState.FILLED, name="ETHUSDT", filled=str(hedge.quantity))
    core = world.submits()[1]
    assert core.intent.instrument_id == "BTCUSDT"
    world.after(0.1)
    world.fill(core)
    seconds(world, 3)
    assert len(world.submits()) == 2, "the hedge is not behind, it is not told of yet"
    assert actions.Reconcile(cause="doubt") in world.done
    world.position("ETHUSDT", str(-hedge.quantity), MARKS["ETHUSDT"])
    seconds(world, 1)
    assert ended(world).outcome == "done"
    assert len(world.submits()) == 2


def test_what_the_venue_took_before_our_execution_was_told_is_not_bought_back() -> None:
    world = opened()
    hedge, key = world.submits()[0], world.submits()[0].intent.client_order_id
    world.order(key, OrderState.ACCEPTED, name="ETHUSDT")
    world.after(0.1)
    world.order(key, OrderState.FILLED, name="ETHUSDT", filled=str(hedge.quantity))
    # An ADL of a part came before anything told of the whole: no message shows a loss.
    world.after(0.1)
    world.position("ETHUSDT", "-2", MARKS["ETHUSDT"])
    world.fill(world.submits()[1])
    seconds(world, 5)
    later = [sent.intent for sent in world.submits()[2:]]
    assert later != []
    assert {(i.instrument_id, i.reduce_only) for i in later} == {("BTCUSDT", True)}


def unwinding_accepted() -> tuple[World, str]:
    """Return a world whose pair stands half alone, with its unwinding accepted without an end."""
    world = opened()
    hedge = world.submits()[0]
    world.after(0.1)
    world.fill(hedge)
    core = world.submits()[1]
    world.after(0.1)
    world.fill(core, (core.quantity / 2).quantize(Decimal("0.0001")))
    while not last(world)[3]:
        if at_work(world):
            unfilled(world)
            continue
        seconds(world, 1)
    key = world.submits()[-1].intent.client_order_id
    world.order(key, OrderState.ACCEPTED, name="ETHUSDT")
    return world, key


def reductions(world: World) -> int:
    return sum(sent.intent.reduce_only for sent in world.submits())


def test_an_unwinding_without_an_end_is_not_sent_again_while_it_may_fill() -> None:
    world, key = unwinding_accepted()
    seconds(world, 25)
    assert key in world.state.orders.active
    assert reductions(world) == 1
    world.fill(world.submits()[-1])
    seconds(world, 1)
    assert ended(world).outcome == "unwound"
    assert reductions(world) == 1


def test_an_unwinding_nobody_can_find_is_followed_by_another() -> None:
    world, key = unwinding_accepted()
    seconds(world, 16)
    assert reductions(world) == 1
    told = OrderUnresolved(client_order_id=key, evidence="nobody", received_ns=world.now_ns)
    world.feed(told)
    seconds(world, 1)
    assert reductions(world) == 2


def test_an_unwinding_without_an_end_does_not_stop_the_next_one_for_ever() -> None:
    world, key = unwinding_accepted()
    seconds(world, 48)
    # The budget is used up a second time.
    assert key in world.state.orders.active
    assert reductions(world) == 2


# -- after a restart -------------------------------------------------------------------------


def resumed(
    world: World, pair: Pair, *, order_ids: list[str] | None = None, last: int | None = 0
) -> Plan:
    plan = Plan(
        decision_id="before",
        source=IntentSource.CYCLE,
        phases=[],
        started_ns=world.now_ns,
        attempts_from=attempts_after(last),
        order_ids=order_ids or [],
        pair=PairProgress(pair=pair, budget=pair.notional * 20, resumed=True),
    )
    world.state.plans["before"] = plan
    return plan


def cut_off() -> Pair:
    world = opened()
    (row,) = world.records(PairOpened)
    assert isinstance(row, PairOpened)
    return codec.decode(row.body, Pair)


def test_a_restart_completes_a_pair_at_once() -> None:
    pair = cut_off()
    hedge = str(pair.planned["ETHUSDT"])
    world = ready(positions={"ETHUSDT": (hedge, "2500")})
    resumed(world, pair)
    seconds(world, 1)
    assert last(world)[:2] == ("BTCUSDT", Side.BUY)
    assert world.submits()[-1].intent.attempt == 1_000
    world.after(0.1)
    world.fill(world.submits()[-1])
    row = ended(world)
    assert (row.decision_id, row.outcome) == ("before", "done")
    assert "restart" in row.summary


def test_a_restart_unwinds_what_it_may_not_complete() -> None:
    pair = cut_off()
    hedge = pair.planned["ETHUSDT"]
    world = ready(positions={"ETHUSDT": (str(hedge), "2500")})
    world.state.clock_offset_ms = 9_000.0
    resumed(world, pair)
    seconds(world, 1)
    assert last(world) == ("ETHUSDT", Side.BUY, -hedge, True)
    world.after(0.1)
    world.fill(world.submits()[-1])
    row = ended(world)
    assert row.outcome == "unwound"
    assert "restart" in row.summary


def test_a_restart_finds_nothing_alone() -> None:
    world = ready()
    resumed(world, cut_off())
    seconds(world, 1)
    assert world.submits() == []
    row = ended(world)
    assert row.outcome == "incomplete"
    assert "nothing stands alone" in row.summary


def test_a_leg_that_turned_is_not_opened_again_by_what_it_closed() -> None:
    # Decided: a core of 0.1 short is closed and 0.2 long opened. Both filled, then the venue
    # took half of it: what it closed at first leaves no room to buy.
    pair = cut_off()
    pair = replace(pair, start={"BTCUSDT": Decimal("-0.1")})
    pair.planned["BTCUSDT"] = Decimal("0.3")
    hedge = pair.planned["ETHUSDT"]
    world = ready(positions={"ETHUSDT": (str(hedge), "2500"), "BTCUSDT": ("0.1", "50000")})
    progress = resumed(world, pair).pair
    assert progress is not None
    progress.increased_before = {"BTCUSDT": Decimal("0.2"), "ETHUSDT": -hedge}
    seconds(world, 2)
    assert world.submits() != []
    assert all(sent.intent.reduce_only for sent in world.submits())


def restarted(held: dict[str, str], *, recorded: bool) -> World:
    """Return a world that found other positions than those on record, its pair taken up.

    `recorded` = the ends of its increases are on record, too.
    """
    pair = cut_off()
    world = World(state=make_state())
    warm(world.state)
    boot.take_up_positions(world.state, pair.planned)
    plan = resumed(world, pair, order_ids=["cp" + "a" * 30, "cp" + "b" * 30], last=1)
    assert plan.pair is not None
    if recorded:
        plan.pair.increased_before = {name: abs(each) for name, each in pair.planned.items()}
    world.after(1)
    world.market()
    world.reconcile("start", positions={i: (q, str(MARKS[i])) for i, q in held.items()})
    return world


def test_a_restart_does_not_buy_back_what_the_venue_took_meanwhile() -> None:
    core = cut_off().planned["BTCUSDT"]
    world = restarted({"ETHUSDT": "-2", "BTCUSDT": str(core)}, recorded=True)
    assert world.state.recorded is not None, "no execution is listed yet"
    seconds(world, 2)
    assert last(world)[:2] == ("BTCUSDT", Side.SELL)
    assert all(s.intent.reduce_only for s in world.submits())


def test_a_restart_waits_a_moment_for_what_explains_its_positions_before_it_increases() -> None:
    # The record lacks what the hedge filled: it may be listed in a moment.
    core = cut_off().planned["BTCUSDT"]
    world = restarted({"ETHUSDT": "-2", "BTCUSDT": str(core)}, recorded=False)
    seconds(world, 3)
    assert world.submits() == []
    seconds(world, 10)
    assert world.state.recorded is not None
    assert last(world)[:2] == ("BTCUSDT", Side.SELL)
    assert all(s.intent.reduce_only for s in world.submits())


@pytest.mark.parametrize(("last", "first"), [(None, 0), (0, 1_000), (999, 1_000), (1_000, 2_000)])
def test_a_restart_numbers_its_orders_beyond_all_that_was_sent(
    last: int | None, first: int
) -> None:
    assert attempts_after(last) == first


# -- waiting, splitting, caps ----------------------------------------------------------------

WAITING = ExecutionParameters(passive_seconds=Decimal(4))


def test_in_calm_the_leading_leg_waits_at_the_best_price_then_takes() -> None:
    world = opened(execution=WAITING)
    (first,) = world.submits()
    assert first.intent.post_only
    assert first.intent.rests
    assert first.intent.price_limit == MARKS["ETHUSDT"] + Decimal("0.01"), "the best ask"
    key = first.intent.client_order_id
    world.order(key, OrderState.ACCEPTED, name="ETHUSDT")
    seconds(world, 3)
    assert not [a for a in world.done if isinstance(a, actions.Cancel)]
    seconds(world, 1)
    cancels = [a for a in world.done if isinstance(a, actions.Cancel)]
    assert [c.client_order_id for c in cancels] == [key]
    world.order(key, OrderState.CANCELED, name="ETHUSDT", filled="0.5")
    second = world.submits()[-1]
    assert not second.intent.post_only
    assert second.quantity == first.quantity - Decimal("0.5")
    world.after(0.1)
    world.fill(second)
    core = world.submits()[-1]
    assert core.intent.leg is LegRole.CORE
    assert not core.intent.rests, "the leg that follows takes at once"


def test_a_post_only_order_the_venue_cancels_is_followed_by_one_that_takes() -> None:
    world = opened(execution=WAITING)
    unfilled(world)
    assert len(world.submits()) == 2
    assert not world.submits()[-1].intent.rests


def test_outside_calm_nothing_waits() -> None:
    world = ready(make_run(execution=WAITING))
    world.after(0.1)
    world.state.memory = replace(world.state.memory, regime=Regime.ELEVATED)
    cycle(world)
    assert world.submits()
    assert not any(s.intent.rests for s in world.submits())


def test_a_pause_cancels_what_waits() -> None:
    world = opened(execution=WAITING)
    key = world.submits()[0].intent.client_order_id
    working.drop_increases(world.state, "test")
    world.feed(Tick(now_ns=world.after(3)))
    cancels = [a for a in world.done if isinstance(a, actions.Cancel)]
    assert {c.client_order_id for c in cancels} == {key}


def test_a_resting_increase_that_no_decision_owns_is_canceled() -> None:
    world = ready()
    order = OpenOrder(
        client_order_id="cp" + "1" * 30,
        venue_order_id="v9",
        instrument_id="ETHUSDT",
        side=Side.SELL,
        quantity=Decimal(1),
        filled_quantity=Decimal(0),
        price_limit=Decimal(2_501),
        reduce_only=False,
        state=OrderState.ACCEPTED,
    )
    world.state.orders.adopt(order, created_ns=world.now_ns, expires_ns=world.now_ns)
    for _ in range(3):
        world.feed(Tick(now_ns=world.after(1)))
    cancels = [a for a in world.done if isinstance(a, actions.Cancel)]
    assert [c.client_order_id for c in cancels] == ["cp" + "1" * 30] * 2


@pytest.mark.parametrize(
    ("regime", "cap"), [("calm", 20), ("elevated", 30), ("stressed", 40), ("cascade", 20)]
)
def test_the_cap_of_an_increase_follows_the_regime(regime: str, cap: int) -> None:
    assert make_run().slippage_cap_bps(Regime(regime)) == cap


def test_a_leg_larger_than_one_order_goes_out_in_several() -> None:
    world = ready()
    world.after(0.1)
    rules = world.state.instruments["ETHUSDT"]
    small = replace(rules, limit_quantity_max=Decimal("1.5"), market_quantity_max=Decimal(1))
    world.state.instruments["ETHUSDT"] = small
    world.state.market.set_instrument(small)
    cycle(world)
    # The strategy keeps to what one order may carry; a larger wish is split all the same.
    plan = next(iter(world.state.plans.values()))
    leg = plan.phases[0][0]
    leg.quantity = Decimal("2.5")
    sent = []
    while (order := world.submits()[-1]).intent.instrument_id == "ETHUSDT":
        sent.append(order.quantity)
        world.after(0.1)
        world.fill(order)
    assert sent == [Decimal(1), Decimal(1), Decimal("0.5")]


# -- a reduction the venue refuses -----------------------------------------------------------


def refuse(world: World, key: str, name: str) -> None:
    world.feed(
        OrderUpdate(
            client_order_id=key,
            venue_order_id=None,
            instrument_id=name,
            state=OrderState.REJECTED,
            filled_quantity=None,
            average_price=None,
            source=UpdateSource.LOCAL,
            code="51169",
            message="",
            order=None,
            event_ns=world.now_ns,
            received_ns=world.now_ns,
            position_doubtful=True,
        )
    )


def squeezed() -> World:
    world = ready(positions={"BTCUSDT": ("0.3", "50000"), "ETHUSDT": ("-4", "2500")})
    world.after(1)
    world.mark("ETHUSDT", "2770")
    return world


def test_a_refused_reduction_is_not_sent_again_before_the_position_was_read() -> None:
    world = squeezed()
    hedge = world.submits()[1].intent
    refuse(world, hedge.client_order_id, "ETHUSDT")
    assert [a.cause for a in world.done if isinstance(a, actions.Reconcile)] == ["rejected"]
    for _ in range(6):
        world.after(0.3)
        world.mark("ETHUSDT", "2770")
    assert {s.intent.instrument_id for s in world.submits()[2:]} <= {"BTCUSDT"}
    # The answer: the hedge is gone. Nothing is left to reduce there, and the core is cut.
    world.reconcile("rejected", positions={"BTCUSDT": ("0.3", "50000")}, equity="10000")
    assert world.state.account.quantities() == {"BTCUSDT": Decimal("0.3")}
    assert {s.intent.instrument_id for s in world.submits()[2:]} <= {"BTCUSDT"}


def test_a_position_that_is_still_there_is_reduced_after_it_was_read() -> None:
    world = squeezed()
    hedge = world.submits()[1].intent
    refuse(world, hedge.client_order_id, "ETHUSDT")
    world.after(0.2)
    world.reconcile(
        "rejected",
        positions={"BTCUSDT": ("0.3", "50000"), "ETHUSDT": ("-4", "2500")},
        equity="8920",
    )
    again = world.submits()[2:]
    assert [a.intent.instrument_id for a in again] == ["ETHUSDT"]


def test_without_an_answer_a_refused_reduction_waits_only_for_a_moment() -> None:
    world = squeezed()
    hedge = world.submits()[1].intent
    refuse(world, hedge.client_order_id, "ETHUSDT")
    for _ in range(3):
        world.after(1)
        world.market()
        world.mark("ETHUSDT", "2770")
        world.feed(Tick(now_ns=world.now_ns))
    assert "ETHUSDT" in {s.intent.instrument_id for s in world.submits()[2:]}


def test_a_resting_reduction_that_reserves_the_position_is_canceled_first() -> None:
    world = ready(positions={"BTCUSDT": ("0.3", "50000"), "ETHUSDT": ("-4", "2500")})
    key = "cp" + "2" * 30
    resting = OpenOrder(
        client_order_id=key,
        venue_order_id="v9",
        instrument_id="ETHUSDT",
        side=Side.BUY,
        quantity=Decimal(4),
        filled_quantity=Decimal(0),
        price_limit=Decimal(2_000),
        reduce_only=True,
        state=OrderState.ACCEPTED,
    )
    long_ago = world.now_ns - 60 * 10**9
    world.state.orders.adopt(resting, created_ns=long_ago, expires_ns=long_ago)
    world.after(1)
    world.mark("ETHUSDT", "2770")
    assert [s.intent.instrument_id for s in world.submits()] == ["BTCUSDT"]
    assert [a.client_order_id for a in world.done if isinstance(a, actions.Cancel)] == [key]
    world.order(key, OrderState.CANCELED, name="ETHUSDT", venue_order_id="v9")
    assert [s.intent.instrument_id for s in world.submits()] == ["BTCUSDT", "ETHUSDT"]


def test_a_cancel_without_an_answer_does_not_hold_a_reduction_back_for_long() -> None:
    world = ready(positions={"BTCUSDT": ("0.3", "50000"), "ETHUSDT": ("-4", "2500")})
    key = "cp" + "2" * 30
    resting = OpenOrder(
        client_order_id=key,
        venue_order_id="v9",
        instrument_id="ETHUSDT",
        side=Side.BUY,
        quantity=Decimal(4),
        filled_quantity=Decimal(0),
        price_limit=Decimal(2_000),
        reduce_only=True,
        state=OrderState.ACCEPTED,
    )
    long_ago = world.now_ns - 60 * 10**9
    world.state.orders.adopt(resting, created_ns=long_ago, expires_ns=long_ago)
    world.after(1)
    world.mark("ETHUSDT", "2770")
    world.feed(Tick(now_ns=world.after(1.1)))
    assert "ETHUSDT" in {s.intent.instrument_id for s in world.submits()}
