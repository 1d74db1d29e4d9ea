from itertools import combinations
from math import exp, pi, sqrt

import numpy as np
import pytest

from counterpoise.lab.sweep import luck


def test_a_sharpe_ratio_is_mean_over_deviation():
    assert luck.sharpe(np.array([0.01, 0.03, -0.01, 0.01])) == pytest.approx(
        0.01 / sqrt((0.0 + 0.0004 + 0.0004 + 0.0) / 3)
    )
    assert luck.sharpe(np.array([0.01, 0.01])) == 0.0
    assert luck.sharpe(np.array([0.01])) == 0.0


def test_the_expected_best_is_that_of_the_paper_s_example():
    # Bailey and Lopez de Prado 2014, their numerical example: 100 trials whose annual ratios have
    # a variance of 1/2, 250 days a year: the daily expected maximum is 0.1132.
    draws = np.linspace(-1.0, 1.0, 100)
    annual = draws * sqrt(0.5 / draws.var(ddof=1))
    assert luck.sharpe_expected_max(annual / sqrt(250)) == pytest.approx(0.1132, abs=5e-5)


def test_the_deflated_ratio_is_that_of_the_paper_s_example():
    # The same example: ratio 2.5 a year over 1250 days, skewness -3, kurtosis 10: about 0.90.
    found = luck.probability_above(2.5 / sqrt(250), 0.1132, -3.0, 10.0, 1_250)
    assert found == pytest.approx(0.9004, abs=3e-4)
    assert luck.probability_above(0.0, 0.1, 0.0, 3.0, 101) == pytest.approx(0.158655, abs=1e-6)
    assert luck.probability_above(2.0, 0.1, 3.0, 3.0, 101) is None


def test_more_trials_mean_more_luck():
    ratios = np.random.default_rng(1).normal(0.0, 0.05, 1_000)
    expected = [luck.sharpe_expected_max(ratios[:count]) for count in (2, 10, 100, 1_000)]
    assert expected == sorted(expected)
    assert luck.sharpe_expected_max(ratios[:1]) == 0.0


def test_the_probability_is_a_half_at_the_ratio_itself():
    returns = np.random.default_rng(2).normal(0.001, 0.01, 400)
    assert luck.sharpe_probability(returns, luck.sharpe(returns)) == 0.5
    assert luck.sharpe_probability(returns, 1.0) < 1e-6
    assert luck.sharpe_probability(np.zeros(10), 0.0) is None
    assert luck.sharpe_probability(np.array([0.1, 0.2]), 0.0) is None


def test_noise_is_overfitted_and_skill_is_not():
    tables = [np.random.default_rng(seed).normal(0.0, 0.01, (360, 40)) for seed in range(8)]
    found = [luck.overfitting_probability(noise) for noise in tables]
    assert np.mean(found) == pytest.approx(0.5, abs=0.15)
    noise = tables[3]
    skilled = noise.copy()
    skilled[:, 7] += 0.004
    assert luck.overfitting_probability(skilled) < 0.01


def test_splits_are_counted_as_by_hand():
    returns = np.random.default_rng(4).normal(0.0, 0.01, (8, 3))
    worse = []
    for train in combinations(range(4), 2):
        days = [day for block in train for day in (2 * block, 2 * block + 1)]
        rest = [day for day in range(8) if day not in days]
        inside = returns[days].mean(axis=0) / returns[days].std(axis=0)
        outside = returns[rest].mean(axis=0) / returns[rest].std(axis=0)
        best = inside.argmax()
        rank = (1 + (outside < outside[best]).sum()) / 4
        worse.append(rank <= 0.5)
    assert luck.overfitting_probability(returns, blocks=4) == pytest.approx(np.mean(worse))


def test_too_few_days_or_sets_say_nothing():
    assert luck.overfitting_probability(np.zeros((100, 1))) is None
    assert luck.overfitting_probability(np.zeros((20, 5))) is None


def test_the_normal_distribution_is_the_one_meant():
    # The probability at one standard error is that of the normal law.
    returns = np.random.default_rng(6).normal(0.0, 0.01, 5_000)
    ratio = luck.sharpe(returns)
    one_error = 1.0 / sqrt(len(returns) - 1)
    expected = 0.5 + sum(
        exp(-(((place + 0.5) / 1_000) ** 2) / 2) / 1_000 for place in range(1_000)
    ) / sqrt(2 * pi)
    assert luck.sharpe_probability(returns, ratio - one_error) == pytest.approx(expected, abs=2e-3)
