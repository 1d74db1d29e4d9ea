"""Whatever order the messages about an order come in, and however often: the end is the same."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoise.domain.account import OpenOrder
from counterpoise.domain.events import FillReported, OrderUpdate, UpdateSource
from counterpoise.domain.orders import TERMINAL, TRANSITIONS, Fill, OrderState, Side
from counterpoise.domain.records import FillSeen
from counterpoise.engine.order_tracker import OrderTracker
from engine_world import World, ready

KEY = "cp" + "7" * 30
QUANTITY = Decimal("0.5")
LOT = Decimal("0.01")


def update(state: OrderState, filled: Decimal | None, at: int) -> OrderUpdate:
    return OrderUpdate(
        client_order_id=KEY,
        venue_order_id=None if state in {OrderState.SUBMITTED, OrderState.UNKNOWN} else "v1",
        instrument_id="BTCUSDT",
        state=state,
        filled_quantity=filled,
        average_price=None,
        source=UpdateSource.STREAM,
        code=None,
        message="",
        order=None,
        event_ns=at,
        received_ns=at,
    )


def tracker(*, reduce_only: bool = False) -> OrderTracker:
    made = OrderTracker()
    order = OpenOrder(
        client_order_id=KEY,
        venue_order_id=None,
        instrument_id="BTCUSDT",
        side=Side.BUY,
        quantity=QUANTITY,
        filled_quantity=Decimal(0),
        price_limit=Decimal(50_000),
        reduce_only=reduce_only,
        state=OrderState.UNKNOWN,
    )
    made.adopt(order, created_ns=1, expires_ns=2)
    made.active[KEY] = replace(
        made.active[KEY], open_order=replace(order, state=OrderState.JOURNALED)
    )
    return made


@st.composite
def lives(draw: st.DrawFn) -> tuple[list[OrderUpdate], list[Decimal]]:
    """A venue's true story of one order: updates in order, and its executions."""
    lots = draw(st.lists(st.integers(1, 20), max_size=4))
    parts = [LOT * n for n in lots if n]
    while sum(parts, Decimal(0)) > QUANTITY:
        parts.pop()
    told = [update(OrderState.SUBMITTED, None, 1), update(OrderState.ACCEPTED, Decimal(0), 2)]
    total = Decimal(0)
    for number, part in enumerate(parts):
        total += part
        state = OrderState.FILLED if total == QUANTITY else OrderState.PARTIALLY_FILLED
        told.append(update(state, total, 3 + number))
    if total != QUANTITY:
        end = draw(st.sampled_from([OrderState.CANCELED, OrderState.EXPIRED]))
        told.append(update(end, total, 99))
    return told, parts


def end(made: OrderTracker) -> tuple[OrderState, Decimal]:
    order = made.get(KEY)
    assert order is not None
    return order.state, order.open_order.filled_quantity


@given(life=lives(), data=st.data())
@settings(max_examples=200, deadline=None)
def test_late_repeated_and_reordered_messages_end_alike(
    life: tuple[list[OrderUpdate], list[Decimal]], data: st.DataObject
) -> None:
    told, parts = life
    straight = tracker()
    for each in told:
        straight.told(each)
    assert end(straight) == (told[-1].state, sum(parts, Decimal(0)))
    noise = [
        update(OrderState.UNKNOWN, None, 50),
        *data.draw(st.lists(st.sampled_from(told), max_size=6)),
    ]
    mixed = data.draw(st.permutations([*told, *noise]))
    shuffled = tracker()
    for each in mixed:
        before = end(shuffled)
        changed = shuffled.told(each)
        after = end(shuffled)
        assert (changed is not None) or after == before
        if after[0] is not before[0]:
            assert after[0] in TRANSITIONS[before[0]]
        assert after[1] >= before[1], "the filled quantity never falls"
        assert before[0] not in TERMINAL or after == before
    assert end(shuffled) == end(straight)
    assert shuffled.active == {}


@given(life=lives(), data=st.data())
@settings(max_examples=100, deadline=None)
def test_executions_alone_are_enough_whatever_updates_are_lost(
    life: tuple[list[OrderUpdate], list[Decimal]], data: st.DataObject
) -> None:
    told, parts = life
    kept = data.draw(st.lists(st.sampled_from(told), max_size=4))
    events: list[OrderUpdate | Decimal] = data.draw(st.permutations([*kept, *parts]))
    made = tracker()
    for event in events:
        if isinstance(event, Decimal):
            made.executed("BTCUSDT", KEY, event)
        else:
            made.told(event)
    assert end(made)[1] == sum(parts, Decimal(0))
    for order in made.open_orders():
        assert 0 <= order.remaining <= QUANTITY


def an_execution(
    world: World, number: int, *, name: str = "BTCUSDT", key: str | None = KEY
) -> FillReported:
    return FillReported(
        fill=Fill(
            fill_id=str(number),
            instrument_id=name,
            client_order_id=key,
            venue_order_id="v1",
            side=Side.BUY,
            quantity=LOT,
            price=Decimal(50_000),
            fee=Decimal(0),
            fee_currency="USDT",
            liquidity=None,
            realised_pnl=None,
            event_ns=world.now_ns + number,
            received_ns=world.now_ns + number,
        ),
        source=UpdateSource.STREAM,
    )


@given(
    numbers=st.lists(st.integers(1, 6), min_size=1, max_size=12),
    name=st.sampled_from(["BTCUSDT", "NEWUSDT"]),
    key=st.sampled_from([KEY, "cp" + "9" * 30, None]),
)
@settings(max_examples=25, deadline=None)
def test_no_execution_is_dropped_even_before_its_order_or_instrument_is_known(
    numbers: list[int], name: str, key: str | None
) -> None:
    world = ready()
    world.after(1)
    for number in numbers:
        world.feed(an_execution(world, number, name=name, key=key))
    written = world.records(FillSeen)
    ids = [row.fill_id for row in written if isinstance(row, FillSeen)]
    assert sorted(ids) == sorted({str(n) for n in numbers}), "each once"
    held = world.state.account.quantities().get(name, Decimal(0))
    assert held == LOT * len(set(numbers)), "each moves the position once, in whatever order"
