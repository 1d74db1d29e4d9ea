"""Returns reach back one horizon and never across a hole."""

import numpy as np
import pytest

from counterpoise.signals.history import History

SECOND = 1_000_000_000
NAN = float("nan")


def history(*rows):
    result = History(900, 5)
    for second, logs, volatility in rows:
        result.add(second * SECOND, np.array(logs), volatility)
    return result


def test_return_over_exactly_the_horizon():
    past = history((0, [1.0, 2.0], None), (5, [9.0, 9.0], None))
    returns = past.returns(300 * SECOND, np.array([1.5, 2.25]), 300)
    assert returns.tolist() == [0.5, 0.25]


@pytest.mark.parametrize(("start", "expected"), [(5, 0.5), (-5, 0.5), (10, NAN), (-10, NAN)])
def test_the_start_may_be_missed_by_one_grid_step(start, expected):
    past = history((start, [1.0], None))
    result = past.returns(300 * SECOND, np.array([1.5]), 300)
    assert result.tolist() == [pytest.approx(expected, nan_ok=True)]


def test_each_instrument_takes_its_own_start():
    past = history((-5, [1.0, NAN, NAN], None), (0, [NAN, 2.0, NAN], None))
    result = past.returns(300 * SECOND, np.array([1.5, 2.5, 3.5]), 300)
    assert result.tolist() == pytest.approx([0.5, 0.5, NAN], nan_ok=True)
    assert np.isnan(past.returns(300 * SECOND, np.array([NAN, 1.0, 1.0]), 300)[0])


def test_volatility_is_found_near_its_time():
    past = history((0, [1.0], 0.5), (5, [1.0], None))
    assert past.volatility(0) == 0.5
    assert past.volatility(5 * SECOND) == 0.5
    assert past.volatility(-5 * SECOND) == 0.5
    assert past.volatility(10 * SECOND) is None


def test_memory_is_bounded():
    past = history(*((second, [1.0], None) for second in range(0, 50_000, 5)))
    assert len(past) == 182
    assert past.returns(50_000 * SECOND, np.array([1.0]), 300).tolist() == [0.0]


def test_time_does_not_go_back():
    past = history((5, [1.0], None))
    with pytest.raises(AssertionError, match="in order of time"):
        past.add(5 * SECOND, np.array([1.0]), None)
