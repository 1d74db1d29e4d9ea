"""Whatever happens to positions, marks and the venue's stops: one stop per leg in the end.

And on the way never one that could open anything, or that was larger than its position when it
was placed, and never a moment without one that a placing caused.
"""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoise.domain.orders import IntentSource
from engine_world import MARKS
from stop_world import StopWorld, stop_world

NAMES = ("BTCUSDT", "ETHUSDT")
#: Lots of each instrument at its largest, well inside what equity carries.
UNITS = {"BTCUSDT": Decimal("0.01"), "ETHUSDT": Decimal("0.1")}

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("position"), st.sampled_from(NAMES), st.integers(-20, 20)),
        st.tuples(st.just("mark"), st.sampled_from(NAMES), st.integers(-8, 8)),
        st.tuples(st.just("dropped"), st.sampled_from(NAMES), st.just(0)),
        st.tuples(st.just("refuses"), st.just(""), st.booleans()),
        st.tuples(st.just("cycle"), st.just(""), st.just(0)),
        st.tuples(st.just("wait"), st.just(""), st.integers(1, 12)),
    ),
    max_size=14,
)


def held(made: StopWorld) -> dict[str, Decimal]:
    return made.world.state.account.quantities()


def carry_out(made: StopWorld, step: tuple[str, str, int]) -> None:
    kind, name, value = step
    if kind == "position":
        quantity = UNITS[name] * value
        made.world.after(1)
        made.world.position(name, str(quantity), str(MARKS[name]) if quantity else None)
        if not quantity:
            # The venue drops the stop of a position that is gone.
            for stop in made.by_leg().get(name, []):
                del made.held_back[stop.intent.client_order_id]
    elif kind == "mark":
        made.world.after(1)
        made.world.mark(name, MARKS[name] * (100 + value) / 100)
    elif kind == "dropped":
        for stop in made.by_leg().get(name, []):
            del made.held_back[stop.intent.client_order_id]
    elif kind == "refuses":
        made.takes = not value
    elif kind == "cycle":
        made.world.state.cycle_slot_ns = made.world.now_ns
    for _ in range(value if kind == "wait" else 1):
        look(made)


def look(made: StopWorld) -> None:
    """Tick once and check every placing and dropping of that tick."""
    count = len(made.world.submits())
    before = made.by_leg()
    made.tick()
    for sent in made.world.submits()[count:]:
        if sent.intent.source is not IntentSource.PROTECTION:
            continue
        position = held(made)[sent.intent.instrument_id]
        assert sent.intent.reduce_only
        assert position * sent.intent.side.sign < 0
        assert sent.quantity <= abs(position)
    for name, stops in before.items():
        against = [s for s in stops if held(made).get(name, 0) * s.intent.side.sign < 0]
        if against:
            assert made.by_leg().get(name), f"{name} lost its last stop by our own doing"


@given(steps=STEPS)
@settings(max_examples=30, deadline=None)
def test_the_stops_converge_to_one_per_leg(steps: list[tuple[str, str, int]]) -> None:
    made = stop_world()
    for step in steps:
        carry_out(made, step)
    made.takes = True
    for _ in range(40):
        made.tick(5)
        if made.world.state.plans:
            made.world.state.plans.clear()
    positions = held(made)
    found = made.by_leg()
    assert {name: len(stops) for name, stops in found.items()} == dict.fromkeys(positions, 1)
    for name, (stop,) in found.items():
        size = abs(positions[name])
        assert size * Decimal("0.98") <= stop.quantity <= size
        assert stop.intent.side.sign * positions[name] < 0
        assert stop.intent.trigger_price is not None
        mark = made.world.state.market.mark(name)
        assert mark is not None
        assert (stop.intent.trigger_price - mark) * stop.intent.side.sign > 0
    assert set(made.world.state.protection.orders.active) == set(made.held_back)
