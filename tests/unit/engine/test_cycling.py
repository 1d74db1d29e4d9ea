"""One row per cycle, always; and no cycle orders what an earlier one has already on its way."""

from dataclasses import replace
from decimal import Decimal

import pytest

from counterpoise.domain.events import CycleDue, LiquidationPrinted, ReconciliationFailed, Tick
from counterpoise.domain.orders import LegRole, Side
from counterpoise.domain.records import (
    DecisionEnded,
    DecisionMade,
    EquitySeen,
    MarketSeen,
    MemoryKept,
    SignalsSeen,
)
from counterpoise.engine import actions
from counterpoise.engine.cycle import CycleInputs, recompute
from counterpoise.ledger import codec
from counterpoise.strategy.parameters import POLICY_NAMES
from engine_world import World, make_run, ready


def cycle(world: World, **account: object) -> DecisionMade:
    """Run one cycle to its decision and return its row."""
    before = len(world.records(DecisionMade))
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.now_ns))
    world.reconcile("cycle", **account)
    rows = world.records(DecisionMade)
    assert len(rows) == before + 1
    row = rows[-1]
    assert isinstance(row, DecisionMade)
    return row


def test_a_cycle_asks_the_venue_first_and_decides_on_its_answer() -> None:
    world = ready()
    asked = world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.now_ns))
    assert asked == [actions.Reconcile(cause="cycle")]
    assert world.records(DecisionMade) == []
    world.reconcile("cycle")
    assert len(world.records(DecisionMade)) == 1


def test_the_first_cycle_buys_the_hedges_before_the_core() -> None:
    world = ready()
    row = cycle(world)
    assert row.action == "traded"
    hedges = world.submits()
    assert {s.intent.leg for s in hedges} == {LegRole.HEDGE}
    world.fill(hedges[0])
    core = world.submits()[-1]
    assert core.intent.leg is LegRole.CORE
    assert core.leverage_worst is not None
    assert core.leverage_worst <= 3
    world.fill(core)
    (ended,) = world.records(DecisionEnded)
    assert isinstance(ended, DecisionEnded)
    assert ended.outcome == "done"


def test_a_part_filled_hedge_scales_the_core_that_follows() -> None:
    world = ready()
    cycle(world)
    (hedge,) = world.submits()
    for attempt in range(3):
        part = Decimal("0.001") * (attempt + 1)
        world.fill(world.submits()[-1], part)
    wanted = codec.decode(_only(world).inputs, CycleInputs)
    core = world.submits()[-1]
    assert core.intent.leg is LegRole.CORE
    whole = recompute(wanted).decision.changes[-1].quantity
    assert core.quantity <= whole * Decimal("0.006") / hedge.quantity + Decimal("0.0001")


def test_a_cycle_while_orders_are_on_their_way_orders_nothing_twice() -> None:
    world = ready()
    cycle(world)
    first = len(world.submits())
    world.after(0.05)
    row = cycle(world)
    assert row.action == "skipped"
    assert len(world.submits()) == first
    inputs = codec.decode(row.inputs, CycleInputs)
    assert "ORDERS_AT_WORK" in inputs.decision.account.missing


def test_a_cycle_without_an_answer_still_has_its_row() -> None:
    world = ready()
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.now_ns))
    world.feed(ReconciliationFailed(cause="cycle", message="timeout", received_ns=world.after(1)))
    row = _only(world)
    assert row.action == "skipped"
    assert world.submits() == []


def test_a_cycle_whose_answer_never_comes_is_decided_by_the_clock() -> None:
    world = ready()
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.now_ns))
    for _ in range(10):
        world.market()
        world.feed(Tick(now_ns=world.after(1)))
    assert _only(world).action == "skipped"


def test_what_a_decision_used_is_in_its_row_and_computes_again_equal() -> None:
    world = ready()
    row = cycle(world)
    inputs = codec.decode(row.inputs, CycleInputs)
    assert codec.encode(recompute(inputs)) == row.outputs
    assert {r.instrument_id for r in world.records(MarketSeen)} == {"BTCUSDT", "ETHUSDT"}  # type: ignore[union-attr]
    assert len(world.records(SignalsSeen)) == 2
    assert len(world.records(MemoryKept)) == 1
    assert len(world.records(EquitySeen)) == 1


def test_observing_writes_a_row_sends_nothing_and_keeps_the_entry_scale() -> None:
    world = ready(make_run(observe=True))
    row = cycle(world)
    assert row.action == "blocked"
    assert row.reasons[-1] == "OBSERVE_MODE"
    assert world.submits() == []
    assert world.state.memory.scale is None


def _only(world: World) -> DecisionMade:
    (row,) = world.records(DecisionMade)
    assert isinstance(row, DecisionMade)
    return row


@pytest.mark.parametrize("policy", POLICY_NAMES)
def test_every_policy_is_recorded_and_computes_again_equal(policy: str) -> None:
    world = ready()
    world.state.strategy = replace(world.state.strategy, policy=policy)
    row = cycle(world)
    inputs = codec.decode(row.inputs, CycleInputs)
    assert codec.encode(recompute(inputs)) == row.outputs
    assert inputs.decision.parameters.policy == policy
    assert world.state.memory.policy == policy
    legs = {order.intent.instrument_id for order in world.submits()}
    assert legs <= {"BTCUSDT", "ETHUSDT"}
    assert bool(legs) is (policy != "flat")


def test_observing_sets_no_quantity_for_later() -> None:
    world = ready(make_run(observe=True))
    world.state.strategy = replace(world.state.strategy, policy="static_hedge")
    row = cycle(world)
    assert "POLICY_SET" in row.reasons
    assert world.state.memory.policy_quantities == {}
    assert world.submits() == []


def test_a_liquidation_print_is_part_of_what_a_decision_sees() -> None:
    world = ready()
    world.feed(
        LiquidationPrinted(
            instrument_id="ETHUSDT",
            side=Side.SELL,
            quantity=Decimal(2),
            price=Decimal(3000),
            event_ns=world.now_ns,
            received_ns=world.now_ns,
        )
    )
    inputs = codec.decode(cycle(world).inputs, CycleInputs)
    assert inputs.decision.market.liquidations_quote == 6000.0
    assert inputs.decision.market.liquidations_quote_high is None
