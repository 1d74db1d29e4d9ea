"""How good the best of many looks by luck alone.

Sharpe ratios here are per day, without a risk-free rate, of daily returns.
"""

from itertools import combinations
from math import e, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kurtosis, norm, skew

Floats = NDArray[np.float64]

#: Blocks of time that are split in all ways into halves: 12 give 924 splits.
BLOCKS: Final = 12
#: Days in a block below which the split says nothing.
BLOCK_DAYS_MIN: Final = 2

_EULER_MASCHERONI: Final = 0.5772156649015329


def sharpe(returns: Floats) -> float:
    """Return mean / standard deviation (n - 1); 0 where nothing varies."""
    if len(returns) < 2:
        return 0.0
    deviation = float(returns.std(ddof=1))
    return float(returns.mean()) / deviation if deviation > 0.0 else 0.0


def sharpe_expected_max(sharpes: Floats) -> float:
    """Return the highest Sharpe ratio to expect of these trials if none had any skill.

    sqrt(V) x ((1 - g) Z(1 - 1/N) + g Z(1 - 1/(N e))), V the variance of the trials' ratios, Z the
    normal quantile, g the Euler-Mascheroni constant. Source: Bailey and Lopez de Prado, "The
    Deflated Sharpe Ratio", Journal of Portfolio Management 40 (5), 2014. 0 for a single trial.
    """
    count = len(sharpes)
    if count < 2:
        return 0.0
    weights = (1.0 - _EULER_MASCHERONI) * norm.ppf(1.0 - 1.0 / count)
    weights += _EULER_MASCHERONI * norm.ppf(1.0 - 1.0 / (count * e))
    return float(sqrt(float(sharpes.var(ddof=1))) * weights)


def sharpe_probability(returns: Floats, benchmark: float) -> float | None:
    """Return the probability that the true Sharpe ratio is above `benchmark`.

    With the expected maximum of all trials as benchmark this is the deflated Sharpe ratio. None =
    too few days, or nothing varies.
    """
    count = len(returns)
    if count < 3 or float(returns.std()) == 0.0:
        return None
    lean, tails = float(skew(returns)), float(kurtosis(returns, fisher=False))
    return probability_above(sharpe(returns), benchmark, lean, tails, count)


def probability_above(
    ratio: float, benchmark: float, skewness: float, tails: float, days: int
) -> float | None:
    """Return Phi((SR - benchmark) sqrt(T - 1) / sqrt(1 - s SR + (k - 1)/4 SR^2)).

    s skewness, k kurtosis (`tails`, 3 for a normal), T days. Source: as `sharpe_expected_max`.
    None = the variance of the estimate comes out as none, which no real returns give.
    """
    spread = 1.0 - skewness * ratio + (tails - 1.0) / 4.0 * ratio * ratio
    if spread <= 0.0:
        return None
    return float(norm.cdf((ratio - benchmark) * sqrt(days - 1) / sqrt(spread)))


def overfitting_probability(returns: Floats, blocks: int = BLOCKS) -> float | None:
    """Return how often the best set of one half of the time is below the median in the other.

    `returns` has one row per day and one column per set. Combinatorially symmetric
    cross-validation: the days are cut into an even number of blocks, every half of them is train
    and the rest test. Source: Bailey, Borwein, Lopez de Prado and Zhu, "The Probability of
    Backtest Overfitting", Journal of Computational Finance 20 (4), 2016. 0.5 and more = the
    ranking is luck. None = too few days or sets.
    """
    days, sets = returns.shape
    length = days // blocks
    if sets < 2 or length < BLOCK_DAYS_MIN:
        return None
    parts = returns[: length * blocks].reshape(blocks, length, sets)
    sums, squares = parts.sum(axis=1), (parts**2).sum(axis=1)
    chosen = np.array(list(combinations(range(blocks), blocks // 2)))
    inside = np.zeros((len(chosen), blocks))
    np.put_along_axis(inside, chosen, 1.0, axis=1)
    half = length * (blocks // 2)
    train = _sharpes(inside @ sums, inside @ squares, half)
    test = _sharpes((1.0 - inside) @ sums, (1.0 - inside) @ squares, half)
    best = train.argmax(axis=1)
    reached = np.take_along_axis(test, best[:, None], axis=1)
    # Relative rank with ties in the middle, inside (0, 1).
    below = (test < reached).sum(axis=1) + 0.5 * ((test == reached).sum(axis=1) - 1)
    rank = (below + 1.0) / (sets + 1.0)
    return float((rank <= 0.5).mean())


def _sharpes(sums: Floats, squares: Floats, count: int) -> Floats:
    means = sums / count
    variances = np.maximum(squares / count - means**2, 0.0)
    ratios: Floats = np.divide(
        means, np.sqrt(variances), out=np.zeros_like(means), where=variances > 0.0
    )
    return ratios
