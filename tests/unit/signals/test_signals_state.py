"""Samples in, a view out: what is known when, and what it says on paths with a known answer."""

from dataclasses import fields
from math import exp, isfinite, sqrt

import numpy as np
import pytest

from counterpoise.signals.parameters import SignalParameters
from counterpoise.signals.state import Signals

SECOND = 1_000_000_000
DAY = 86_400
START = 19_700 * DAY  # Midnight, seconds.
YEAR = 365 * DAY
IDS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
CORRELATION = np.array([[1, 0.8, 0.5], [0.8, 1, 0.6], [0.5, 0.6, 1]])
VOLATILITY = np.array([0.5, 0.7, 1.0])


def path(seconds, step, seed=1):
    """Return log marks of a simulated market, shape (steps + 1, instruments)."""
    generator = np.random.default_rng(seed)
    shocks = generator.standard_normal((seconds // step, 3)) @ np.linalg.cholesky(CORRELATION).T
    steps = shocks * VOLATILITY * sqrt(step / YEAR)
    return np.vstack((np.zeros((1, 3)), np.cumsum(steps, axis=0))) + np.log([6e4, 3e3, 100.0])


def candles(logs, step, start=START, ids=IDS):
    """Return closes as candles: the first row is the close of the first one."""
    return {
        name: [
            ((start + row * step) * SECOND, step, float(np.exp(log)))
            for row, log in enumerate(logs[:, column])
        ]
        for column, name in enumerate(ids)
    }


def signals(sign=1, ids=IDS, **parameters):
    return Signals("BTCUSDT", sign, ids, SignalParameters(**parameters))


def observe(one, logs, step, start=START, ids=IDS):
    for row, values in enumerate(logs):
        marks = dict(zip(ids, np.exp(values).tolist(), strict=True))
        one.observe((start + row * step) * SECOND, marks)


def figures(view):
    """Return every float of a view."""
    result = []
    stack = [getattr(view, field.name) for field in fields(view)]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            stack.extend(value.values())
        elif isinstance(value, float):
            result.append(value)
    return result


def test_nothing_is_known_at_first():
    view = signals().view(START * SECOND)
    assert (view.core_id, view.sampled_ns, view.horizon_seconds) == ("BTCUSDT", None, 300)
    for field in fields(view)[3:]:
        assert getattr(view, field.name) in (None, {}), field.name


def test_nothing_is_known_before_an_hour_of_returns():
    one = signals()
    logs = path(5_000, 5)
    # The first return ends at 295 s: its start may be missed by one grid step.
    observe(one, logs[: 3_885 // 5 + 1], 5)
    view = one.view((START + 3_885) * SECOND)
    assert (view.volatility_fast, view.correlation, view.beta) == ({}, {}, {})
    assert (view.semivolatility_adverse, view.stress_ratio) == (None, None)
    assert view.history_days["BTCUSDT"] == pytest.approx(3_885 / DAY)
    observe(one, logs[3_890 // 5 :], 5, START + 3_890)
    view = one.view((START + 5_000) * SECOND)
    assert set(view.volatility_fast) == set(IDS)
    assert view.semivolatility_adverse is not None
    assert view.history_days["BTCUSDT"] == pytest.approx(5_000 / DAY)


@pytest.fixture(scope="module")
def warmed():
    one = signals()
    one.warm(candles(path(30 * DAY, 300), 300))
    return one


def test_a_simulated_market_is_found_again(warmed):
    view = warmed.view((START + 30 * DAY + 300) * SECOND)
    assert view.sampled_ns == (START + 30 * DAY + 300) * SECOND
    for column, name in enumerate(IDS):
        true = VOLATILITY[column]
        assert view.volatility_slow[name] == pytest.approx(true, rel=0.05)
        assert view.volatility_medium[name] == pytest.approx(true, rel=0.12)
        assert view.volatility_fast[name] == pytest.approx(true, rel=0.35)
        assert view.volatility_covariance[name] == pytest.approx(true, rel=0.08)
        assert view.history_days[name] == pytest.approx(30 + 300 / DAY)
    assert view.semivolatility_adverse == pytest.approx(0.5, rel=0.25)
    assert view.stress_ratio == view.semivolatility_adverse / view.volatility_slow["BTCUSDT"]
    assert view.correlation_core_medium["ETHUSDT"] == pytest.approx(0.8, abs=0.06)
    assert view.correlation_core_fast["SOLUSDT"] == pytest.approx(0.5, abs=0.25)
    assert view.correlation_core_fast["BTCUSDT"] == pytest.approx(1.0)
    # Drawn toward the mean correlation, 0.633.
    assert 0.64 < view.correlation["BTCUSDT"]["ETHUSDT"] < 0.82
    assert 0.47 < view.correlation["BTCUSDT"]["SOLUSDT"] < 0.64
    for name in IDS:
        expected = (
            view.correlation["BTCUSDT"][name]
            * view.volatility_covariance[name]
            / view.volatility_covariance["BTCUSDT"]
        )
        assert view.beta[name] == pytest.approx(expected)
    assert view.beta["BTCUSDT"] == 1.0
    # Gaussian returns know nothing of volatility.
    assert all(abs(value) < 0.35 for value in view.volatility_correlation.values())
    # A day of 288 returns: the deviation of a correlation of 0.8 is 0.36 / sqrt(288).
    assert view.correlation_daily_stdev["ETHUSDT"] == pytest.approx(0.021, rel=0.7)
    assert view.correlation_daily_stdev["BTCUSDT"] == pytest.approx(0.0, abs=1e-9)
    assert view.correlation_mean_fast == pytest.approx(0.633, abs=0.15)
    assert 0.5 < view.absorption_ratio < 0.95
    assert view.volatility_fast_rising in (True, False)
    assert 0.0 <= view.core_move_sigmas < 5.0


def test_live_samples_go_on_where_candles_end():
    logs = path(3 * DAY, 5)
    minutes = logs[::12]
    fives = logs[::60]
    split = 2 * DAY
    one = signals()
    # Row r is the mark at START + r x step, so the candle that ends there opened a step before.
    coarse = candles(fives[1 : split // 300 + 1], 300)
    fine = candles(minutes[DAY // 60 + 1 : split // 60 + 1], 60, START + DAY)
    one.warm({name: coarse[name] + fine[name] for name in IDS})
    assert one.view(0).sampled_ns == (START + split) * SECOND
    observe(one, logs[split // 5 :], 5, START + split)
    whole = signals()
    observe(whole, logs, 5)
    now = (START + 3 * DAY) * SECOND
    mixed, live = one.view(now), whole.view(now)
    assert mixed.sampled_ns == live.sampled_ns == now
    for name in IDS:
        assert mixed.volatility_fast[name] == pytest.approx(live.volatility_fast[name], rel=0.02)
        assert mixed.volatility_medium[name] == pytest.approx(
            live.volatility_medium[name], rel=0.05
        )
        assert mixed.correlation_core_medium[name] == pytest.approx(
            live.correlation_core_medium[name], abs=0.03
        )
    assert mixed.semivolatility_adverse == pytest.approx(live.semivolatility_adverse, rel=0.02)
    assert mixed.core_move_sigmas == pytest.approx(live.core_move_sigmas, rel=0.02)


def test_one_sample_a_grid_step_and_none_from_the_past():
    logs = path(6_000, 5)
    once, often = signals(), signals()
    observe(once, logs, 5)
    for row, values in enumerate(logs):
        marks = dict(zip(IDS, np.exp(values).tolist(), strict=True))
        now = (START + row * 5) * SECOND
        assert often.due(now)
        often.observe(now, marks)
        assert not often.due(now + 4 * SECOND)
        often.observe(now + 4 * SECOND, {"BTCUSDT": 1.0})
        often.observe(now - 60 * SECOND, {"BTCUSDT": 1.0})
    now = (START + 6_000) * SECOND
    assert once.view(now) == often.view(now)


def test_looking_changes_nothing():
    logs = path(9_000, 5)
    quiet, watched = signals(), signals()
    observe(quiet, logs, 5)
    for row, values in enumerate(logs):
        now = (START + row * 5) * SECOND
        watched.observe(now, dict(zip(IDS, np.exp(values).tolist(), strict=True)))
        if row % 7 == 0:
            watched.view(now)
    now = (START + 9_000) * SECOND
    assert quiet.view(now) == watched.view(now)


def test_warming_twice_samples_once():
    table = candles(path(2 * DAY, 300), 300)
    once, twice = signals(), signals()
    once.warm(table)
    twice.warm({name: rows[:300] for name, rows in table.items()})
    twice.warm(table)
    now = (START + 2 * DAY + 300) * SECOND
    assert once.view(now) == twice.view(now)


@pytest.mark.parametrize("sign", [1, -1])
def test_adverse_is_against_the_cores_side(sign):
    # Each bar falls by 1 %, then rises by 2 %: long suffers the falls, short the rises.
    steps = np.tile([-0.01, 0.02], 200)
    logs = np.concatenate(([0.0], np.cumsum(steps)))[:, None]
    one = signals(sign, ("BTCUSDT",), half_life_semivolatility_hours=1e5)
    one.warm(candles(logs, 300, ids=("BTCUSDT",)))
    view = one.view((START + 400 * 300 + 300) * SECOND)
    against = 0.01 if sign == 1 else 0.02
    expected = sqrt(2 * against**2 / 2 * YEAR / 300)
    assert view.semivolatility_adverse == pytest.approx(expected, rel=1e-3)
    assert view.stress_ratio == view.semivolatility_adverse / view.volatility_slow["BTCUSDT"]
    assert view.correlation == {"BTCUSDT": {"BTCUSDT": 1.0}}
    assert (view.correlation_mean_fast, view.absorption_ratio) == (None, None)


def test_a_missing_instrument_is_not_repeated():
    logs = path(2 * DAY, 300)
    one = signals()
    one.warm(candles(logs, 300))
    now = START + 2 * DAY + 300
    before = one.view(now * SECOND)
    for row in range(1, 200):
        marks = {"BTCUSDT": exp(logs[-1, 0] + 1e-3 * (row % 2)), "SOLUSDT": float("nan")}
        one.observe((now + 300 * row) * SECOND, marks)
    after = one.view((now + 300 * 199) * SECOND)
    assert after.volatility_fast["BTCUSDT"] != before.volatility_fast["BTCUSDT"]
    assert after.volatility_medium["ETHUSDT"] == pytest.approx(before.volatility_medium["ETHUSDT"])
    # 16 hours without a sample are too many for the fast statistics.
    assert "ETHUSDT" not in after.volatility_fast
    assert "SOLUSDT" not in after.correlation_core_fast
    assert after.correlation_core_medium["BTCUSDT"] == pytest.approx(1.0)


def test_no_return_across_a_hole():
    logs = path(7_200, 5)
    one = signals()
    observe(one, logs, 5)
    now = START + 7_200
    before = one.view(now * SECOND)
    # An hour later the market is 20 % lower: no return tells.
    later = now + 3_600
    for step in range(0, 295, 5):
        marks = dict(zip(IDS, (np.exp(logs[-1]) * 0.8).tolist(), strict=True))
        one.observe((later + step) * SECOND, marks)
    after = one.view((later + 290) * SECOND)
    assert after.volatility_fast == pytest.approx(before.volatility_fast)
    assert (after.core_move_sigmas, after.volatility_fast_rising) == (None, None)


def test_nothing_fresh_is_no_sample():
    one = signals()
    one.observe(START * SECOND, {"BTCUSDT": 0.0, "OTHER": 5.0})
    assert one.view(START * SECOND).sampled_ns is None
    one.observe(START * SECOND + 1, {"BTCUSDT": 1.0})
    assert one.view(START * SECOND).sampled_ns == START * SECOND
    assert one.view(START * SECOND).history_days == {"BTCUSDT": 0.0}


def test_a_violent_move_is_told_in_sigmas_of_before(warmed):
    logs = path(30 * DAY, 300)
    one = signals()
    one.warm(candles(logs, 300))
    end = START + 30 * DAY + 300
    before = one.view(end * SECOND)
    move = 8 * before.volatility_fast["BTCUSDT"] * sqrt(300 / YEAR)
    marks = dict(zip(IDS, np.exp(logs[-1] - [move, 0, 0]).tolist(), strict=True))
    one.observe((end + 300) * SECOND, marks)
    after = one.view((end + 300) * SECOND)
    assert after.core_move_sigmas == pytest.approx(8.0)
    assert after.volatility_fast_rising is True
    assert after.stress_ratio > before.stress_ratio
    # Five minutes without a sample later it is old news.
    assert one.view((end + 600) * SECOND).core_move_sigmas is not None
    old = one.view((end + 600) * SECOND + 1)
    assert (old.core_move_sigmas, old.volatility_fast_rising) == (None, None)


def test_an_instrument_that_rises_with_volatility_shows_it():
    # Calm and wild hours take turns; the second instrument moves with the wildness of the core.
    generator = np.random.default_rng(5)
    bars = 12 * 96
    wild = np.where(np.arange(bars) // 12 % 2 == 0, 1e-4, 3e-3)
    core = generator.standard_normal(bars) * wild
    drift = core**2 - np.mean(core**2)
    logs = np.cumsum(np.stack((core, 300 * drift, -300 * drift), axis=1), axis=0)
    one = signals()
    one.warm(candles(logs, 300))
    view = one.view((START + bars * 300) * SECOND)
    assert view.volatility_correlation["ETHUSDT"] > 0.6
    assert view.volatility_correlation["SOLUSDT"] < -0.6


def test_flat_marks_have_no_volatility_and_no_ratio():
    one = signals()
    one.warm(candles(np.zeros((2 * 288, 3)), 300))
    view = one.view((START + 2 * DAY) * SECOND)
    assert view.volatility_slow == {"BTCUSDT": 0.0, "ETHUSDT": 0.0, "SOLUSDT": 0.0}
    assert (view.semivolatility_adverse, view.stress_ratio) == (0.0, None)
    assert (view.correlation, view.beta, view.correlation_core_fast) == ({}, {}, {})
    assert (view.core_move_sigmas, view.correlation_mean_fast) == (None, None)
    assert view.volatility_fast_rising is False


def test_without_the_core_there_is_no_beta():
    table = candles(path(2 * DAY, 300), 300)
    del table["BTCUSDT"]
    one = signals()
    one.warm(table)
    view = one.view((START + 2 * DAY) * SECOND)
    assert set(view.correlation) == {"ETHUSDT", "SOLUSDT"}
    assert (view.beta, view.stress_ratio, view.semivolatility_adverse) == ({}, None, None)
    assert "BTCUSDT" not in view.history_days


def test_beta_is_clipped():
    generator = np.random.default_rng(3)
    core = np.cumsum(generator.standard_normal(600) * 1e-3)
    logs = np.stack((core, 10 * core, -10 * core), axis=1)
    one = signals()
    one.warm(candles(logs, 300))
    beta = one.view((START + 600 * 300) * SECOND).beta
    assert beta == {"BTCUSDT": 1.0, "ETHUSDT": 3.0, "SOLUSDT": -3.0}


def test_bars_as_long_as_the_horizon():
    one = signals(horizon_seconds=900, grid_seconds=900)
    logs = path(10 * DAY, 900)
    observe(one, logs, 900)
    view = one.view((START + 10 * DAY) * SECOND)
    assert view.volatility_slow["BTCUSDT"] == pytest.approx(0.5, rel=0.1)
    assert view.horizon_seconds == 900


def test_every_figure_is_finite(warmed):
    view = warmed.view((START + 30 * DAY + 300) * SECOND)
    numbers = figures(view)
    assert len(numbers) > 30
    assert all(isfinite(number) for number in numbers)


@pytest.mark.parametrize(
    ("core", "sign", "ids", "message"),
    [
        ("BTCUSDT", 0, IDS, "core_sign"),
        ("XRPUSDT", 1, IDS, "the core must be one"),
        ("BTCUSDT", 1, ("BTCUSDT", "BTCUSDT"), "named twice"),
    ],
)
def test_a_wrong_universe_is_our_bug(core, sign, ids, message):
    with pytest.raises(AssertionError, match=message):
        Signals(core, sign, ids, SignalParameters())
