"""One correlation a day, and how far the days differ."""

import numpy as np
import pytest

from counterpoise.signals.daily import DailyCorrelation
from counterpoise.signals.ewma import Block


def block(rows, span=10_000.0, present=None):
    values = np.array(rows, dtype=float)
    return Block(
        elapsed_seconds=np.full(len(values), span),
        span_seconds=np.full(len(values), span),
        values=values,
        present=None if present is None else np.array(present, dtype=float),
    )


def daily(days=7):
    return DailyCorrelation(columns=2, core=0, days=days, day_seconds_min=21_600)


SAME = [[1.0, 2.0], [-1.0, -2.0], [2.0, 4.0]]
OPPOSITE = [[1.0, -2.0], [-1.0, 2.0], [2.0, -4.0]]


def test_nothing_seen():
    assert np.isnan(daily().stdev(5)).all()


def test_two_days_by_hand():
    one = daily()
    one.absorb(block(SAME))
    one.close(3)
    assert np.isnan(one.stdev(4)).all()
    one.absorb(block(OPPOSITE))
    one.close(4)
    # Correlations 1 and -1: the sample deviation is the square root of 2.
    assert one.stdev(5).tolist() == pytest.approx([0.0, 2**0.5])


def test_days_that_are_too_old_or_too_short_do_not_count():
    one = daily(days=3)
    for day, rows in ((3, OPPOSITE), (4, SAME), (5, SAME)):
        one.absorb(block(rows))
        one.close(day)
    one.absorb(block(OPPOSITE, span=7_000.0))
    one.close(6)
    assert one.stdev(7)[1] == pytest.approx(0.0)
    assert np.isnan(one.stdev(8)[1])


def test_missing_values_and_flat_columns_do_not_count():
    one = daily()
    for day in (3, 4):
        one.absorb(block(SAME, present=[[1, 1], [1, 0], [0, 1]]))
        one.close(day)
    # The column had 10,000 s with the core a day, the core itself 20,000 s.
    assert np.isnan(one.stdev(5)).all()
    flat = daily()
    for day in (3, 4):
        flat.absorb(block([[1.0, 0.0]] * 3))
        flat.close(day)
    assert flat.stdev(5).tolist() == pytest.approx([0.0, float("nan")], nan_ok=True)
