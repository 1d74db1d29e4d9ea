import numpy as np
import pytest

from counterpoise.lab import bootstrap, metrics

DAYS = np.array([0.01, -0.02, 0.03, -0.04, 0.005] * 20)


def test_the_worst_days_have_a_mean():
    returns = np.array([0.01, -0.05, 0.02, -0.01, *[0.0] * 96])

    assert metrics.tail_mean(returns, 0.01) == -0.05
    assert metrics.tail_mean(returns, 0.05) == pytest.approx((-0.05 - 0.01) / 5)
    # One day at least, and a started day counts.
    assert metrics.tail_mean(returns[:3], 0.01) == -0.05


def test_volatility_is_annualised():
    assert metrics.volatility(np.array([0.01, -0.01])) == pytest.approx(
        0.02 / np.sqrt(2) * np.sqrt(365)
    )
    assert metrics.volatility(np.array([0.01])) == 0.0


def test_hedge_effectiveness_is_one_less_the_share_of_variance_left():
    unhedged = np.array([0.04, -0.04, 0.04, -0.04])

    assert metrics.effectiveness(unhedged / 2, unhedged) == pytest.approx(0.75)
    assert metrics.effectiveness(unhedged, unhedged) == 0.0
    assert metrics.effectiveness(unhedged * 0, unhedged) == 1.0
    assert metrics.effectiveness(unhedged * 2, unhedged) == pytest.approx(-3.0)
    assert metrics.effectiveness(unhedged, None) is None
    assert metrics.effectiveness(unhedged, unhedged * 0) is None


def test_infinite_leverage_has_no_figure():
    assert metrics.finite(float("inf")) is None
    assert metrics.finite(2.5) == 2.5


def test_intervals_hold_the_figure_and_repeat():
    found = bootstrap.intervals(DAYS)

    assert found == bootstrap.intervals(DAYS)
    assert set(found) == {
        "return_fraction", "drawdown_max_fraction", "volatility_annual_fraction",
        "day_worst_fraction", "cvar95_day_fraction", "cvar99_day_fraction",
    }  # fmt: skip
    volatility = found["volatility_annual_fraction"]
    assert volatility.low < metrics.volatility(DAYS) < volatility.high
    whole = found["return_fraction"]
    assert whole.low < float(np.prod(1.0 + DAYS)) - 1.0 < whole.high


def test_too_few_days_have_no_intervals():
    assert bootstrap.intervals(DAYS[: bootstrap.DAYS_MIN - 1]) == {}
