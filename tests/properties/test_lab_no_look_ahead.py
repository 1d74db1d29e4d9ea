"""No decision knows anything that happened after it."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoise.lab.assumptions import Assumptions
from counterpoise.risk.guard import GuardParameters
from lab_world import START_NS, charged, ran, tape_of, walk

NAMES = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
ROWS = 900
FIRST_ROW = 864  # three days of five-minute bars
HOUR_NS = 3_600 * 10**9
ASSUMPTIONS = Assumptions()


def changed(bars, row, factor):
    """The same bars up to `row`, others after it."""
    parts = {}
    for field in ("open", "high", "low", "close", "volume"):
        values = getattr(bars, field).copy()
        values[row:] *= factor
        parts[field] = values
    parts["high"][row:] *= 1.01
    return replace(bars, **parts)


def decided(bars, funding, guard=None, **changes):
    done = ran(tape_of(bars, ASSUMPTIONS, funding), ASSUMPTIONS, guard, **changes)
    return [each for each in done.recorder.decisions() if each.kind == "cycle"]


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    row=st.integers(FIRST_ROW + 1, ROWS - 1),
    factor=st.sampled_from([0.7, 0.98, 1.05, 1.6]),
)
def test_changing_the_future_changes_no_earlier_decision(seed, row, factor):
    bars = walk(NAMES, ROWS, seed)
    boundary_ns = int(bars.open_ns[row])
    times = [START_NS + hours * HOUR_NS for hours in range(0, 96, 8)]
    before = charged(times, ["0.0001"] * len(times))
    after = charged(times, ["0.0001" if time <= boundary_ns else "0.0075" for time in times])

    one = decided(bars, (before,) * 3)
    two = decided(changed(bars, row, factor), (after,) * 3)

    same_until(one, two, boundary_ns)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**16), row=st.integers(FIRST_ROW + 3, ROWS - 1))
def test_a_busy_guard_tells_no_decision_of_later_prices(seed, row):
    bars = walk(NAMES, ROWS, seed, scale=0.006)
    guard = GuardParameters(leverage_trigger=Decimal("1.52"), leverage_target=Decimal("1.5"))
    none = (charged([START_NS], ["0"]),) * 3

    one = decided(bars, none, guard, policy="unhedged")
    two = decided(changed(bars, row, 0.9), none, guard, policy="unhedged")

    same_until(one, two, int(bars.open_ns[row]))


def same_until(one, two, boundary_ns):
    # What is decided at or before the change is the same; what is filled lies in the bars after.
    known = [
        (left, right) for left, right in zip(one, two, strict=True) if left.time_ns <= boundary_ns
    ]
    assert known
    for left, right in known:
        assert (left.reasons, left.targets, left.summary, left.equity) == (
            right.reasons,
            right.targets,
            right.summary,
            right.equity,
        )


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_the_same_bars_give_the_same_decisions(seed):
    bars = walk(NAMES, ROWS, seed)

    one = ran(tape_of(bars, ASSUMPTIONS), ASSUMPTIONS)
    two = ran(tape_of(bars, ASSUMPTIONS), ASSUMPTIONS)

    assert one.recorder.decisions() == two.recorder.decisions()
    assert np.array_equal(one.recorder.series().equity, two.recorder.series().equity)
