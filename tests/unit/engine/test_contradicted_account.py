"""While an answer, or the record, says something else of a position, nothing grows."""

from dataclasses import replace
from decimal import Decimal

import pytest

from counterpoise.domain.account import Position
from counterpoise.domain.events import AccountReconciled, CycleDue, Tick
from counterpoise.domain.records import DecisionEnded, DecisionMade, OrderDenied
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.engine import views
from counterpoise.engine.cycle import CycleInputs
from counterpoise.ledger import codec
from counterpoise.risk.view import ACCOUNT
from engine_world import World, ready

BOOK = {"BTCUSDT": ("0.3", "50000"), "ETHUSDT": ("-4", "2500")}


def seconds(world: World, count: int) -> None:
    """Let time pass with fresh data."""
    for _ in range(count):
        world.after(1)
        world.market()
        world.feed(Tick(now_ns=world.now_ns))


def contradict(world: World, held: dict[str, tuple[str, str]], lag_ns: int = NS_PER_SECOND) -> None:
    """Tell a whole account whose positions are stamped before what is known."""
    found = world.snapshot(positions=held)
    old = tuple(replace(p, event_ns=world.now_ns - lag_ns) for p in found.positions)
    world.feed(AccountReconciled(snapshot=replace(found, positions=old), cause="doubt"))


def missing(world: World) -> tuple[str, ...]:
    """Return what the gate lacks of the account."""
    market = world.state.market.view(world.state.now_ns)
    return views.risk_view(world.state, market).missing.get(ACCOUNT, ())


def with_hedge_sent() -> World:
    """Return a world whose hedge is at work while an answer denies that the core is flat."""
    world = ready()
    world.after(1)
    world.market()
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.now_ns))
    world.after(0.1)
    world.reconcile("cycle")
    world.after(0.1)
    world.position("BTCUSDT", "0", None)
    contradict(world, {"BTCUSDT": ("0.3", "50000")})
    assert set(world.state.account.contradicted) == {"BTCUSDT"}
    return world


def test_a_core_waits_until_its_account_is_of_one_mind() -> None:
    world = with_hedge_sent()
    assert missing(world) == ("ACCOUNT_CONTRADICTED",)
    world.after(0.1)
    world.fill(world.submits()[0])
    assert len(world.submits()) == 1
    row = world.records(OrderDenied)[0]
    assert isinstance(row, OrderDenied)
    assert (row.instrument_id, row.reason) == ("BTCUSDT", "ACCOUNT_DATA_MISSING")
    assert "ACCOUNT_CONTRADICTED" in row.body
    # The next answer agrees with what is known, and the core is tried again in time.
    seconds(world, 1)
    contradict(world, {"ETHUSDT": (str(-world.submits()[0].quantity), "2500")})
    assert missing(world) == ()
    seconds(world, 3)
    core = world.submits()[1]
    assert core.intent.instrument_id == "BTCUSDT"
    world.fill(core)
    (ended,) = world.records(DecisionEnded)
    assert isinstance(ended, DecisionEnded)
    assert ended.outcome == "done"


def test_the_guard_and_reductions_do_not_ask_for_one_mind() -> None:
    world = ready(positions=BOOK)
    world.after(1)
    world.position("BTCUSDT", "0.3", "50000")
    contradict(world, {"BTCUSDT": ("0.1", "50000"), "ETHUSDT": ("-4", "2500")})
    assert missing(world) == ("ACCOUNT_CONTRADICTED",)
    world.after(0.3)
    world.mark("ETHUSDT", "2770")
    core, hedge = world.submits()
    assert (core.intent.reduce_only, hedge.intent.reduce_only) == (True, True)
    assert {core.intent.instrument_id, hedge.intent.instrument_id} == set(BOOK)


@pytest.mark.parametrize("recorded", [{}, {"BTCUSDT": "0.2"}])
def test_positions_of_a_start_that_nothing_explains_count_as_contradicted(
    recorded: dict[str, str],
) -> None:
    world = ready()
    world.state.recorded = {
        name: Position(instrument_id=name, quantity=Decimal(quantity), entry_price=None, event_ns=0)
        for name, quantity in recorded.items()
    }
    assert missing(world) == ("ACCOUNT_CONTRADICTED",)


def test_what_a_decision_may_know_is_as_before() -> None:
    world = with_hedge_sent()
    market = world.state.market.view(world.state.now_ns)
    assert views.managed_account(world.state).missing == ()
    assert views.risk_view(world.state, market).quantities == {}
    (row,) = world.records(DecisionMade)
    assert isinstance(row, DecisionMade)
    assert codec.decode(row.inputs, CycleInputs).decision.account.missing == ()


def test_a_contradiction_ends_within_seconds_of_its_answers() -> None:
    world = with_hedge_sent()
    for _ in range(7):
        seconds(world, 1)
        contradict(world, {"BTCUSDT": ("0.3", "50000")}, 10 * NS_PER_SECOND)
        if missing(world) == ():
            break
    assert missing(world) == ()
    assert world.state.account.quantities()["BTCUSDT"] == Decimal("0.3")
