from dataclasses import replace

import numpy as np
import pytest

from counterpoise.lab.path import carried, make_path
from lab_world import table

UP = (100.0, 104.0, 98.0, 103.0)
DOWN = (103.0, 105.0, 95.0, 96.0)


def test_a_bar_in_which_the_core_rises_visits_the_lows_first():
    bars = table({"BTCUSDT": [UP, DOWN], "ETHUSDT": [DOWN, UP]})

    path = make_path(bars, 0)

    assert path.points[:, 0].tolist() == [100.0, 98.0, 104.0, 103.0, 103.0, 105.0, 95.0, 96.0]
    # The hedge stands at its lows and highs together with the core.
    assert path.points[:, 1].tolist() == [103.0, 95.0, 105.0, 96.0, 100.0, 104.0, 98.0, 103.0]


def test_a_stretch_is_a_third_of_a_bar_and_a_jump_takes_no_time():
    path = make_path(table({"BTCUSDT": [UP, DOWN]}), 0)

    assert [path.seconds_to(point) for point in range(8)] == [0, 300, 300, 300, 0, 300, 300, 300]
    assert path.row(3) == 0
    assert path.row(4) == 1


def test_prices_move_evenly():
    path = make_path(table({"BTCUSDT": [UP]}), 0)

    assert path.prices(1, 0.25).tolist() == [99.5]
    assert path.prices(1, 0.0).tolist() == [98.0]


@pytest.mark.parametrize(
    ("start", "milliseconds", "expected"),
    [
        ((0, 0.0), 0.0, (0, 0.0)),
        ((0, 0.0), 150_000.0, (0, 0.5)),
        ((0, 0.5), 150_000.0, (0, 1.0)),
        ((0, 0.5), 300_000.0, (1, 0.5)),
        # From a close the next open is reached at once.
        ((3, 0.0), 0.0, (4, 0.0)),
        ((2, 0.5), 300_000.0, (4, 0.5)),
        # The path ends.
        ((6, 0.5), 1e9, (7, 0.0)),
    ],
)
def test_later_is_further_along(start, milliseconds, expected):
    path = make_path(table({"BTCUSDT": [UP, DOWN]}), 0)

    assert path.later(*start, milliseconds) == pytest.approx(expected)


def test_the_last_close_stands_where_a_bar_is_missing():
    bars = table({"BTCUSDT": [UP, DOWN, UP], "ETHUSDT": [UP, DOWN, UP]})
    parts = {}
    for field in ("open", "high", "low", "close"):
        parts[field] = getattr(bars, field).copy()
        parts[field][1, 0] = np.nan
        parts[field][0, 1] = np.nan
    path = make_path(replace(bars, **parts), 0)

    assert path.points[4:8, 0].tolist() == [103.0] * 4
    assert path.highs[1, 0] == path.lows[1, 0] == 103.0
    # Nothing is held before the first bar: any positive figure does.
    assert (path.points[:4, 1] > 0.0).all()


def test_carried_repeats_the_last_known_value():
    values = np.array([[np.nan], [1.0], [np.nan], [2.0], [np.nan]])

    assert carried(values)[1:, 0].tolist() == [1.0, 1.0, 2.0, 2.0]
    assert np.isnan(carried(values)[0, 0])
