"""Markets that close while something is held in them."""

from decimal import Decimal

import pytest

from counterpoise.domain.account import TradingState
from counterpoise.domain.events import InstrumentStateTold, Tick
from counterpoise.domain.instruments import InstrumentState
from counterpoise.domain.orders import OrderState, Side, TimeInForce
from counterpoise.domain.records import DecisionMade, IncidentOpened
from counterpoise.engine import actions, flattening, working
from counterpoise.engine.trading_state import Cause
from counterpoise.ledger import codec
from engine_world import World, ready

HELD = {"BTCUSDT": ("0.1", "50000"), "ETHUSDT": ("-1", "2500")}


def told(world: World, name: str, state: InstrumentState) -> None:
    world.feed(InstrumentStateTold(instrument_id=name, state=state, received_ns=world.after(1)))


def incidents(world: World) -> list[tuple[str, str]]:
    rows = [r for r in world.records(IncidentOpened) if isinstance(r, IncidentOpened)]
    return [(row.kind, row.severity) for row in rows]


@pytest.mark.parametrize("state", [InstrumentState.SUSPENDED, InstrumentState.POST_ONLY])
def test_a_core_that_cannot_be_traded_holds_back_and_keeps_its_hedges(
    state: InstrumentState,
) -> None:
    world = ready(positions=HELD)
    told(world, "BTCUSDT", state)
    assert world.state.causes == {Cause.CORE}
    assert world.state.trading_state is TradingState.REDUCING
    assert incidents(world) == [("instrument.state", "critical")]
    for _ in range(5):
        world.feed(Tick(now_ns=world.after(1)))
    assert world.submits() == [], "the hedges still hedge what is held"
    told(world, "BTCUSDT", state)
    assert len(incidents(world)) == 1, "said once"
    told(world, "BTCUSDT", InstrumentState.LIVE)
    assert world.state.causes == set()


def test_a_core_settled_at_its_delisting_takes_its_hedges_along_at_once() -> None:
    world = ready(positions=HELD)
    world.after(20)
    world.market()
    told(world, "BTCUSDT", InstrumentState.DELISTED)
    assert world.submits() == []
    world.position("BTCUSDT", "0", None)
    (sent,) = world.submits()
    assert (sent.intent.instrument_id, sent.intent.side) == ("ETHUSDT", Side.BUY)
    assert sent.intent.reduce_only
    assert sent.quantity == Decimal(1)
    row = world.records(DecisionMade)[-1]
    assert isinstance(row, DecisionMade)
    assert (row.kind, row.reasons) == ("flatten", ("CORE_GONE",))
    inputs = codec.decode(row.inputs, flattening.FlattenInputs)
    assert codec.encode(flattening.recompute(inputs)) == row.outputs
    world.fill(sent)
    before = len(world.submits())
    for _ in range(5):
        world.feed(Tick(now_ns=world.after(1)))
    assert len(world.submits()) == before


def test_a_core_that_went_without_an_order_takes_its_hedges_along_in_a_live_market() -> None:
    world = ready(positions=HELD)
    world.after(20)
    world.market()
    world.position("BTCUSDT", "0", None)
    assert ("core.vanished", "critical") in incidents(world)
    assert [a.intent.instrument_id for a in world.submits()] == ["ETHUSDT"]
    # Refused: it is tried again until the hedge is gone.
    for _ in range(30):
        world.market()
        world.feed(Tick(now_ns=world.after(1)))
    assert len(world.submits()) > 1


def test_a_core_gone_while_it_was_suspended_is_found_by_the_tick() -> None:
    world = ready(positions={"ETHUSDT": ("-1", "2500")})
    world.after(20)
    world.market()
    assert world.submits() == [], "flat by our own doing: the next cycle hedges or not"
    told(world, "BTCUSDT", InstrumentState.SUSPENDED)
    world.feed(Tick(now_ns=world.after(1)))
    assert [a.intent.instrument_id for a in world.submits()] == ["ETHUSDT"]


def test_a_hedge_whose_market_closes_is_said_and_holds_nothing_else_back() -> None:
    world = ready(positions=HELD)
    told(world, "ETHUSDT", InstrumentState.SUSPENDED)
    assert incidents(world) == [("instrument.state", "error")]
    assert world.state.trading_state is TradingState.ACTIVE
    told(world, "NOSUCHUSDT", InstrumentState.SUSPENDED)
    assert len(incidents(world)) == 1


def test_closing_our_own_core_is_no_vanished_core() -> None:
    world = ready(positions=HELD)
    world.after(20)
    world.market()
    plan = flattening.flatten(world.state, "test")
    world.done += plan
    for sent in world.submits():
        world.fill(sent)
    world.position("BTCUSDT", "0", None)
    assert "core.vanished" not in [kind for kind, _ in incidents(world)]


def test_a_core_whose_end_is_announced_is_closed_with_its_hedges_before_it_comes() -> None:
    world = ready(positions=HELD)
    world.after(20)
    world.market()
    told(world, "BTCUSDT", InstrumentState.CLOSING)
    assert world.state.causes == {Cause.CORE}
    assert incidents(world) == [("instrument.state", "critical")]
    world.feed(Tick(now_ns=world.after(1)))
    sent = world.submits()
    assert {(s.intent.instrument_id, s.intent.side, s.quantity) for s in sent} == {
        ("BTCUSDT", Side.SELL, Decimal("0.1")),
        ("ETHUSDT", Side.BUY, Decimal(1)),
    }
    assert all(s.intent.reduce_only for s in sent)
    row = world.records(DecisionMade)[-1]
    assert isinstance(row, DecisionMade)
    assert (row.kind, row.reasons) == ("flatten", ("INSTRUMENT_CLOSING",))
    for order in sent:
        world.fill(order)
    before = len(world.submits())
    for _ in range(5):
        world.market()
        world.feed(Tick(now_ns=world.after(1)))
    assert len(world.submits()) == before, "closed once"
    assert world.state.trading_state is TradingState.REDUCING, "and not opened again"


def test_a_refused_closing_is_tried_until_it_is_done() -> None:
    world = ready(positions=HELD)
    told(world, "BTCUSDT", InstrumentState.CLOSING)
    world.feed(Tick(now_ns=world.after(1)))
    for sent in world.submits():
        name = sent.intent.instrument_id
        world.order(sent.intent.client_order_id, OrderState.REJECTED, name=name, filled="0")
    for _ in range(4):
        world.market()
        world.feed(Tick(now_ns=world.after(1)))
    assert len(world.submits()) > 2


def test_a_hedge_whose_end_is_announced_goes_alone() -> None:
    world = ready(positions=HELD)
    told(world, "ETHUSDT", InstrumentState.CLOSING)
    assert world.state.trading_state is TradingState.ACTIVE
    world.feed(Tick(now_ns=world.after(1)))
    (sent,) = world.submits()
    assert (sent.intent.instrument_id, sent.quantity) == ("ETHUSDT", Decimal(1))
    row = world.records(DecisionMade)[-1]
    assert isinstance(row, DecisionMade)
    inputs = codec.decode(row.inputs, flattening.FlattenInputs)
    assert set(inputs.quantities) == {"ETHUSDT"}
    assert codec.encode(flattening.recompute(inputs)) == row.outputs


def test_where_only_post_only_is_taken_a_reduction_rests_at_the_best_price_of_its_side() -> None:
    world = ready(positions=HELD)
    told(world, "BTCUSDT", InstrumentState.POST_ONLY)
    world.after(1)
    world.market()
    world.done += flattening.flatten(world.state, "test")
    core, hedge = sorted(world.submits(), key=lambda s: s.intent.instrument_id)
    assert (core.intent.time_in_force, core.intent.post_only) == (TimeInForce.GTC, True)
    # The lowest ask: a sell there takes nothing.
    assert core.intent.price_limit == Decimal("50000.1")
    assert core.intent.reduce_only
    assert hedge.intent.time_in_force is TimeInForce.IOC, "the hedge's market is as ever"
    world.fill(hedge)
    world.order(core.intent.client_order_id, OrderState.ACCEPTED, filled="0")
    # It waits for some seconds, whoever else drops increases meanwhile, and goes again after.
    world.after(2)
    world.done += working.drop_increases(world.state, "test")
    world.feed(Tick(now_ns=world.after(1)))
    assert not [a for a in world.done if isinstance(a, actions.Cancel)]
    world.market()
    world.feed(Tick(now_ns=world.after(2)))
    (canceled,) = [a for a in world.done if isinstance(a, actions.Cancel)]
    assert canceled.client_order_id == core.intent.client_order_id
    world.book("BTCUSDT", "50010")
    world.order(core.intent.client_order_id, OrderState.CANCELED, filled="0.04")
    again = world.submits()[-1]
    assert (again.intent.price_limit, again.intent.post_only) == (Decimal("50010.1"), True)
    assert again.quantity == Decimal("0.06")
    # Live again, it takes at once.
    told(world, "BTCUSDT", InstrumentState.LIVE)
    world.order(again.intent.client_order_id, OrderState.CANCELED, filled="0")
    assert world.submits()[-1].intent.time_in_force is TimeInForce.IOC
