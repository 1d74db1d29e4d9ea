"""A reduction refused as if nothing were held, and what an answer that says so too is worth."""

from dataclasses import replace
from decimal import Decimal

import pytest

from counterpoise.domain.events import (
    AccountReconciled,
    CycleDue,
    LedgerHealth,
    OrderUpdate,
    Tick,
    UpdateSource,
)
from counterpoise.domain.orders import ApprovedOrder, OrderState, Side
from counterpoise.domain.records import IncidentOpened
from counterpoise.domain.units import NS_PER_MS, NS_PER_SECOND
from counterpoise.engine import actions
from engine_world import World, ready

BOOK = {"BTCUSDT": ("0.3", "50000"), "ETHUSDT": ("-4", "2500")}
WITHOUT_HEDGE = {"BTCUSDT": BOOK["BTCUSDT"]}


def refuse(world: World, order: ApprovedOrder) -> int:
    """Refuse a reduction as if nothing were held; return when, ns."""
    world.feed(
        OrderUpdate(
            client_order_id=order.intent.client_order_id,
            venue_order_id=None,
            instrument_id=order.intent.instrument_id,
            state=OrderState.REJECTED,
            filled_quantity=None,
            average_price=None,
            source=UpdateSource.LOCAL,
            code="110017",
            message="",
            order=None,
            event_ns=world.now_ns,
            received_ns=world.now_ns,
            position_doubtful=True,
        )
    )
    return world.now_ns


def answer(world: World, positions: dict[str, tuple[str, str]], asked_ns: int) -> None:
    """Tell the whole account as asked for then, by stamps of long ago."""
    found = world.snapshot(positions=positions, equity="8920")
    stamped = tuple(replace(p, event_ns=0) for p in found.positions)
    snapshot = replace(found, positions=stamped, positions_ns=asked_ns)
    world.feed(AccountReconciled(snapshot=snapshot, cause="rejected"))


def seconds(world: World, count: int) -> None:
    """Let time pass with fresh data."""
    for _ in range(count):
        world.after(1)
        world.market()
        world.feed(Tick(now_ns=world.now_ns))


def held(world: World) -> dict[str, Decimal]:
    return world.state.account.quantities()


def asked(world: World) -> list[str]:
    return [a.cause for a in world.done if isinstance(a, actions.Reconcile)]


def incidents(world: World) -> list[str]:
    return [r.kind for r in world.records(IncidentOpened) if isinstance(r, IncidentOpened)]


def squeezed(age_seconds: float) -> tuple[World, ApprovedOrder]:
    """Return a world whose guard reduces positions of that age, and the hedge's reduction."""
    world = ready(positions=BOOK)
    world.after(age_seconds)
    world.mark("ETHUSDT", "2770")
    return world, world.submits()[1]


def test_an_answer_as_old_as_a_fill_is_no_second_word_for_a_refusal() -> None:
    world = ready()
    world.after(0.1)
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.now_ns))
    world.reconcile("cycle")
    hedge = world.submits()[0]
    world.after(0.05)
    world.feed(LedgerHealth(available=False, backlog_age_seconds=1.0, received_ns=world.now_ns))
    world.fill(hedge)
    filled_ns = world.now_ns
    world.position("ETHUSDT", str(-hedge.quantity), "2500")
    unwinding = world.submits()[-1]
    assert unwinding.intent.reduce_only
    # The copy that refuses and the one that answers are both behind the fill.
    world.after(0.1)
    refuse(world, unwinding)
    world.after(0.1)
    answer(world, {}, world.now_ns - 50 * NS_PER_MS)
    assert held(world) == {"ETHUSDT": -hedge.quantity}
    assert (world.state.ask_again_ns, incidents(world)) == (world.now_ns + NS_PER_SECOND, [])
    before = len(world.submits())
    seconds(world, 1)
    assert len(world.submits()) == before, "it would only be refused again"
    found = world.snapshot(positions={"ETHUSDT": (str(-hedge.quantity), "2500")})
    stamped = tuple(replace(p, event_ns=filled_ns) for p in found.positions)
    snapshot = replace(found, positions=stamped, positions_ns=world.now_ns)
    world.feed(AccountReconciled(snapshot=snapshot, cause="doubt"))
    seconds(world, 1)
    again = world.submits()[before:]
    assert [(s.intent.side, s.quantity) for s in again] == [(Side.BUY, hedge.quantity)]


@pytest.mark.parametrize(("age_seconds", "early_ns"), [(60, 20 * NS_PER_MS), (2, 0)])
def test_what_may_be_older_needs_a_second_answer(age_seconds: float, early_ns: int) -> None:
    world, hedge = squeezed(age_seconds)
    world.after(0.1)
    refused_ns = refuse(world, hedge)
    world.after(0.1)
    # Asked for before the refusal, or so soon after the position changed that it may lag.
    answer(world, WITHOUT_HEDGE, refused_ns - early_ns if early_ns else world.now_ns)
    assert held(world)["ETHUSDT"] == Decimal(-4)
    assert incidents(world) == []
    world.after(1)
    answer(world, WITHOUT_HEDGE, world.now_ns)
    assert "ETHUSDT" not in held(world)
    assert incidents(world) == ["leg.vanished"]


def test_an_answer_after_the_refusal_is_believed_and_looked_at_once_more() -> None:
    world, hedge = squeezed(60)
    world.after(0.1)
    refuse(world, hedge)
    world.after(0.1)
    answer(world, WITHOUT_HEDGE, world.now_ns)
    assert "ETHUSDT" not in held(world)
    before = len(asked(world))
    seconds(world, 1)
    assert asked(world)[before:] == ["doubt"]
    # It was there all the time: the second answer brings it back.
    found = world.snapshot(positions=BOOK, equity="8920")
    snapshot = replace(found, positions_ns=world.now_ns)
    world.feed(AccountReconciled(snapshot=snapshot, cause="doubt"))
    assert held(world) == {"BTCUSDT": Decimal("0.3"), "ETHUSDT": Decimal(-4)}
    assert world.state.ask_again_ns is None


def test_an_absence_that_two_answers_tell_is_looked_at_once_more() -> None:
    world = ready(positions=BOOK)
    seconds(world, 20)
    for _ in range(2):
        answer(world, WITHOUT_HEDGE, world.now_ns)
        world.after(1)
    assert "ETHUSDT" not in held(world)
    assert world.state.ask_again_ns == world.now_ns
    answer(world, WITHOUT_HEDGE, world.now_ns)
    assert world.state.ask_again_ns is None


def test_the_refusal_is_held_against_the_venues_clock() -> None:
    world, hedge = squeezed(60)
    world.state.clock_offset_ms = -300.0
    world.after(0.1)
    refuse(world, hedge)
    world.after(0.1)
    # The venue's clock is behind ours: this was asked for after the refusal.
    answer(world, WITHOUT_HEDGE, world.now_ns - 300 * NS_PER_MS)
    assert "ETHUSDT" not in held(world)
