"""Depth and spread are measured against their own last day."""

import pytest

from counterpoise.market.baseline import BASELINE_MINUTES, Baseline

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
START = 1_700_000_040 * SECOND  # On a full minute.


def observed(minutes, depth=100.0, spread=0.001, start=START):
    baseline = Baseline()
    for minute in range(minutes):
        baseline.sample(start + minute * MINUTE, depth, spread)
    return baseline


def test_unknown_until_one_hour_was_observed():
    baseline = observed(60)
    now = START + 59 * MINUTE
    assert baseline.depth_fraction(now) is None
    assert baseline.spread_ratio(now) is None
    # The sample of minute 60 closes the sixtieth minute.
    now = START + 60 * MINUTE
    baseline.sample(now, 40.0, 0.003)
    assert baseline.depth_fraction(now) == pytest.approx(0.4)
    assert baseline.spread_ratio(now) == pytest.approx(3.0)


def test_windows_are_sixty_and_five_seconds():
    baseline = observed(61)
    now = START + 61 * MINUTE
    for second in range(60):
        depth = 20.0 if second >= 25 else 100.0
        spread = 0.01 if second >= 57 else 0.001
        baseline.sample(now + second * SECOND, depth, spread)
    last = now + 59 * SECOND
    assert baseline.depth_fraction(last) == pytest.approx(0.2)
    assert baseline.spread_ratio(last) == pytest.approx(10.0)
    assert baseline.spread_ratio(last + 5 * SECOND) is None
    assert baseline.depth_fraction(last + 60 * SECOND) is None


def test_one_sample_a_second_and_none_from_the_past():
    baseline = observed(61)
    now = START + 60 * MINUTE
    assert not baseline.due(now)
    assert baseline.due(now + SECOND)
    baseline.sample(now, 1.0, 1.0)
    baseline.sample(now - MINUTE, 1.0, 1.0)
    assert baseline.depth_fraction(now) == pytest.approx(1.0)
    assert baseline.spread_ratio(now) == pytest.approx(1.0)


def test_a_day_old_minute_is_forgotten_and_a_hole_makes_it_unknown_again():
    baseline = observed(90)
    now = START + BASELINE_MINUTES * MINUTE + 60 * MINUTE
    # 30 of the 90 minutes are still within the day: less than an hour.
    baseline.sample(now, 50.0, 0.001)
    baseline.sample(now + MINUTE, 50.0, 0.001)
    assert baseline.depth_fraction(now + MINUTE) is None


def test_normal_follows_the_last_day_only():
    baseline = observed(BASELINE_MINUTES, depth=10.0)
    later = START + BASELINE_MINUTES * MINUTE
    for minute in range(BASELINE_MINUTES + 1):
        baseline.sample(later + minute * MINUTE, 1000.0, 0.001)
    assert baseline.depth_fraction(later + BASELINE_MINUTES * MINUTE) == pytest.approx(1.0)


def test_a_normal_of_zero_is_no_yardstick():
    baseline = observed(61, depth=0.0, spread=0.0)
    now = START + 60 * MINUTE
    assert baseline.depth_fraction(now) is None
    assert baseline.spread_ratio(now) is None


def after_an_hour(depths):
    """Return a baseline of normal depth 100 that then saw one sample a second, and the last ns."""
    baseline = observed(61)
    now = START + 61 * MINUTE
    for second in range(61):
        baseline.sample(now + second * SECOND, 100.0, 0.001)
    now += 61 * SECOND
    for second, depth in enumerate(depths):
        baseline.sample(now + second * SECOND, depth, 0.001)
    return baseline, now + (len(depths) - 1) * SECOND


def test_thin_depth_must_have_lasted_thirty_seconds():
    # The 60 s median turns thin with the 31st thin second.
    baseline, now = after_an_hour([20.0] * 31)
    assert baseline.depth_fraction(now) == pytest.approx(0.2)
    assert baseline.depth_fraction_high(now) == pytest.approx(1.0)
    baseline, now = after_an_hour([20.0] * 59)
    assert baseline.depth_fraction_high(now) == pytest.approx(0.6)
    baseline, now = after_an_hour([20.0] * 60)
    assert baseline.depth_fraction_high(now) == pytest.approx(0.2)


def test_a_book_that_was_hardly_seen_was_not_measured():
    baseline, now = after_an_hour([20.0] * 60)
    assert baseline.depth_fraction_high(now + 15 * SECOND) == pytest.approx(0.2)
    assert baseline.depth_fraction_high(now + 16 * SECOND) is None


def test_a_fast_fall_is_remembered_for_a_cycle_and_a_slow_one_is_none():
    baseline, now = after_an_hour([20.0] * 120)
    assert baseline.depth_fall_fraction(now) == pytest.approx(0.2)
    for second in range(1, 700):
        baseline.sample(now + second * SECOND, 20.0, 0.001)
    assert baseline.depth_fall_fraction(now + 699 * SECOND) == pytest.approx(0.2)
    later = now + 1_050 * SECOND
    baseline.sample(later, 20.0, 0.001)
    assert baseline.depth_fall_fraction(later) == pytest.approx(1.0)
    slow, now = after_an_hour([100.0 - second / 20 for second in range(1600)])
    assert slow.depth_fraction(now) < 0.25
    assert slow.depth_fall_fraction(now) > 0.6


def test_no_fall_is_known_before_depth_is():
    assert observed(30).depth_fall_fraction(START + 30 * MINUTE) is None
