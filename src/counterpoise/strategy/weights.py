"""Standardised minimum-variance hedge weights (section 4), in plain arithmetic.

b = sigma_core * D^-1 (R_hh + ridge I)^-1 rho_hc with D = diag(sigma_h): the ridge works on
correlations, so that it means the same for a quiet and for a wild instrument.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from counterpoise.signals.view import SignalsView
from counterpoise.strategy.parameters import StrategyParameters

#: A leg's volatility counts as at least this part of the core's. What hardly moves would need many
#: times the core's notional to offset it, and would take the leverage of everything else.
VOLATILITY_PART_MIN: Final = 0.1


def minimum_variance(
    legs: Sequence[str],
    sides: Mapping[str, int],
    signals: SignalsView,
    parameters: StrategyParameters,
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return (weight per leg, legs dropped for their wrong sign).

    A weight b is hedge notional per unit of core notional, the hedge being -C b. A leg whose -C b
    would stand on the other side than `sides` says is dropped and the rest solved again, at most
    once per leg. Every signal of `legs` must be known.
    """
    core, side = parameters.core_instrument, parameters.side
    left = list(legs)
    dropped: list[str] = []
    while left:
        weights = _solve_for(left, core, signals, parameters.ridge)
        wrong = [leg for leg in left if weights[leg] * -side * sides[leg] <= 0]
        if not wrong:
            return weights, tuple(dropped)
        dropped += wrong
        left = [leg for leg in left if leg not in wrong]
    return {}, tuple(dropped)


def solve(matrix: Sequence[Sequence[float]], vector: Sequence[float]) -> list[float]:
    """Return x of matrix x = vector by Gaussian elimination with row pivoting.

    The matrix is square and, by its ridge, not singular; ZeroDivisionError if it is all the same.
    """
    size = len(vector)
    rows = [[*map(float, matrix[i]), float(vector[i])] for i in range(size)]
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: (abs(rows[row][column]), -row))
        rows[column], rows[pivot] = rows[pivot], rows[column]
        for row in range(column + 1, size):
            factor = rows[row][column] / rows[column][column]
            for index in range(column, size + 1):
                rows[row][index] -= factor * rows[column][index]
    result = [0.0] * size
    for row in range(size - 1, -1, -1):
        left = rows[row][size]
        for index in range(row + 1, size):
            left -= rows[row][index] * result[index]
        result[row] = left / rows[row][row]
    return result


def _solve_for(
    legs: Sequence[str], core: str, signals: SignalsView, ridge: float
) -> dict[str, float]:
    # Two legs of unknown correlation count as one and the same: the smaller hedge.
    correlation = signals.correlation
    matrix = [
        [1.0 + ridge if row == column else correlation[row].get(column, 1.0) for column in legs]
        for row in legs
    ]
    solution = solve(matrix, [correlation[leg][core] for leg in legs])
    core_volatility = signals.volatility_covariance[core]
    least = VOLATILITY_PART_MIN * core_volatility
    return {
        leg: core_volatility / max(signals.volatility_covariance[leg], least) * value
        for leg, value in zip(legs, solution, strict=True)
    }
