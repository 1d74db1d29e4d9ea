"""An order in several executions of one millisecond: nothing it filled is ever out of sight."""

import random
from decimal import Decimal
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoise.domain.account import Position
from counterpoise.domain.events import CycleDue, FillReported, PositionUpdate, Tick, UpdateSource
from counterpoise.domain.orders import ApprovedOrder
from counterpoise.domain.records import DecisionEnded, IncidentOpened
from counterpoise.engine import unshown
from engine_world import World, ready
from split_orders import EXECUTION, ORDER, POSITION, SplitOrder

LOT = Decimal("0.001")


def parts_of(quantity: Decimal, cuts: list[float]) -> list[Decimal]:
    """Cut a quantity into lots at shares of it."""
    lots = int(quantity / LOT)
    ends = sorted({0, lots, *(int(cut * lots) for cut in cuts)})
    return [(b - a) * LOT for a, b in pairwise(ends)]


def merged(count: int, seed: int) -> list[str]:
    """Return the topics of so many executions, merged in any way."""
    topics = [EXECUTION, POSITION, ORDER] * count
    random.Random(seed).shuffle(topics)
    return topics


def counted_at_worst(world: World, order: ApprovedOrder) -> Decimal:
    """Return base units of an order that the gate counts, held or still to fill."""
    name, key = order.intent.instrument_id, order.intent.client_order_id
    held = abs(world.state.account.quantities().get(name, Decimal(0)))
    hidden = sum((o.remaining for o in unshown.may_fill(world.state)), Decimal(0))
    working = world.state.orders.active.get(key)
    return held + hidden + (working.open_order.remaining if working else Decimal(0))


def opened() -> World:
    """Return a world whose first cycle has sent its hedge."""
    world = ready()
    world.after(0.1)
    world.position("ETHUSDT", "0", None)
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.now_ns))
    world.reconcile("cycle")
    world.after(0.1)
    return world


cuts = st.lists(st.floats(0.01, 0.99), max_size=4)
seeds = st.integers(0, 2**32)
lags = st.integers(0, 40)
#: As OKX numbers them: executions, and the last one in each position; None = not at all.
numbers = st.sampled_from((None, 500))


@settings(max_examples=25, deadline=None)
@given(cuts, seeds, cuts, seeds, lags, numbers)
def test_however_its_messages_are_merged_a_pair_is_seen_and_stays_whole(
    hedge_cuts: list[float],
    hedge_seed: int,
    core_cuts: list[float],
    core_seed: int,
    lag_ms: int,
    number: int | None,
) -> None:
    world = opened()
    for index, (each, seed) in enumerate(((hedge_cuts, hedge_seed), (core_cuts, core_seed))):
        order = world.submits()[index]
        lot = LOT if index == 0 else LOT / 10
        parts = [part * lot / LOT for part in parts_of(order.quantity * LOT / lot, each)]
        told = SplitOrder(
            world=world, order=order, parts=parts, position_lag_ms=lag_ms, number=number
        )
        for topic in merged(len(parts), seed):
            told.tell(topic)
            assert counted_at_worst(world, order) >= order.quantity, topic
        assert world.state.account.quantities()[told.name] == told.after
        world.after(0.1)
    world.market()
    world.feed(Tick(now_ns=world.now_ns))
    assert [r.outcome for r in world.records(DecisionEnded) if isinstance(r, DecisionEnded)] == [
        "done"
    ]
    assert len(world.submits()) == 2
    assert world.records(IncidentOpened) == []


@settings(max_examples=25, deadline=None)
@given(cuts, seeds, lags, numbers)
def test_however_its_messages_are_merged_a_reduction_is_no_loss(
    each: list[float], seed: int, lag_ms: int, number: int | None
) -> None:
    held = {"BTCUSDT": ("0.4", "50000"), "ETHUSDT": ("-3.8", "2500")}
    world = ready(positions=held)
    world.after(0.1)
    world.market()
    order = next(o for o in world.submits() if o.intent.instrument_id == "ETHUSDT")
    world.after(0.1)
    parts = parts_of(order.quantity, each)
    told = SplitOrder(
        world=world,
        order=order,
        parts=parts,
        before=Decimal("-3.8"),
        position_lag_ms=lag_ms,
        number=number,
    )
    for topic in merged(len(parts), seed):
        told.tell(topic)
        assert abs(world.state.account.quantities()[told.name]) >= abs(told.after)
    assert world.state.account.quantities()[told.name] == told.after
    assert world.records(IncidentOpened) == []
    assert len(world.submits()) == 2


@settings(max_examples=25, deadline=None)
@given(cuts, st.permutations(range(10)), numbers)
def test_in_whatever_order_they_come_all_of_them_add_up(
    each: list[float], order: list[int], number: int | None
) -> None:
    world = opened()
    hedge = world.submits()[0]
    parts = parts_of(hedge.quantity, each)
    told = SplitOrder(world=world, order=hedge, parts=parts, number=number)
    every = [
        *(FillReported(fill=f, source=UpdateSource.STREAM) for f in told.fills()),
        *(PositionUpdate(position=p, received_ns=world.now_ns) for p in told.positions()),
    ]
    for index in (i for i in order if i < len(every)):
        held = abs(world.state.account.quantities().get("ETHUSDT", Decimal(0)))
        world.feed(every[index])
        assert abs(world.state.account.quantities()["ETHUSDT"]) >= held
    assert world.records(IncidentOpened) == []
    last: Position = told.positions()[-1]
    assert world.state.account.quantities()["ETHUSDT"] == last.quantity == told.after
