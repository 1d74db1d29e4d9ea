"""What the account's stream missed is told only by an answer asked for after it was back."""

from counterpoise.domain.events import (
    AccountReconciled,
    CycleDue,
    ReconciliationFailed,
    StreamAlive,
    StreamDown,
    StreamName,
    Tick,
)
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.engine import actions
from counterpoise.engine.trading_state import Cause
from engine_world import World, ready

HELD = {"BTCUSDT": ("0.1", "50000"), "ETHUSDT": ("-1", "2500")}
RECONNECT = actions.Reconcile(cause="reconnect")


def breaks(world: World) -> None:
    world.feed(StreamDown(stream=StreamName.ACCOUNT, reason="cut", received_ns=world.after(1)))
    assert Cause.ACCOUNT in world.state.causes


def is_back(world: World) -> list[actions.Action]:
    return world.feed(StreamAlive(stream=StreamName.ACCOUNT, received_ns=world.after(1)))


def answer(world: World, cause: str, asked_ns: int) -> None:
    snapshot = world.snapshot(positions=HELD)
    world.feed(AccountReconciled(snapshot=snapshot, cause=cause, asked_ns=asked_ns))


def test_an_answer_to_a_question_of_before_closes_no_gap() -> None:
    world = ready(positions=HELD)
    breaks(world)
    asked_ns = world.now_ns
    assert RECONNECT in is_back(world)
    for cause in ("stream_down", "cycle", "reconnect"):
        answer(world, cause, asked_ns)
        assert Cause.ACCOUNT in world.state.causes
    answer(world, "reconnect", world.now_ns)
    assert Cause.ACCOUNT not in world.state.causes


def test_only_an_answer_that_says_whose_account_it_is_closes_it() -> None:
    world = ready(positions=HELD)
    breaks(world)
    is_back(world)
    answer(world, "cycle", world.after(1))
    assert Cause.ACCOUNT in world.state.causes


def test_a_question_of_the_reconnect_that_failed_is_asked_again_until_it_is_answered() -> None:
    world = ready(positions=HELD)
    breaks(world)
    assert RECONNECT in is_back(world)
    back_ns = world.now_ns
    asked: list[int] = []
    for _ in range(20):
        world.feed(ReconciliationFailed(cause="reconnect", message="503", received_ns=world.now_ns))
        if RECONNECT in world.feed(Tick(now_ns=world.after(1))):
            asked.append((world.now_ns - back_ns) // NS_PER_SECOND)
    assert asked == [5, 10, 15, 20]
    assert Cause.ACCOUNT in world.state.causes
    answer(world, "reconnect", world.now_ns)
    assert Cause.ACCOUNT not in world.state.causes
    for _ in range(20):
        assert RECONNECT not in world.feed(Tick(now_ns=world.after(1)))


def test_a_second_break_needs_an_answer_of_its_own() -> None:
    world = ready(positions=HELD)
    breaks(world)
    is_back(world)
    first_ns = world.now_ns
    breaks(world)
    # Down again: even a question of now may be older than the end of this break.
    answer(world, "reconnect", world.now_ns)
    assert Cause.ACCOUNT in world.state.causes
    assert RECONNECT in is_back(world)
    answer(world, "reconnect", first_ns)
    assert Cause.ACCOUNT in world.state.causes
    answer(world, "reconnect", world.now_ns)
    assert Cause.ACCOUNT not in world.state.causes


def test_nothing_grows_while_the_gap_is_open() -> None:
    world = ready(positions=HELD)
    breaks(world)
    polled_ns = world.now_ns
    is_back(world)
    world.market()
    answer(world, "stream_down", polled_ns)
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.now_ns))
    world.reconcile("cycle", positions=HELD)
    assert [s for s in world.submits() if not s.intent.reduce_only] == []
    # Closed, the same cycle grows the hedge.
    world.after(1)
    answer(world, "reconnect", world.now_ns)
    world.market()
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.now_ns))
    world.reconcile("cycle", positions=HELD)
    (growing,) = [s for s in world.submits() if not s.intent.reduce_only]
    assert growing.intent.instrument_id == "ETHUSDT"
