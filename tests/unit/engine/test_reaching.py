"""What must go out goes out of a book that is wider than the cap of one decision."""

from decimal import Decimal

import pytest

from counterpoise.domain.events import BookSnapshot, ControlAction, ControlRequested, CycleDue, Tick
from counterpoise.domain.orders import ApprovedOrder, IntentSource, OrderState, Side
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.engine.reaching import MISSED_NS_MAX
from engine_world import MARKS, World, ready

#: Orders of the book start this far from its middle.
HALF = Decimal("0.03")


def wide(world: World) -> None:
    """Tell books of now in which nothing stands within 3 % of their middle."""
    for name, mark in MARKS.items():
        world.feed(
            BookSnapshot(
                instrument_id=name,
                bids=((str(mark * (1 - HALF)), "1000"),),
                asks=((str(mark * (1 + HALF)), "1000"),),
                quantity_unit=Decimal(1),
                sequence=1,
                event_ns=world.now_ns,
                received_ns=world.now_ns,
            )
        )


def reaches(sent: ApprovedOrder) -> bool:
    """Tell whether an order meets the other side of such a book."""
    limit, mark = sent.intent.price_limit, MARKS[sent.intent.instrument_id]
    if limit is None:
        return True
    away: Decimal = (limit - mark) * sent.intent.side.sign
    return away >= mark * HALF


def bps(sent: ApprovedOrder) -> Decimal:
    """Return how far from its mark an order is priced, rounded to a basis point."""
    assert sent.intent.price_limit is not None
    away: Decimal = abs(sent.intent.price_limit / MARKS[sent.intent.instrument_id] - 1)
    return (away * 10_000).quantize(Decimal(1))


def answer(world: World, seen: int, *, misses: bool = False) -> list[ApprovedOrder]:
    """Answer every order from number `seen` on as such a book would; return them."""
    answered: list[ApprovedOrder] = []
    while len(world.submits()) > seen + len(answered):
        sent = world.submits()[seen + len(answered)]
        answered.append(sent)
        if reaches(sent) and not misses:
            name = sent.intent.instrument_id
            left = world.state.account.quantities()[name] + sent.intent.side.sign * sent.quantity
            world.fill(sent)
            world.position(name, str(left), None if left == 0 else str(MARKS[name]))
        else:
            world.order(
                sent.intent.client_order_id,
                OrderState.CANCELED,
                name=sent.intent.instrument_id,
                filled="0",
            )
    return answered


def play(world: World, seconds: float) -> list[ApprovedOrder]:
    """Let time pass in a wide book, a quarter of a second at a time; return the orders sent."""
    sent: list[ApprovedOrder] = []
    for _ in range(int(seconds * 4)):
        world.after(0.25)
        world.market()
        wide(world)
        world.feed(Tick(now_ns=world.now_ns))
        sent += answer(world, len(world.submits()) - len(_unanswered(world)))
    return sent


def _unanswered(world: World) -> list[ApprovedOrder]:
    active = world.state.orders.active
    return [s for s in world.submits() if s.intent.client_order_id in active]


def flatten(world: World) -> None:
    world.feed(
        ControlRequested(
            control_id=str(world.now_ns),
            action=ControlAction.FLATTEN,
            actor="op",
            reason="",
            from_halt=False,
            received_ns=world.now_ns,
        )
    )


def test_the_guard_reduces_in_a_book_wider_than_one_decisions_cap() -> None:
    world = ready(positions={"BTCUSDT": ("0.65", "50000")})
    sent = play(world, 6)
    assert world.state.leverage is not None
    assert world.state.leverage <= Decimal("2.9")
    assert {s.intent.source for s in sent} == {IntentSource.GUARD}
    # 3.25 times equity: each decision gives up after three orders, the second one goes on wider.
    assert [bps(s) for s in sent[:4]] == [50, 100, 200, 400]
    assert reaches(sent[3])


def test_a_flatten_ends_in_a_book_wider_than_one_decisions_cap() -> None:
    world = ready(positions={"BTCUSDT": ("0.2", "50000"), "ETHUSDT": ("-1", "2500")})
    world.after(1)
    flatten(world)
    play(world, 6)
    assert world.state.account.quantities() == {}


def test_a_cycles_reduction_never_reaches_so_far() -> None:
    world = ready(positions={"BTCUSDT": ("0.5", "50000"), "ETHUSDT": ("-1", "2500")})
    world.after(1)
    world.market()
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.now_ns))
    world.reconcile("cycle", positions={"BTCUSDT": ("0.5", "50000"), "ETHUSDT": ("-1", "2500")})
    sent = answer(world, 0, misses=True)
    assert {s.intent.source for s in sent} == {IntentSource.CYCLE}
    assert max(bps(s) for s in sent if s.intent.reduce_only) == 200
    assert world.state.missed == {}


@pytest.mark.parametrize(("seconds", "first_bps"), [(1, 800), (31, 50)])
def test_misses_are_forgotten_after_half_a_minute(seconds: int, first_bps: int) -> None:
    world = ready(positions={"BTCUSDT": ("0.2", "50000")})
    world.after(1)
    flatten(world)
    answer(world, 0, misses=True)
    count, at_ns = world.state.missed["BTCUSDT"]
    assert (count, at_ns) == (3, world.now_ns)
    assert MISSED_NS_MAX == 30 * NS_PER_SECOND
    world.state.missed["BTCUSDT"] = (4, at_ns)
    world.after(seconds)
    world.market()
    world.state.flatten_ns = 0
    before = len(world.submits())
    world.feed(Tick(now_ns=world.now_ns))
    assert bps(world.submits()[before]) == first_bps


def test_an_order_that_fills_whole_ends_the_reaching() -> None:
    world = ready(positions={"BTCUSDT": ("0.65", "50000")})
    sent = play(world, 6)
    assert all(s.intent.side is Side.SELL for s in sent)
    assert world.state.missed == {}
