"""The rolling state equals the batch formula, on any grid and however the stream is split."""

from itertools import pairwise
from math import isfinite, log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoise.signals import covariance
from counterpoise.signals.parameters import SignalParameters
from counterpoise.signals.state import Signals

SECOND = 1_000_000_000
START = 19_700 * 86_400
YEAR = 365 * 86_400
IDS = ("A", "B", "C")
HORIZON = 300
PARAMETERS = SignalParameters(grid_seconds=60, known_seconds_min=60)


def stream(seed, rows, missing, hole):
    """Return times (s) and log marks with NaN where missing, with some rows left out."""
    generator = np.random.default_rng(seed)
    shared = generator.standard_t(4, (rows, 1))
    logs = np.cumsum((shared + generator.standard_t(4, (rows, 3))) * 1e-3, axis=0)
    logs[generator.random((rows, 3)) < missing] = np.nan
    times = START + 60 * np.arange(rows)
    keep = np.ones(rows, dtype=bool)
    keep[rows // 2 : rows // 2 + hole] = False
    keep &= ~np.isnan(logs).all(axis=1)
    return times[keep], logs[keep]


def feed(one, times, logs):
    for time, row in zip(times.tolist(), logs, strict=True):
        marks = {
            name: float(np.exp(value))
            for name, value in zip(IDS, row, strict=True)
            if not np.isnan(value)
        }
        one.observe(time * SECOND, marks)


def batch_returns(times, logs):
    """Return each sample's returns the slow way: NaN without a start within one grid step."""
    by_time = dict(zip(times.tolist(), logs, strict=True))
    result = np.full_like(logs, np.nan)
    for row, time in enumerate(times.tolist()):
        for column in range(logs.shape[1]):
            for start in (time - HORIZON, time - HORIZON - 60, time - HORIZON + 60):
                if start in by_time and not np.isnan(by_time[start][column]):
                    result[row, column] = logs[row, column] - by_time[start][column]
                    break
    return result


def batch_covariance(times, returns, half_life_hours):
    """Return weighted means of products over the samples both columns have."""
    half_life = half_life_hours * 3_600
    spans = np.minimum(np.diff(times, prepend=times[0]), HORIZON)
    weights = (1 - 0.5 ** (spans / half_life)) * 0.5 ** ((times[-1] - times) / half_life)
    result = np.full((3, 3), np.nan)
    for i in range(3):
        for j in range(3):
            both = ~np.isnan(returns[:, i]) & ~np.isnan(returns[:, j])
            if both.any():
                product = returns[both, i] * returns[both, j]
                result[i, j] = np.sum(weights[both] * product) / np.sum(weights[both])
    return result


STREAMS = st.builds(
    stream,
    st.integers(min_value=0, max_value=2**32 - 1),
    st.integers(min_value=30, max_value=260),
    st.sampled_from([0.0, 0.0, 0.1, 0.5]),
    st.sampled_from([0, 0, 1, 20]),
)


@settings(max_examples=60, deadline=None)
@given(STREAMS, st.sampled_from([1, -1]))
def test_rolling_equals_batch(sampled, sign):
    times, logs = sampled
    one = Signals("A", sign, IDS, PARAMETERS)
    feed(one, times, logs)
    view = one.view(int(times[-1]) * SECOND)
    returns = batch_returns(times, logs)
    annual = YEAR / HORIZON
    for hours, volatility in (
        (3.0, view.volatility_fast),
        (24.0, view.volatility_medium),
        (240.0, view.volatility_slow),
    ):
        expected = batch_covariance(times, returns, hours)
        for column, name in enumerate(IDS):
            if name in volatility:
                variance = expected[column, column]
                assert volatility[name] == pytest.approx(sqrt(variance * annual), rel=1e-9)
    for hours, correlations in (
        (3.0, view.correlation_core_fast),
        (24.0, view.correlation_core_medium),
    ):
        expected = batch_covariance(times, returns, hours)
        for column, name in enumerate(IDS):
            if name in correlations:
                scale = sqrt(expected[0, 0] * expected[column, column])
                clipped = max(-1.0, min(1.0, expected[0, column] / scale))
                assert correlations[name] == pytest.approx(clipped, rel=1e-9, abs=1e-9)
    if view.semivolatility_adverse is not None:
        core = returns[:, :1]
        against = np.where(sign * core < 0, core, np.where(np.isnan(core), np.nan, 0.0))
        adverse = batch_covariance(times, np.repeat(against, 3, axis=1), 6.0)[0, 0]
        assert view.semivolatility_adverse == pytest.approx(sqrt(2 * adverse * annual), rel=1e-9)
    if len(view.volatility_covariance) == 3:
        mean = (
            batch_covariance(times, returns, 24.0) + batch_covariance(times, returns, 240.0)
        ) / 2
        for column, name in enumerate(IDS):
            expected_volatility = sqrt(mean[column, column] * annual)
            assert view.volatility_covariance[name] == pytest.approx(expected_volatility, rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(STREAMS)
def test_correlations_are_correlations_and_all_is_finite(sampled):
    times, logs = sampled
    one = Signals("A", 1, IDS, PARAMETERS)
    feed(one, times, logs)
    view = one.view(int(times[-1]) * SECOND)
    names = list(view.correlation)
    matrix = np.array([[view.correlation[row][column] for column in names] for row in names])
    if names:
        assert (matrix == matrix.T).all()
        assert (np.diag(matrix) == 1.0).all()
        assert (np.abs(matrix) <= 1.0).all()
        assert np.linalg.eigvalsh(matrix)[0] >= -1e-12
    for table in (
        view.beta,
        view.volatility_fast,
        view.correlation_core_fast,
        view.correlation_core_medium,
        view.volatility_correlation,
        view.correlation_daily_stdev,
        view.history_days,
    ):
        assert all(isfinite(value) for value in table.values())
    assert all(abs(value) <= 3.0 for value in view.beta.values())
    assert view.absorption_ratio is None or 0.0 <= view.absorption_ratio <= 1.0
    assert view.core_move_sigmas is None or view.core_move_sigmas >= 0.0


@settings(max_examples=30, deadline=None)
@given(STREAMS, st.lists(st.integers(min_value=0, max_value=259), max_size=5))
def test_a_split_stream_gives_the_same_view(sampled, cuts):
    times, logs = sampled
    whole, split = Signals("A", 1, IDS, PARAMETERS), Signals("A", 1, IDS, PARAMETERS)
    feed(whole, times, logs)
    edges = [0, *sorted(cut for cut in cuts if cut < len(times)), len(times)]
    for left, right in pairwise(edges):
        feed(split, times[left:right], logs[left:right])
        split.view(int(times[-1]) * SECOND)
    assert whole.view(int(times[-1]) * SECOND) == split.view(int(times[-1]) * SECOND)


@settings(max_examples=20, deadline=None)
@given(STREAMS)
def test_candles_and_marks_on_the_same_grid_are_the_same_stream(sampled):
    times, logs = sampled
    live, warmed = Signals("A", 1, IDS, PARAMETERS), Signals("A", 1, IDS, PARAMETERS)
    feed(live, times, logs)
    warmed.warm(
        {
            name: [
                ((int(time) - 60) * SECOND, 60, float(np.exp(value)))
                for time, value in zip(times, logs[:, column], strict=True)
                if not np.isnan(value)
            ]
            for column, name in enumerate(IDS)
        }
    )
    now = int(times[-1]) * SECOND
    assert warmed.view(now).volatility_fast == live.view(now).volatility_fast
    assert warmed.view(now).correlation == live.view(now).correlation


@pytest.mark.parametrize("step", [15, 60, 300])
def test_any_grid_gives_the_same_answer(step):
    generator = np.random.default_rng(42)
    true = np.array([[1, 0.8, 0.4], [0.8, 1, 0.5], [0.4, 0.5, 1]])
    shocks = generator.standard_normal((4 * 86_400 // 15, 3)) @ np.linalg.cholesky(true).T
    logs = np.cumsum(shocks * 0.6 * sqrt(15 / YEAR), axis=0)
    times = START + 15 * np.arange(len(logs))
    reference = Signals("A", 1, IDS, SignalParameters(grid_seconds=15))
    feed(reference, times, logs)
    coarse = Signals("A", 1, IDS, SignalParameters(grid_seconds=step))
    feed(coarse, times[:: step // 15], logs[:: step // 15])
    now = int(times[-1]) * SECOND
    fine_view, view = reference.view(now), coarse.view(now)
    for name in IDS:
        assert view.volatility_medium[name] == pytest.approx(
            fine_view.volatility_medium[name], rel=0.05
        )
        assert view.volatility_medium[name] == pytest.approx(0.6, rel=0.1)
        assert view.correlation_core_medium[name] == pytest.approx(
            fine_view.correlation_core_medium[name], abs=0.04
        )
    assert log(view.stress_ratio) == pytest.approx(log(fine_view.stress_ratio), abs=0.15)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(min_value=0, max_value=2**32 - 1),
    st.integers(min_value=2, max_value=8),
    st.floats(min_value=0.0, max_value=1.0),
)
def test_any_symmetric_matrix_is_mended_to_a_correlation(seed, columns, floor):
    generator = np.random.default_rng(seed)
    wrong = generator.uniform(-1, 1, (columns, columns))
    wrong = (wrong + wrong.T) / 2
    np.fill_diagonal(wrong, 1.0)
    mended = covariance.nearest_correlation(wrong)
    assert np.linalg.eigvalsh(mended)[0] >= -1e-12
    assert (mended == mended.T).all()
    assert (np.diag(mended) == 1.0).all()
    sample = generator.standard_normal((columns + 5, columns))
    count = len(sample)
    shrunk = covariance.shrink(
        sample.T @ sample / count,
        (sample**2).T @ sample**2 / count,
        (sample**3).T @ sample / count,
        count,
        floor,
    )
    assert floor <= shrunk.intensity <= 1.0
    assert np.linalg.eigvalsh(shrunk.correlation)[0] >= -1e-12
