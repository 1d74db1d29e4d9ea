"""Weights follow elapsed time, whatever the grid."""

import numpy as np
import pytest

from counterpoise.signals.ewma import Block, Ewma, Moments, weight_after


def block(rows, elapsed=60.0, span=None):
    values = np.array(rows, dtype=float)
    missing = np.isnan(values)
    values[missing] = 0.0
    return Block(
        elapsed_seconds=np.full(len(values), elapsed),
        span_seconds=np.full(len(values), elapsed if span is None else span),
        values=values,
        present=(~missing).astype(float) if missing.any() else None,
    )


def test_weight_halves_what_is_left_each_half_life():
    assert weight_after(0, 100) == 0
    assert weight_after(100, 100) == pytest.approx(0.5)
    assert weight_after(200, 100) == pytest.approx(0.75)


def test_mean_of_two_samples_by_hand():
    mean = Ewma(100)
    assert mean.mean(0.0) is None
    mean.update(100, 100, 4.0)  # Weight 0.5, later 0.25.
    mean.update(100, 100, 1.0)  # Weight 0.5.
    assert mean.weight == pytest.approx(0.75)
    assert mean.mean(0.75) == pytest.approx((0.25 * 4 + 0.5 * 1) / 0.75)
    assert mean.mean(0.76) is None


def test_a_missing_sample_changes_no_mean():
    mean = Ewma(100)
    mean.update(100, 100, 4.0)
    mean.update(1000, 100, None)
    assert mean.mean(0.0) == pytest.approx(4.0)
    assert mean.weight == pytest.approx(0.5**11)


def test_weights_add_up_the_same_on_any_grid():
    for step in (1, 5, 60, 300):
        mean = Ewma(10_800)
        for _ in range(3_600 // step):
            mean.update(step, step, 2.0)
        assert mean.weight == pytest.approx(weight_after(3_600, 10_800), rel=1e-12)


def test_no_sample_is_no_moment():
    moments = Moments.empty(2, 3_600, fourth=False)
    assert moments.windows(300) == 0.0
    assert not moments.known(60).any()
    assert (moments.mean(moments.products) == 0).all()
    assert (moments.squares, moments.cubes) == (None, None)
    after = moments.after(block([[1.0, 2.0]]))
    assert (after.squares, after.cubes) == (None, None)


def test_moments_of_one_row():
    moments = Moments.empty(2, 3_600, fourth=True).after(block([[2.0, 3.0]]))
    assert moments.mean(moments.products).tolist() == [
        [pytest.approx(4), pytest.approx(6)],
        [pytest.approx(6), pytest.approx(9)],
    ]
    assert moments.mean(moments.squares)[0, 1] == pytest.approx(36)
    assert moments.mean(moments.cubes)[0, 1] == pytest.approx(8 * 3)
    assert moments.mean(moments.cubes)[1, 0] == pytest.approx(27 * 2)


def test_a_missing_value_leaves_its_pairs_alone():
    nan = float("nan")
    moments = Moments.empty(2, 3_600, fourth=False).after(block([[1.0, 2.0], [5.0, nan]]))
    means = moments.mean(moments.products)
    assert means[0, 1] == pytest.approx(2)
    assert means[1, 1] == pytest.approx(4)
    assert 1 < means[0, 0] < 25
    assert moments.known(50).tolist() == [[True, True], [True, True]]
    assert moments.known(100).tolist() == [[True, False], [False, False]]


def test_independent_windows_of_equal_weights():
    # A long half-life weighs all alike: 100 rows of 300 s are 100 windows of 300 s; the same
    # time in 60 s steps holds no more.
    coarse = Moments.empty(1, 1e12, fourth=False).after(block([[1.0]] * 100, elapsed=300.0))
    fine = Moments.empty(1, 1e12, fourth=False).after(block([[1.0]] * 500, elapsed=60.0))
    assert coarse.windows(300) == pytest.approx(100, rel=1e-6)
    assert fine.windows(300) == pytest.approx(100, rel=1e-6)


def test_rows_without_any_value_count_for_nothing():
    nan = float("nan")
    moments = Moments.empty(1, 3_600, fourth=False).after(block([[nan], [nan]]))
    assert moments.windows(300) == 0.0
    assert moments.weight_sum == 0.0
    # The first sample of all speaks for no time.
    assert Moments.empty(1, 60, fourth=False).after(block([[1.0]], span=0.0)).windows(300) == 0.0
