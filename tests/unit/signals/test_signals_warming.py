"""Candles become rows in order, and no time counts twice."""

from math import log

import numpy as np
import pytest

from counterpoise.signals import warming

SECOND = 1_000_000_000


def table(candles, ids):
    return [(time // SECOND, np.exp(logs).tolist()) for time, logs in warming.rows(candles, ids)]


def candle(open_seconds, step, close):
    return (open_seconds * SECOND, step, close)


def test_long_candles_end_where_short_ones_begin():
    candles = {
        "A": [
            candle(600, 60, 12.0),
            candle(660, 60, 13.0),
            candle(0, 300, 10.0),
            candle(300, 300, 11.0),
            candle(600, 300, 99.0),
        ]
    }
    assert table(candles, ["A"]) == [
        (300, [pytest.approx(10)]),
        (600, [pytest.approx(11)]),
        (660, [pytest.approx(12)]),
        (720, [pytest.approx(13)]),
    ]


def test_what_an_instrument_lacks_is_missing():
    candles = {"A": [candle(0, 300, 1.0)], "B": [candle(300, 300, 2.0)], "X": [candle(0, 60, 5.0)]}
    nan = float("nan")
    result = table(candles, ["A", "B", "C"])
    assert [time for time, _ in result] == [300, 600]
    assert result[0][1] == pytest.approx([1.0, nan, nan], nan_ok=True)
    assert result[1][1] == pytest.approx([nan, 2.0, nan], nan_ok=True)
    assert table({}, ["A"]) == []


@pytest.mark.parametrize("mark", [None, 0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_price_is_missing(mark):
    assert np.isnan(warming.log_mark(mark))


def test_logarithm_of_a_price():
    assert warming.log_mark(2.0) == log(2.0)


def test_first_open_is_of_a_usable_candle():
    assert warming.first_open_ns([]) is None
    assert warming.first_open_ns([candle(0, 60, float("nan"))]) is None
    candles = [candle(120, 60, 1.0), candle(60, 60, 1.0), candle(0, 60, 0.0)]
    assert warming.first_open_ns(candles) == 60 * SECOND
