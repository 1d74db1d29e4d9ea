"""Markets that close while something is held in them."""

from decimal import Decimal

import pytest

from counterpoise.domain.account import TradingState
from counterpoise.domain.events import InstrumentStateTold, Tick
from counterpoise.domain.instruments import InstrumentState
from counterpoise.domain.orders import Side
from counterpoise.domain.records import DecisionMade, IncidentOpened
from counterpoise.engine import flattening
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
