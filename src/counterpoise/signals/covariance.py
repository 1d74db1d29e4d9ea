"""What covariance matrices say: correlation, shrinkage, and how much moves as one."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from counterpoise.signals.ewma import Floats

#: Smallest eigenvalue a correlation matrix is left with.
EIGENVALUE_MIN: Final = 1e-12

#: A correlation that stays positive definite with this taken off its diagonal needs no mending; far
#: above the rounding of a factorisation, which costs a tenth of the eigenvalues.
_SURE: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrunk:
    """A covariance drawn toward constant correlation."""

    #: Standard deviation per column, per return horizon.
    sigma: Floats
    #: Correlation: symmetric, unit diagonal, positive semi-definite.
    correlation: Floats
    #: How far it was drawn, fraction: 0 = as measured, 1 = constant correlation.
    intensity: float


def known_columns(known: NDArray[np.bool_], products: Floats, columns: int) -> list[int]:
    """Return the columns, in order, all of whose pairs among each other are known and vary.

    A later column gives way where its pair with an earlier one is unknown.
    """
    if known[:columns, :columns].all() and (np.diagonal(products)[:columns] > 0.0).all():
        return list(range(columns))
    chosen: list[int] = []
    for column in range(columns):
        if products[column, column] > 0.0 and known[column, column] and known[column, chosen].all():
            chosen.append(column)
    return chosen


def correlation_of(covariance: Floats) -> Floats:
    """Return the correlation of a covariance with a positive diagonal, within [-1, 1]."""
    sigma = np.sqrt(np.diagonal(covariance))
    correlation: Floats = np.clip(covariance / np.outer(sigma, sigma), -1.0, 1.0)
    np.fill_diagonal(correlation, 1.0)
    return correlation


def correlation_mean(correlation: Floats) -> float | None:
    """Return the mean of all pairs; None = no pair."""
    columns = len(correlation)
    if columns < 2:
        return None
    return (float(correlation.sum()) - columns) / (columns * (columns - 1))


def absorption_ratio(covariance: Floats, components: float) -> float | None:
    """Return the share of variance in the first `components` (fraction) of principal components.

    At least one component is taken; None = fewer than two columns.
    Source: Kritzman et al., "Principal Components as a Measure of Systemic Risk" (2011).
    """
    columns = len(covariance)
    if columns < 2:
        return None
    eigenvalues = np.linalg.eigvalsh(covariance)
    taken = max(1, int(columns * components))
    share = float(eigenvalues[-taken:].sum()) / float(np.trace(covariance))
    return min(1.0, max(0.0, share))


def shrink(
    covariance: Floats, squares: Floats, cubes: Floats, windows: float, floor: float
) -> Shrunk:
    """Draw a covariance toward the one with the same variances and its mean correlation.

    `squares` and `cubes` are the means of x_i^2 x_j^2 and x_i^3 x_j, `windows` the number of
    independent samples behind them; the intensity is within [floor, 1].
    Source: Ledoit, Wolf, "Honey, I Shrunk the Sample Covariance Matrix" (2004), appendix B.
    """
    variance = np.diagonal(covariance)
    sigma = np.sqrt(variance)
    correlation = correlation_of(covariance)
    mean = correlation_mean(correlation)
    if mean is None:
        return Shrunk(sigma=sigma, correlation=correlation, intensity=floor)
    target = mean * np.outer(sigma, sigma)
    np.fill_diagonal(target, variance)
    # How uncertain the measured covariances are, and how much of that the target shares.
    uncertain = squares - covariance**2
    shared = (cubes - variance[:, None] * covariance) * np.outer(1.0 / sigma, sigma)
    np.fill_diagonal(shared, 0.0)
    excess = float(uncertain.sum() - np.trace(uncertain)) - mean * float(shared.sum())
    distance = float(((target - covariance) ** 2).sum())
    intensity = floor
    if distance > 0.0 and windows > 0.0:
        intensity = min(1.0, max(floor, excess / distance / windows))
    drawn = intensity * mean + (1.0 - intensity) * correlation
    np.fill_diagonal(drawn, 1.0)
    return Shrunk(sigma=sigma, correlation=nearest_correlation(drawn), intensity=intensity)


def nearest_correlation(correlation: Floats) -> Floats:
    """Return a positive semi-definite correlation close to a symmetric one.

    Pairs measured over different samples may contradict each other; the negative eigenvalues that
    shows in are raised and the diagonal is made 1 again.
    """
    correlation = (correlation + correlation.T) / 2.0
    try:
        np.linalg.cholesky(correlation - _SURE * np.identity(len(correlation)))
    except np.linalg.LinAlgError:
        pass
    else:
        return correlation
    eigenvalues, vectors = np.linalg.eigh(correlation)
    if eigenvalues[0] >= EIGENVALUE_MIN:
        return correlation
    raised = (vectors * np.maximum(eigenvalues, 2.0 * EIGENVALUE_MIN)) @ vectors.T
    return correlation_of((raised + raised.T) / 2.0)
