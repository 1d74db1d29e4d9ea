from dataclasses import replace
from math import log, sqrt

import numpy as np
import pytest

from counterpoise.lab.costs import make_costs
from lab_world import quiet, table


def costs_of(rows, half_spread=1.0, impact=1.0, volume=1_000.0, step_seconds=900):
    bars = table({"BTCUSDT": rows}, step_seconds=step_seconds, volume=volume)
    return make_costs(bars, bars.stale(), np.array([half_spread]), impact)


def test_a_quiet_market_costs_its_half_spread():
    assert costs_of(quiet(100.0, 5)).cost_bps(4, 0, 1e6) == 1.0


def test_impact_is_the_square_root_of_the_share_of_volume():
    # Every bar spans 1 % and trades 1,000 x 100 quote; Parkinson's volatility of one bar is
    # ln(101/100) / (2 sqrt(ln 2)); an order of a quarter of a bar's volume pays half of it.
    rows = [(100.0, 101.0, 100.0, 100.0)] * 8
    parkinson = log(1.01) / (2.0 * sqrt(log(2.0)))

    found = costs_of(rows).cost_bps(7, 0, 25_000.0)

    assert found == pytest.approx(1.0 + 1e4 * parkinson * 0.5)


def test_the_length_of_the_bars_cancels_out():
    # The same market in bars of a quarter: half the volatility, a quarter of the volume.
    coarse = costs_of([(100.0, 102.0, 100.0, 100.0)] * 8, volume=4_000.0, step_seconds=3_600)
    fine = costs_of([(100.0, 100.0 * exp_half(102.0 / 100.0), 100.0, 100.0)] * 8, volume=1_000.0)

    assert fine.cost_bps(7, 0, 1e5) == pytest.approx(coarse.cost_bps(7, 0, 1e5))


def exp_half(ratio):
    return sqrt(ratio)


def test_the_spread_widens_with_volatility_up_to_a_limit():
    calm = [(100.0, 100.1, 100.0, 100.0)] * 668
    wild = [(100.0, 104.0, 100.0, 100.0)] * 4
    ratio = log(1.04) / sqrt((668 * log(1.001) ** 2 + 4 * log(1.04) ** 2) / 672)

    found = costs_of([*calm, *wild], impact=0.0)

    assert found.cost_bps(667, 0, 1.0) == pytest.approx(1.0)
    assert found.cost_bps(671, 0, 1.0) == pytest.approx(min(ratio, 10.0))
    assert ratio > 10.0


def test_nothing_is_filled_while_the_feed_stands_still():
    bars = table({"BTCUSDT": [*[(1.0, 1.1, 1.0, 1.0)] * 4, *quiet(1.0, 4)]}, step_seconds=300)
    volume = bars.volume.copy()
    volume[4:] = 0.0
    bars = replace(bars, volume=volume)

    found = make_costs(bars, bars.stale(), np.array([1.0]), 1.0)

    assert found.closed[:, 0].tolist() == [False] * 6 + [True] * 2
