"""Sliding highs, falls and liquidation minutes equal what a whole history says, however split."""

from math import ceil
from statistics import median

from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoise.market.baseline import Baseline
from counterpoise.market.liquidations import Liquidations

SECOND = 1_000_000_000
START = 1_700_000_040
NORMAL_MINUTES = 61


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 40), st.sampled_from([10.0, 30.0, 60.0, 100.0, 140.0])),
        min_size=1,
        max_size=120,
    )
)
def test_depth_windows_equal_the_batch(steps):
    baseline = Baseline()
    samples = [(START + 60 * minute, 100.0) for minute in range(NORMAL_MINUTES)]
    second = samples[-1][0]
    for wait, depth in steps:
        second += wait
        samples.append((second, depth))
    fractions = []
    for at, depth in samples:
        baseline.sample(at * SECOND, depth, 0.001)
        fraction = baseline.depth_fraction(at * SECOND)
        if fraction is not None:
            fractions.append((at, fraction))
        # Looking changes nothing.
        baseline.depth_fraction_high(at * SECOND)
        baseline.depth_fall_fraction(at * SECOND)
    held = [fraction for at, fraction in fractions if at > second - 30]
    expected = max(held) if len(held) >= 15 else None
    assert baseline.depth_fraction_high(second * SECOND) == expected
    falls = []
    for at, fraction in fractions:
        most = max(one for when, one in fractions if at - 180 < when <= at)
        if at > second - 900:
            falls.append(fraction / most)
    assert baseline.depth_fall_fraction(second * SECOND) == min(falls, default=None)
    window = [depth for at, depth in samples if at > second - 60]
    assert median(window) > 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(1, 1000)), min_size=1, max_size=150),
    st.integers(0, 90_000),
)
def test_liquidations_equal_the_batch(prints, wait):
    tracker = Liquidations()
    second, told = START, []
    for gap, quote in prints:
        second += gap
        told.append((second, float(quote)))
        tracker.record(second * SECOND, float(quote))
        tracker.high(second * SECOND)
    now = second + wait
    assert tracker.last_minute(now * SECOND) == sum(q for at, q in told if at > now - 60)
    observed = min(now // 60 - told[0][0] // 60, 1440)
    if observed < 60:
        assert tracker.high(now * SECOND) is None
        return
    minutes = [
        sum(quote for at, quote in told if at // 60 == minute)
        for minute in range(now // 60 - observed, now // 60)
    ]
    assert tracker.high(now * SECOND) == sorted(minutes)[ceil(0.999 * observed) - 1]
