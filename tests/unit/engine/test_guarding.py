"""Between cycles leverage is watched on every mark and the book reduced at the trigger."""

from dataclasses import replace
from decimal import Decimal

import pytest

from counterpoise.domain.account import Position
from counterpoise.domain.events import (
    AccountReconciled,
    BalanceUpdate,
    LedgerHealth,
    OrderUpdate,
    StreamDown,
    StreamName,
    Tick,
    UpdateSource,
)
from counterpoise.domain.orders import IntentSource, OrderState, Side
from counterpoise.domain.records import DecisionEnded, DecisionMade, IncidentOpened
from counterpoise.engine import guarding
from counterpoise.ledger import codec
from counterpoise.risk.guard import GuardVerdict
from engine_world import World, make_run, ready

HEDGED = {"BTCUSDT": ("0.3", "50000"), "ETHUSDT": ("-4", "2500")}


def test_nothing_happens_below_the_trigger() -> None:
    world = ready(positions=HEDGED)
    assert world.state.leverage == Decimal("2.5")
    assert world.submits() == []


def test_a_squeeze_reduces_every_leg_reduce_only_before_the_next_cycle() -> None:
    world = ready(positions=HEDGED)
    world.after(1)
    # Hedges up 10.8 %: equity 8,920, gross 26,080.
    world.mark("ETHUSDT", "2770")
    sent = world.submits()
    assert [s.intent.instrument_id for s in sent] == ["BTCUSDT", "ETHUSDT"]
    assert [s.intent.side for s in sent] == [Side.SELL, Side.BUY]
    assert all(s.intent.reduce_only and s.intent.source is IntentSource.GUARD for s in sent)
    left = [Decimal("0.3") - sent[0].quantity, Decimal(4) - sent[1].quantity]
    gross = left[0] * 50_000 + left[1] * 2_770
    assert Decimal("2.55") < gross / 8_920 <= Decimal("2.6")
    assert world.state.leverage_max is not None
    assert world.state.leverage_max > Decimal("2.92")


def test_the_guard_writes_what_it_saw_and_it_computes_again_equal() -> None:
    world = ready(positions=HEDGED)
    world.after(1)
    world.mark("ETHUSDT", "2770")
    (row,) = world.records(DecisionMade)
    assert isinstance(row, DecisionMade)
    assert (row.kind, row.action, row.reasons) == ("guard", "traded", ("LEVERAGE",))
    inputs = codec.decode(row.inputs, guarding.GuardInputs)
    assert codec.encode(guarding.recompute(inputs)) == row.outputs


def test_while_a_reduction_works_no_second_one_is_sent_for_the_same_excess() -> None:
    world = ready(positions=HEDGED)
    world.after(1)
    world.mark("ETHUSDT", "2770")
    first = len(world.submits())
    for _ in range(5):
        world.after(0.3)
        world.mark("ETHUSDT", "2770")
    assert len(world.submits()) == first


def test_what_a_part_filled_reduction_left_is_sent_again() -> None:
    world = ready(positions=HEDGED)
    world.after(1)
    world.mark("ETHUSDT", "2770")
    core, hedge = world.submits()
    world.after(0.2)
    world.fill(core, core.quantity)
    world.fill(hedge, Decimal("0.1"))
    again = world.submits()[2:]
    assert [a.intent.instrument_id for a in again] == ["ETHUSDT"]
    assert again[0].quantity == hedge.quantity - Decimal("0.1")
    assert again[0].intent.attempt == 1
    assert again[0].intent.client_order_id != hedge.intent.client_order_id


def test_the_guard_needs_no_database() -> None:
    world = ready(positions=HEDGED)
    world.feed(LedgerHealth(available=False, backlog_age_seconds=9.0, received_ns=world.after(1)))
    world.mark("ETHUSDT", "2770")
    assert len(world.submits()) == 2


def test_observing_records_the_highest_leverage_and_sends_nothing() -> None:
    world = ready(make_run(observe=True), positions=HEDGED)
    world.after(1)
    world.mark("ETHUSDT", "2770")
    assert world.submits() == []
    assert world.state.leverage_max_run is not None
    assert world.state.leverage_max_run > Decimal("2.92")


def test_equity_used_up_closes_everything() -> None:
    world = ready(positions={"BTCUSDT": ("0.5", "50000")})
    world.after(1)
    world.mark("BTCUSDT", "29000")
    assert world.state.leverage_infinite is True
    (sent,) = world.submits()
    assert sent.quantity == Decimal("0.5")


def test_a_hedge_that_vanished_cuts_the_core_at_once() -> None:
    world = ready(positions=HEDGED)
    world.after(1)
    world.position("ETHUSDT", "0", None)
    (incident,) = world.records(IncidentOpened)
    assert isinstance(incident, IncidentOpened)
    assert incident.kind == "leg.vanished"
    (sent,) = world.submits()
    assert (sent.intent.instrument_id, sent.intent.side) == ("BTCUSDT", Side.SELL)
    assert Decimal("0.1") <= sent.quantity < Decimal("0.3")


def test_a_finished_guard_decision_says_what_became_of_it() -> None:
    world = ready(positions=HEDGED)
    world.after(1)
    world.mark("ETHUSDT", "2770")
    for sent in world.submits():
        world.fill(sent)
    (ended,) = world.records(DecisionEnded)
    assert isinstance(ended, DecisionEnded)
    assert (ended.outcome, ended.orders_sent, ended.orders_filled) == ("done", 2, 2)
    assert world.state.plans == {}


def test_an_order_that_never_ends_gives_its_plan_up_and_stays_counted() -> None:
    world = ready(positions=HEDGED)
    world.after(1)
    world.mark("ETHUSDT", "2770")
    for sent in world.submits():
        world.order(sent.intent.client_order_id, OrderState.UNKNOWN, name=sent.intent.instrument_id)
    assert world.state.orders.unresolved() == {"BTCUSDT", "ETHUSDT"}


def doubted() -> World:
    """Return a world whose guard filled its hedge's reduction and had the core's refused."""
    world = ready(positions={"BTCUSDT": ("0.4", "50000"), "ETHUSDT": ("-3.8", "2500")})
    world.after(1)
    world.market()
    core, hedge = world.submits()
    world.after(0.1)
    world.fill(hedge)
    world.feed(
        OrderUpdate(
            client_order_id=core.intent.client_order_id,
            venue_order_id=None,
            instrument_id="BTCUSDT",
            state=OrderState.REJECTED,
            filled_quantity=None,
            average_price=None,
            source=UpdateSource.LOCAL,
            code="-2022",
            message="",
            order=None,
            event_ns=world.now_ns,
            received_ns=world.now_ns,
            position_doubtful=True,
        )
    )
    assert world.state.leverage is not None
    assert world.state.leverage < world.state.guard.leverage_trigger
    return world


def replayed(world: World) -> None:
    """Compute every guard decision again."""
    for row in world.records(DecisionMade):
        assert isinstance(row, DecisionMade)
        inputs = codec.decode(row.inputs, guarding.GuardInputs)
        assert codec.encode(guarding.recompute(inputs)) == row.outputs


def test_what_an_older_decision_sends_at_that_moment_pays_for_the_excess() -> None:
    world = doubted()
    first = world.submits()[0].quantity
    world.after(2.1)
    world.mark("ETHUSDT", "2560")
    again = world.submits()[2:]
    assert (again[0].intent.instrument_id, again[0].quantity) == ("BTCUSDT", first), "the retry"
    row = world.records(DecisionMade)[-1]
    assert isinstance(row, DecisionMade)
    marks = {"BTCUSDT": 50_000, "ETHUSDT": 2_560}
    lots = Decimal("0.0001") * 50_000 + Decimal("0.001") * 2_560
    sent = sum(s.quantity * marks[s.intent.instrument_id] for s in again)
    excess = codec.decode(row.outputs, GuardVerdict).excess
    assert excess <= sent <= excess + lots
    replayed(world)


def test_the_other_legs_are_cut_while_one_is_doubted() -> None:
    world = doubted()
    world.after(0.5)
    world.mark("ETHUSDT", "2560")
    again = world.submits()[2:]
    # Its share of the excess; the core's own waits until its position was read again.
    assert [(s.intent.instrument_id, s.quantity) for s in again] == [("ETHUSDT", Decimal("0.364"))]
    replayed(world)


@pytest.mark.parametrize("down", [False, True])
def test_the_guard_cuts_at_the_mark_where_the_books_stand_still(*, down: bool) -> None:
    world = ready(positions=HEDGED)
    world.after(1)
    if down:
        world.feed(StreamDown(stream=StreamName.BOOKS, reason="cut", received_ns=world.now_ns))
    # The hedge's mark runs away from its last book by far more than any cap.
    world.mark("ETHUSDT", "2800")
    core, hedge = world.submits()
    assert (hedge.intent.instrument_id, hedge.intent.side) == ("ETHUSDT", Side.BUY)
    assert hedge.intent.price_limit is not None
    assert hedge.intent.price_limit > 2_800
    # The core's mark and book agree: its cap is as ever.
    assert core.intent.price_limit is not None
    assert 49_000 < core.intent.price_limit < 50_000


def test_a_position_in_a_market_that_is_not_followed_is_no_endless_work_for_the_guard() -> None:
    world = ready()
    world.after(20)
    world.market()
    strange = Position(
        instrument_id="DOGEUSDT",
        quantity=Decimal(300_000),
        entry_price=Decimal("0.1"),
        mark=Decimal("0.1"),
        event_ns=world.now_ns,
    )
    found = replace(world.snapshot(), positions=(strange,))
    world.feed(AccountReconciled(snapshot=found, cause="cycle"))
    world.after(1)
    world.feed(BalanceUpdate(balance=world.balance("10000"), received_ns=world.now_ns))
    for _ in range(30):
        world.after(1)
        world.market()
        world.feed(Tick(now_ns=world.now_ns))
    assert world.state.leverage == 3
    rows = world.records(DecisionMade)
    assert [row for row in rows if isinstance(row, DecisionMade) and row.kind == "guard"] == []
