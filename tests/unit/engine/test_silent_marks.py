"""While marks are silent the venue is asked, and the guard goes by the marks of its answers."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

from counterpoise.domain.events import AccountReconciled, StreamAlive, StreamDown, StreamName, Tick
from counterpoise.domain.records import IncidentOpened
from counterpoise.engine import actions, views
from engine_world import MARKS, World, ready

HELD = {"BTCUSDT": ("0.3", "50000"), "ETHUSDT": ("-4", "2500")}
ASK = actions.Reconcile(cause="marks_silent")
SQUEEZED = {"BTCUSDT": Decimal(50_000), "ETHUSDT": Decimal(3_000)}


def silent(positions: dict[str, tuple[str, str]]) -> World:
    world = ready(positions=positions)
    world.feed(StreamDown(stream=StreamName.MARKS, reason="closed", received_ns=world.now_ns))
    return world


def seconds(world: World, count: int) -> list[int]:
    """Let time pass with books and a private stream; return the seconds in which it was asked."""
    asked = []
    for second in range(1, count + 1):
        world.after(1)
        world.feed(StreamAlive(stream=StreamName.ACCOUNT, received_ns=world.now_ns))
        for name, mark in MARKS.items():
            world.book(name, mark)
        if ASK in world.feed(Tick(now_ns=world.now_ns)):
            asked.append(second)
    return asked


def answer(world: World, marks: dict[str, Decimal], wallet: str = "10000") -> None:
    """Tell the whole account at marks of its own."""
    gain = sum(
        Decimal(quantity) * (marks[name] - Decimal(entry))
        for name, (quantity, entry) in HELD.items()
    )
    told = world.snapshot(positions=HELD, wallet=wallet, equity=str(Decimal(wallet) + gain))
    valued = tuple(replace(p, mark=marks[p.instrument_id]) for p in told.positions)
    told = replace(told, positions=valued)
    world.feed(AccountReconciled(snapshot=told, cause="marks_silent", asked_ns=world.now_ns))


def incidents(world: World) -> list[str]:
    found = world.records(IncidentOpened)
    return [r.kind for r in found if isinstance(r, IncidentOpened)]


def test_the_account_is_asked_every_five_seconds_and_it_is_said_once() -> None:
    world = silent(HELD)
    asked = seconds(world, 90)
    # Fifteen seconds are a mark's limit, five more are waited for.
    assert asked[0] == 21
    assert [b - a for a, b in pairwise(asked)] == [5] * (len(asked) - 1)
    assert incidents(world) == ["marks.silent"]


def test_nothing_is_asked_while_nothing_is_held() -> None:
    world = silent({})
    assert seconds(world, 60) == []
    assert incidents(world) == []


def test_the_guard_goes_by_the_marks_of_an_answer() -> None:
    world = silent(HELD)
    seconds(world, 25)
    answer(world, SQUEEZED)
    assert world.state.leverage == Decimal("3.375")
    assert {s.intent.instrument_id for s in world.submits()} == {"BTCUSDT", "ETHUSDT"}
    assert all(s.intent.reduce_only for s in world.submits())


def test_an_answers_marks_let_nothing_increase() -> None:
    world = silent(HELD)
    seconds(world, 25)
    answer(world, MARKS)
    view = views.risk_view(world.state, world.state.market.view(world.now_ns))
    assert view.marks == {}
    assert view.marks_last["ETHUSDT"] == 2_500


def test_the_streams_next_mark_counts_again() -> None:
    world = silent(HELD)
    seconds(world, 25)
    answer(world, {"BTCUSDT": Decimal(50_000), "ETHUSDT": Decimal(2_550)})
    assert views.marks(world.state)["ETHUSDT"] == 2_550
    world.after(1)
    world.feed(StreamAlive(stream=StreamName.MARKS, received_ns=world.now_ns))
    world.mark("ETHUSDT", "2520")
    assert views.marks(world.state)["ETHUSDT"] == 2_520


def test_an_answer_older_than_the_streams_mark_does_not_count() -> None:
    world = ready(positions=HELD)
    answer(world, {"BTCUSDT": Decimal(50_000), "ETHUSDT": Decimal(2_550)})
    world.after(1)
    world.mark("ETHUSDT", "2520")
    world.feed(StreamDown(stream=StreamName.MARKS, reason="closed", received_ns=world.now_ns))
    seconds(world, 30)
    assert views.marks(world.state)["ETHUSDT"] == 2_520
