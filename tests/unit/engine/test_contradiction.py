"""An answer that lags, or lacks a position, does not erase what the venue told before."""

from dataclasses import replace
from decimal import Decimal

import pytest

from counterpoise.domain.account import Position
from counterpoise.domain.events import (
    AccountReconciled,
    CycleDue,
    FillReported,
    PositionUpdate,
    Tick,
    UpdateSource,
)
from counterpoise.domain.orders import Fill, FillCause, OrderState, Side
from counterpoise.domain.records import IncidentOpened
from counterpoise.domain.units import NS_PER_MS, NS_PER_SECOND
from counterpoise.engine import actions, unshown
from counterpoise.engine.contradiction import is_newer
from engine_world import MARKS, World, ready

HOUR_NS = 3_600 * NS_PER_SECOND
BOOK = {"BTCUSDT": ("0.2", "50000"), "ETHUSDT": ("-3.5", "2500")}


def opened(**account: object) -> World:
    """Return a world whose first cycle has sent its hedge."""
    world = ready(**account)
    world.after(0.1)
    world.position("ETHUSDT", "0", None)
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.now_ns))
    world.reconcile("cycle")
    world.after(0.1)
    return world


def seconds(world: World, count: int) -> None:
    """Let time pass with fresh data."""
    for _ in range(count):
        world.after(1)
        world.market()
        world.feed(Tick(now_ns=world.now_ns))


def answer(world: World, positions: dict[str, tuple[str, str]], asked_ns: int, ns: int = 0) -> None:
    """Tell the whole account as asked for then, its positions stamped `ns`."""
    found = world.snapshot(positions=positions)
    stamped = tuple(replace(p, event_ns=ns) for p in found.positions)
    snapshot = replace(found, positions=stamped, positions_ns=asked_ns)
    world.feed(AccountReconciled(snapshot=snapshot, cause="doubt"))


def push(world: World, name: str, quantity: str, ns: int) -> None:
    """Tell a position by stream, stamped `ns`."""
    position = Position(
        instrument_id=name,
        quantity=Decimal(quantity),
        entry_price=MARKS[name] if Decimal(quantity) else None,
        event_ns=ns,
    )
    world.feed(PositionUpdate(position=position, received_ns=world.now_ns))


def asked(world: World) -> list[str]:
    return [a.cause for a in world.done if isinstance(a, actions.Reconcile)]


def incidents(world: World) -> list[str]:
    return [r.kind for r in world.records(IncidentOpened) if isinstance(r, IncidentOpened)]


def test_an_answer_older_than_a_fill_does_not_erase_it() -> None:
    world = opened()
    hedge = world.submits()[0]
    filled_ns = world.now_ns
    world.fill(hedge)
    world.position("ETHUSDT", str(-hedge.quantity), "2500")
    core = world.submits()[1].intent
    world.after(0.03)
    world.order(core.client_order_id, OrderState.REJECTED, source=UpdateSource.LOCAL,
                venue_order_id=None, code="51008")  # fmt: skip
    assert asked(world)[-1] == "rejected"
    world.after(0.1)
    answer(world, {}, filled_ns + 50 * NS_PER_MS)
    held = {"ETHUSDT": -hedge.quantity}
    assert world.state.account.quantities() == held
    before = len(asked(world))
    seconds(world, 3)
    assert len(asked(world)) > before
    answer(world, {"ETHUSDT": (str(-hedge.quantity), "2500")}, world.now_ns, filled_ns)
    assert world.state.account.contradicted == {}
    assert world.state.ask_again_ns is None
    assert world.state.account.quantities() == held
    assert incidents(world) == []


def test_an_answer_older_than_an_untold_fill_leaves_the_pair_behind() -> None:
    world = opened()
    hedge = world.submits()[0]
    filled_ns = world.after(0.1)
    world.order(hedge.intent.client_order_id, OrderState.FILLED, name="ETHUSDT",
                filled=str(hedge.quantity))  # fmt: skip
    world.after(0.05)
    answer(world, {}, filled_ns + 50 * NS_PER_MS)
    (behind,) = unshown.orders(world.state)
    assert (behind.open_order.client_order_id, behind.unshown) == (
        hedge.intent.client_order_id, hedge.quantity,
    )  # fmt: skip
    core = world.submits()[1]
    world.fill(core)
    world.position("BTCUSDT", str(core.quantity), "50000")
    push(world, "ETHUSDT", str(-hedge.quantity), filled_ns)
    assert world.state.account.quantities() == {
        "BTCUSDT": core.quantity, "ETHUSDT": -hedge.quantity,
    }  # fmt: skip
    # The push tells what the answer should have had: it is asked for again.
    assert world.state.ask_again_ns is not None
    assert len(world.submits()) == 2


def test_an_answer_of_a_wrong_clock_freezes_nothing() -> None:
    world = ready()
    world.after(1)
    answer(world, {}, world.now_ns + HOUR_NS)
    told_ns = world.after(5)
    push(world, "ETHUSDT", "-4", told_ns)
    assert world.state.account.quantities() == {"ETHUSDT": Decimal(-4)}
    world.after(60)
    answer(world, {"ETHUSDT": ("-4.5", "2500")}, world.now_ns, told_ns + NS_PER_SECOND)
    assert world.state.account.quantities() == {"ETHUSDT": Decimal("-4.5")}


def test_a_clock_taken_for_slow_delays_an_answer_for_seconds_only() -> None:
    world = ready(positions=BOOK)
    for count in (1, 1, 1, 1):
        seconds(world, count)
        answer(world, {"BTCUSDT": BOOK["BTCUSDT"]}, world.now_ns - HOUR_NS)
        assert "ETHUSDT" in world.state.account.quantities()
    seconds(world, 2)
    answer(world, {"BTCUSDT": BOOK["BTCUSDT"]}, world.now_ns - HOUR_NS)
    assert "ETHUSDT" not in world.state.account.quantities()


@pytest.mark.parametrize("missing", ["BTCUSDT", "ETHUSDT"])
def test_a_position_left_out_once_is_asked_about_and_nothing_is_sold(missing: str) -> None:
    world = ready(positions=BOOK)
    told_ns = world.now_ns
    seconds(world, 20)
    answer(world, {n: p for n, p in BOOK.items() if n != missing}, world.now_ns)
    quantities = {name: Decimal(p[0]) for name, p in BOOK.items()}
    assert world.state.account.quantities() == quantities
    before = len(asked(world))
    seconds(world, 1)
    assert len(asked(world)) == before + 1
    answer(world, BOOK, world.now_ns, told_ns)
    seconds(world, 10)
    assert len(asked(world)) == before + 1
    assert world.state.account.quantities() == quantities
    assert (world.submits(), incidents(world)) == ([], [])


def test_two_answers_at_once_are_one() -> None:
    world = ready(positions=BOOK)
    seconds(world, 20)
    lacking = {"ETHUSDT": BOOK["ETHUSDT"]}
    answer(world, lacking, world.now_ns)
    world.after(0.2)
    answer(world, lacking, world.now_ns)
    assert world.submits() == []
    seconds(world, 1)
    answer(world, lacking, world.now_ns)
    assert incidents(world)[0] == "core.vanished"
    assert [s.intent.instrument_id for s in world.submits()] == ["ETHUSDT"]


def test_an_unanswered_question_is_asked_again() -> None:
    world = ready(positions=BOOK)
    seconds(world, 20)
    answer(world, {}, world.now_ns)
    before = len(asked(world))
    seconds(world, 12)
    assert len(asked(world)) - before == 3


def gone_by_absence() -> tuple[World, int]:
    world = ready(positions=BOOK)
    told_ns = world.now_ns
    seconds(world, 20)
    for _ in range(2):
        answer(world, {"BTCUSDT": BOOK["BTCUSDT"]}, world.now_ns)
        seconds(world, 1)
    assert "ETHUSDT" not in world.state.account.quantities()
    return world, told_ns


def test_the_execution_that_ended_an_absent_position_moves_nothing_more() -> None:
    world, _ = gone_by_absence()
    fill = Fill(
        fill_id="77",
        instrument_id="ETHUSDT",
        client_order_id="adl_autoclose",
        venue_order_id="v77",
        side=Side.BUY,
        quantity=Decimal("3.5"),
        price=Decimal(2_500),
        fee=Decimal(0),
        fee_currency="USDT",
        liquidity=None,
        realised_pnl=Decimal(0),
        event_ns=world.now_ns - NS_PER_SECOND - 500 * NS_PER_MS,
        received_ns=world.now_ns,
        cause=FillCause.ADL,
    )
    world.feed(FillReported(fill=fill, source=UpdateSource.STREAM))
    assert "ETHUSDT" not in world.state.account.quantities()
    assert incidents(world).count("leg.vanished") == 1


def test_a_push_that_repeats_an_absent_position_brings_it_back_and_asks() -> None:
    world, told_ns = gone_by_absence()
    told = world.state.account.told["ETHUSDT"]
    assert (told.quantity, told.event_ns) == (0, told_ns)
    push(world, "ETHUSDT", "-3.5", told_ns - 1)
    assert "ETHUSDT" not in world.state.account.quantities()
    push(world, "ETHUSDT", "-3.5", told_ns)
    assert world.state.account.quantities()["ETHUSDT"] == Decimal("-3.5")
    assert world.state.ask_again_ns is not None


def numbered(world: World, quantity: str, at_ns: int) -> None:
    position = Position(
        instrument_id="ETHUSDT",
        quantity=Decimal(quantity),
        entry_price=Decimal(2_500) if Decimal(quantity) else None,
        event_ns=at_ns,
        trade_sequence=110,
    )
    world.feed(PositionUpdate(position=position, received_ns=world.now_ns))


def test_of_two_seizures_of_one_stamp_the_larger_position_is_the_older_one() -> None:
    world = opened()
    at_ns = world.now_ns
    numbered(world, "-3.5", at_ns)
    numbered(world, "0", at_ns + 590 * NS_PER_MS)
    numbered(world, "-1.2", at_ns + 590 * NS_PER_MS)
    assert "ETHUSDT" not in world.state.account.quantities()
    # A later stamp is a later message whatever it says.
    numbered(world, "-1.2", at_ns + 591 * NS_PER_MS)
    assert world.state.account.quantities()["ETHUSDT"] == Decimal("-1.2")


@pytest.mark.parametrize(
    ("told", "known", "last", "newer"),
    [
        ((2, None), (1, None), (1, None), True),
        ((1, None), (1, None), (1, None), True),
        ((1, None), (2, None), (1, None), False),
        ((1, 101), (1, 102), (0, 100), False),
        ((1, 102), (1, 102), (0, 100), True),
        ((2, 102), (1, 102), (1, 102), True),
        # By stamp before an execution counted ahead of it, by number with it.
        ((1, 102), (2, 102), (0, 100), True),
        # The same, but a message newer than it was taken meanwhile.
        ((1, 102), (2, 102), (2, 102), False),
        ((1, 103), (2, 102), (2, 102), True),
    ],
)
def test_which_message_is_newer(
    told: tuple[int, int | None],
    known: tuple[int, int | None],
    last: tuple[int, int | None],
    newer: bool,  # noqa: FBT001
) -> None:
    told_, known_, last_ = (
        Position(instrument_id="BTCUSDT", quantity=Decimal(1), entry_price=Decimal(1),
                 event_ns=ns, trade_sequence=number)
        for ns, number in (told, known, last)
    )  # fmt: skip
    assert is_newer(told_, known_, last_) is newer
