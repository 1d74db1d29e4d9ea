"""Minimum-variance weights against worked figures."""

import pytest

from counterpoise.strategy.weights import minimum_variance, solve
from strategy_world import CORE, ETH, PARAMETERS, SOL, XRP, parameters, signals

SHORT = {ETH: -1, SOL: -1, XRP: -1}


def test_solve_pivots() -> None:
    assert solve([[0.0, 2.0], [4.0, 1.0]], [2.0, 9.0]) == [2.0, 1.0]
    assert solve([], []) == []


def test_one_leg_is_the_ridged_regression_slope() -> None:
    # 0.5 / 0.6 x 0.8 / 1.3
    weights, dropped = minimum_variance((ETH,), SHORT, signals(), PARAMETERS)
    assert weights == {ETH: pytest.approx(0.5128205128)}
    assert dropped == ()


def test_three_equal_legs_share_the_hedge() -> None:
    # Each standardised weight is 0.8 / (1.3 + 2 x 0.8) = 0.275862.
    weights, _ = minimum_variance((ETH, SOL, XRP), SHORT, signals(), PARAMETERS)
    assert weights[ETH] == pytest.approx(0.5 / 0.6 * 0.8 / 2.9)
    assert weights[SOL] == pytest.approx(0.5 / 0.8 * 0.8 / 2.9)
    assert weights[XRP] == pytest.approx(0.5 / 0.7 * 0.8 / 2.9)


@pytest.mark.parametrize("volatility", [0.05, 0.005, 1e-6])
def test_what_hardly_moves_is_no_larger_than_at_a_tenth_of_the_core_s_volatility(
    volatility: float,
) -> None:
    quiet = {**signals().volatility_covariance, XRP: volatility}
    told = signals(volatility_covariance=quiet)
    weights, _ = minimum_variance((ETH, SOL, XRP), SHORT, told, PARAMETERS)
    assert weights[XRP] == pytest.approx(10.0 * 0.8 / 2.9)
    # The others are as they were.
    assert weights[ETH] == pytest.approx(0.5 / 0.6 * 0.8 / 2.9)


def test_a_leg_of_the_wrong_sign_is_dropped_and_the_rest_solved_again() -> None:
    table = signals().correlation
    crossed = {name: dict(row) for name, row in table.items()}
    crossed[SOL][CORE] = crossed[CORE][SOL] = 0.1
    weights, dropped = minimum_variance(
        (ETH, SOL), SHORT, signals(correlation=crossed), parameters(ridge=0.1)
    )
    assert dropped == (SOL,)
    assert weights == {ETH: pytest.approx(0.5 / 0.6 * 0.8 / 1.1)}


def test_all_legs_may_be_dropped() -> None:
    weights, dropped = minimum_variance((ETH,), {ETH: 1}, signals(), PARAMETERS)
    assert (weights, dropped) == ({}, (ETH,))


def test_a_short_core_is_hedged_by_long_legs() -> None:
    short = parameters(core_side="short")
    assert minimum_variance((ETH,), {ETH: 1}, signals(), short)[1] == ()
    assert minimum_variance((ETH,), SHORT, signals(), short)[1] == (ETH,)
