"""Shrinkage, correlation and absorption of small matrices."""

import numpy as np
import pytest

from counterpoise.signals import covariance


def constant(columns, correlation):
    return np.full((columns, columns), correlation) + (1 - correlation) * np.eye(columns)


def moments(sample):
    count = len(sample)
    return (
        sample.T @ sample / count,
        (sample**2).T @ sample**2 / count,
        (sample**3).T @ sample / count,
    )


def test_correlation_of_covariance():
    matrix = covariance.correlation_of(np.array([[4.0, 3.0], [3.0, 9.0]]))
    assert matrix.tolist() == [[1.0, 0.5], [0.5, 1.0]]
    assert covariance.correlation_of(np.array([[1.0, 2.0], [2.0, 1.0]]))[0, 1] == 1.0


def test_mean_correlation():
    assert covariance.correlation_mean(np.array([[1.0]])) is None
    matrix = np.array([[1, 0.2, 0.4], [0.2, 1, 0.9], [0.4, 0.9, 1]])
    assert covariance.correlation_mean(matrix) == pytest.approx(0.5)


def test_absorption_ratio():
    assert covariance.absorption_ratio(np.array([[1.0]]), 0.2) is None
    assert covariance.absorption_ratio(np.eye(4), 0.2) == pytest.approx(0.25)
    assert covariance.absorption_ratio(np.ones((4, 4)), 0.2) == pytest.approx(1.0)
    # A fifth of ten components are the two largest.
    assert covariance.absorption_ratio(np.diag([5.0, 3.0] + [0.25] * 8), 0.2) == pytest.approx(0.8)


def test_known_columns_give_way_to_earlier_ones():
    known = np.ones((4, 4), dtype=bool)
    products = np.eye(4)
    assert covariance.known_columns(known, products, 3) == [0, 1, 2]
    known[1, 2] = known[2, 1] = False
    assert covariance.known_columns(known, products, 4) == [0, 1, 3]
    products[0, 0] = 0.0
    assert covariance.known_columns(known, products, 4) == [1, 3]
    assert covariance.known_columns(np.zeros((2, 2), dtype=bool), np.eye(2), 2) == []


def test_one_column_has_nothing_to_be_drawn_to():
    one = np.array([[4.0]])
    shrunk = covariance.shrink(one, one, one, 100.0, 0.1)
    assert (shrunk.sigma.tolist(), shrunk.correlation.tolist()) == ([2.0], [[1.0]])
    assert shrunk.intensity == 0.1


def test_two_columns_have_a_constant_correlation_already():
    matrix = np.array([[4.0, 3.0], [3.0, 9.0]])
    shrunk = covariance.shrink(matrix, np.ones((2, 2)), np.ones((2, 2)), 10.0, 0.1)
    assert shrunk.correlation == pytest.approx(np.array([[1.0, 0.5], [0.5, 1.0]]))


def test_few_samples_are_drawn_far_and_many_only_to_the_floor():
    generator = np.random.default_rng(7)
    true = np.array([[1, 0.9, 0.1], [0.9, 1, 0.3], [0.1, 0.3, 1]])
    sample = generator.standard_normal((4_000, 3)) @ np.linalg.cholesky(true).T
    few = covariance.shrink(*moments(sample[:12]), 12, 0.1)
    many = covariance.shrink(*moments(sample), 4_000, 0.1)
    assert few.intensity > 0.2
    assert many.intensity == 0.1
    mean = (0.9 + 0.1 + 0.3) / 3
    assert many.correlation[0, 1] == pytest.approx(0.9 * 0.9 + 0.1 * mean, abs=0.02)
    assert covariance.shrink(*moments(sample), 0.0, 0.1).intensity == 0.1


def test_intensity_by_the_published_sums():
    generator = np.random.default_rng(11)
    scale = np.array([1.0, 2.0, 0.5, 3.0])
    sample = generator.standard_t(5, (200, 4)) * scale
    sample[:, 1] += 1.5 * scale[1] * sample[:, 0]
    count = len(sample)
    measured = sample.T @ sample / count
    sigma = np.sqrt(np.diag(measured))
    correlation = measured / np.outer(sigma, sigma)
    mean = (correlation.sum() - 4) / 12
    pi = rho = gamma = 0.0
    for i in range(4):
        for j in range(4):
            noise = sample[:, i] * sample[:, j] - measured[i, j]
            target = measured[i, i] if i == j else mean * sigma[i] * sigma[j]
            gamma += (target - measured[i, j]) ** 2
            pi += np.mean(noise**2)
            if i == j:
                rho += np.mean(noise**2)
            else:
                own_i = np.mean((sample[:, i] ** 2 - measured[i, i]) * noise)
                own_j = np.mean((sample[:, j] ** 2 - measured[j, j]) * noise)
                rho += mean / 2 * (sigma[j] / sigma[i] * own_i + sigma[i] / sigma[j] * own_j)
    expected = (pi - rho) / gamma / count
    assert 0.0 < expected < 1.0
    shrunk = covariance.shrink(*moments(sample), count, 0.0)
    assert shrunk.intensity == pytest.approx(expected, rel=1e-9)


def test_pairs_that_contradict_each_other_are_mended():
    wrong = np.array([[1, 0.9, 0.9], [0.9, 1, -0.9], [0.9, -0.9, 1]])
    mended = covariance.nearest_correlation(wrong)
    assert np.linalg.eigvalsh(mended)[0] >= -1e-12
    assert np.diag(mended).tolist() == [1.0, 1.0, 1.0]
    assert (mended == mended.T).all()
    assert mended[0, 1] > 0.4
    fine = constant(3, 0.5)
    assert (covariance.nearest_correlation(fine) == fine).all()
