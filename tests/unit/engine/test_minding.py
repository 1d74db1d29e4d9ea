"""What passes with time: streams, the ledger, the lease, orders without an end."""

from counterpoise.domain.account import TradingState
from counterpoise.domain.events import (
    CycleDue,
    LeaseHealth,
    LedgerHealth,
    StreamAlive,
    StreamDown,
    StreamName,
    Tick,
)
from counterpoise.domain.orders import OrderState
from counterpoise.domain.records import DecisionEnded
from counterpoise.engine import actions
from counterpoise.engine.trading_state import Cause
from engine_world import World, ready

HELD = {"BTCUSDT": ("0.1", "50000"), "ETHUSDT": ("-1", "2500")}


def resolves(world: World) -> list[str]:
    return [a.client_order_id for a in world.done if isinstance(a, actions.Resolve)]


def test_an_account_stream_that_is_back_asks_for_the_truth() -> None:
    world = ready(positions=HELD)
    world.feed(StreamDown(stream=StreamName.ACCOUNT, reason="cut", received_ns=world.after(1)))
    assert world.feed(StreamAlive(stream=StreamName.ACCOUNT, received_ns=world.after(1))) == [
        actions.Reconcile(cause="reconnect")
    ]
    assert world.feed(StreamAlive(stream=StreamName.ACCOUNT, received_ns=world.after(1))) == []


def test_a_silent_account_is_asked_for_and_still_counts_as_stale() -> None:
    world = ready(positions=HELD)
    world.feed(StreamDown(stream=StreamName.ACCOUNT, reason="cut", received_ns=world.after(1)))
    polls = 0
    for _ in range(20):
        done = world.feed(Tick(now_ns=world.after(1)))
        polls += done.count(actions.Reconcile(cause="stream_down"))
        world.reconcile("stream_down", positions=HELD)
    assert polls == 4
    view = world.state.account.view(world.now_ns, {}, 15_000)
    assert "ACCOUNT_STALE" in view.missing


def test_the_ledger_away_means_reducing_and_back_means_active() -> None:
    world = ready(positions=HELD)
    world.feed(LedgerHealth(available=False, backlog_age_seconds=1.0, received_ns=world.after(1)))
    assert world.state.causes == {Cause.DATABASE}
    assert world.state.trading_state is TradingState.REDUCING
    world.feed(LedgerHealth(available=True, backlog_age_seconds=0.0, received_ns=world.after(1)))
    assert world.state.trading_state is TradingState.ACTIVE


def test_the_ledger_away_drops_increases_on_their_way() -> None:
    world = ready()
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.now_ns))
    world.reconcile("cycle")
    (hedge,) = world.submits()
    world.feed(LedgerHealth(available=False, backlog_age_seconds=1.0, received_ns=world.after(0.1)))
    world.fill(hedge)
    # The core must not follow; what stands alone is taken off, which needs no database.
    back = world.submits()[1:]
    assert [(s.intent.instrument_id, s.quantity) for s in back] == [("ETHUSDT", hedge.quantity)]
    assert back[0].intent.reduce_only


def test_a_taken_over_lease_ends_the_daemon() -> None:
    world = ready(positions=HELD)
    done = world.feed(LeaseHealth(held=False, fenced=True, received_ns=world.after(1)))
    (stop,) = [a for a in done if isinstance(a, actions.StopDaemon)]
    assert stop.exit_code == 4


def test_an_order_without_an_end_is_asked_about_and_not_sent_again() -> None:
    world = ready()
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.now_ns))
    world.reconcile("cycle")
    (hedge,) = world.submits()
    key = hedge.intent.client_order_id
    world.order(key, OrderState.UNKNOWN, name="ETHUSDT", venue_order_id=None)
    assert resolves(world) == [key]
    for _ in range(3):
        world.market()
        world.feed(Tick(now_ns=world.after(1)))
    assert resolves(world) == [key, key]
    assert len(world.submits()) == 1


def test_a_phase_that_does_not_end_gives_the_decision_up_as_incomplete() -> None:
    world = ready()
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.now_ns))
    world.reconcile("cycle")
    (hedge,) = world.submits()
    key = hedge.intent.client_order_id
    world.order(key, OrderState.UNKNOWN, name="ETHUSDT", venue_order_id=None)
    # The pair is watched for what the order may still do, far longer than evidence needs.
    for _ in range(320):
        world.market()
        world.feed(Tick(now_ns=world.after(1)))
    (ended,) = world.records(DecisionEnded)
    assert isinstance(ended, DecisionEnded)
    assert ended.outcome == "incomplete"
    assert key in world.state.orders.active, "an unresolved order stays counted"
    assert len(world.submits()) == 1
