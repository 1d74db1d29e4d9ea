"""Equity is known from the first answer on, and asked for, then said, while it is not."""

from dataclasses import replace
from decimal import Decimal

from counterpoise.domain.account import AccountSnapshot
from counterpoise.domain.events import AccountReconciled, ReconciliationFailed, Tick
from counterpoise.domain.records import IncidentOpened
from counterpoise.engine import actions
from engine_world import MARKS, World, make_state, ready, warm

HELD = {"BTCUSDT": ("0.5", "50000"), "ETHUSDT": ("-1", "2500")}
ASK = actions.Reconcile(cause="equity_unknown")


def valued(snapshot: AccountSnapshot, marks: dict[str, Decimal]) -> AccountSnapshot:
    positions = tuple(replace(p, mark=marks[p.instrument_id]) for p in snapshot.positions)
    return replace(snapshot, positions=positions)


def before_the_market() -> World:
    """The start: the venue's answer comes before any stream's mark."""
    world = World(state=make_state())
    warm(world.state)
    return world


def answered_without_marks() -> World:
    # No venue tells it so; what is not told must not go unnoticed all the same.
    world = before_the_market()
    world.reconcile(positions=HELD)
    world.after(1)
    world.market()
    assert world.state.account.equity(MARKS) is None
    return world


def incidents(world: World) -> list[IncidentOpened]:
    found = world.records(IncidentOpened)
    return [r for r in found if isinstance(r, IncidentOpened) and r.kind == "equity.unknown"]


def test_an_answer_before_the_first_mark_is_anchored_at_its_own_marks() -> None:
    world = before_the_market()
    snapshot = valued(world.snapshot(positions=HELD), MARKS)
    world.feed(AccountReconciled(snapshot=snapshot, cause="start"))
    world.after(1)
    world.market()
    assert world.state.account.equity(MARKS) == 10_000
    # 0.5 x 40,000 + 2,500 = 22,500 against 5,000: the guard acts with the mark that says so.
    world.after(1)
    world.book("BTCUSDT", "40000")
    world.mark("BTCUSDT", "40000")
    assert world.state.leverage == Decimal("4.5")
    assert {s.intent.instrument_id for s in world.submits()} >= {"BTCUSDT"}
    assert all(s.intent.reduce_only for s in world.submits())


def test_a_mark_of_a_stream_anchors_before_the_answers_own() -> None:
    world = ready(positions=HELD)
    world.after(1)
    told = valued(world.snapshot(positions=HELD), {"BTCUSDT": Decimal(1), "ETHUSDT": Decimal(1)})
    world.feed(AccountReconciled(snapshot=told, cause="cycle"))
    anchor = world.state.account.anchor
    assert anchor is not None
    assert anchor.marks == MARKS


def test_a_position_in_a_coin_that_is_not_followed_leaves_equity_known() -> None:
    world = ready(positions=HELD)
    world.after(20)
    world.market()
    marks = {**MARKS, "DOGEUSDT": Decimal("0.1")}
    told = valued(world.snapshot(positions={**HELD, "DOGEUSDT": ("1000", "0.1")}), marks)
    world.feed(AccountReconciled(snapshot=told, cause="cycle"))
    assert world.state.account.equity(marks) == 10_000
    assert world.state.leverage == (25_000 + 2_500 + 100) / Decimal(10_000)


def test_an_unknown_equity_is_asked_for_every_few_seconds_and_said_once() -> None:
    world = answered_without_marks()
    asked = [ASK in world.feed(Tick(now_ns=world.after(1))) for _ in range(60)]
    assert [second for second, each in enumerate(asked) if each] == list(range(0, 60, 5))
    (told,) = incidents(world)
    assert told.severity == "critical"
    assert "for 30 s: the venue's figure was told without a mark" in told.summary
    # An answer that values it ends that; a later one is said anew.
    told_well = valued(world.snapshot(positions=HELD), MARKS)
    world.feed(AccountReconciled(snapshot=told_well, cause="equity_unknown"))
    assert ASK not in world.feed(Tick(now_ns=world.after(10)))
    world.position("ETHUSDT", "-1", None)
    for _ in range(40):
        world.feed(Tick(now_ns=world.after(1)))
    assert [i.summary.split(";")[0] for i in incidents(world)[1:]] == [
        "equity has not been known for 30 s: no entry price of ETHUSDT"
    ]


def test_equity_that_is_known_again_in_time_is_not_said() -> None:
    world = answered_without_marks()
    for _ in range(29):
        world.feed(Tick(now_ns=world.after(1)))
    world.reconcile("equity_unknown", positions=HELD)
    for _ in range(29):
        world.feed(Tick(now_ns=world.after(1)))
    assert incidents(world) == []


def test_a_flat_account_needs_no_mark() -> None:
    world = before_the_market()
    world.reconcile()
    for _ in range(60):
        assert ASK not in world.feed(Tick(now_ns=world.after(1)))
    assert incidents(world) == []


def test_a_first_question_that_failed_is_asked_again() -> None:
    world = before_the_market()
    world.after(1)
    world.market()
    asked = 0
    for _ in range(60):
        done = world.feed(Tick(now_ns=world.after(1)))
        asked += done.count(ASK)
        if ASK in done:
            world.feed(
                ReconciliationFailed(
                    cause="equity_unknown", message="busy", received_ns=world.now_ns
                )
            )
    assert asked == 12
    (told,) = incidents(world)
    assert "the venue has not answered for the account" in told.summary
