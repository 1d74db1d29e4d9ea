"""Fewer points for a chart, without losing the extremes that matter."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Points of one line at most.
POINTS_MAX: Final = 1_500


def places(count: int, points_max: int = POINTS_MAX) -> NDArray[np.int64]:
    """Return the last place of each of at most `points_max` buckets, the very last included."""
    if count <= points_max:
        return np.arange(count, dtype=np.int64)
    edges = np.linspace(0, count, points_max + 1).astype(np.int64)
    return edges[1:] - 1


def highest(values: Floats, at: NDArray[np.int64]) -> Floats:
    """Return the highest value of each bucket that ends at a place of `at`; NaN = none known."""
    starts = np.concatenate([[0], at[:-1] + 1])
    known = np.where(np.isnan(values), -np.inf, values)
    found: Floats = np.maximum.reduceat(known, starts)
    return np.where(np.isneginf(found), np.nan, found)
