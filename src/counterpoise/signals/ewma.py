"""Exponentially weighted means in elapsed time.

A sample that speaks for `span` seconds has the weight 1 - 0.5^(span / half-life) and loses half of
it every half-life. The weights of an unbroken stream therefore add up to 1 - 0.5^(T / half-life)
whatever the grid, and a grid of any step gives the same answer.
"""

from dataclasses import dataclass
from math import exp, expm1, log
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

#: Vectors and matrices of statistics.
Floats = NDArray[np.float64]

_LN2: Final = log(2.0)


def weight_after(seconds: float, half_life_seconds: float) -> float:
    """Return the weights' sum after `seconds` of unbroken samples, [0, 1)."""
    return -expm1(-_LN2 * seconds / half_life_seconds)


class Ewma:
    """The weighted mean of one figure."""

    __slots__ = ("_half_life_seconds", "_total", "weight")

    def __init__(self, half_life_seconds: float) -> None:
        """Start without a sample."""
        assert half_life_seconds > 0, "half_life_seconds must be positive"
        self._half_life_seconds = half_life_seconds
        self._total = 0.0
        #: Sum of the weights, [0, 1).
        self.weight = 0.0

    def update(self, elapsed_seconds: float, span_seconds: float, value: float | None) -> None:
        """Let time pass, then add a sample; None = missing, only time passes."""
        decay = exp(-_LN2 * elapsed_seconds / self._half_life_seconds)
        self._total *= decay
        self.weight *= decay
        if value is not None:
            weight = weight_after(span_seconds, self._half_life_seconds)
            self._total += weight * value
            self.weight += weight

    def mean(self, weight_min: float) -> float | None:
        """Return the mean; None = less weight than asked for."""
        if self.weight <= 0.0 or self.weight < weight_min:
            return None
        return self._total / self.weight


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Some consecutive samples of all columns, oldest first."""

    #: Seconds from the sample before to each sample, shape (rows,).
    elapsed_seconds: Floats
    #: Seconds each sample speaks for, shape (rows,).
    span_seconds: Floats
    #: Values, 0 where missing, shape (rows, columns).
    values: Floats
    #: 1 where there is a value, 0 where it is missing; None = no value is missing.
    present: Floats | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Weighted sums of products of columns, without means taken off.

    Immutable: `after` returns the sums with a block added, so that a view can look ahead without
    changing how the sums are rounded later. A sample's cost does not depend on how much history
    there is; a block is one symmetric rank-k update.
    """

    half_life_seconds: float
    #: Sum of weights of the samples where both columns are present, shape (columns, columns).
    weights: Floats
    #: Weighted sum of x_i x_j.
    products: Floats
    #: Weighted sum of x_i^2 x_j^2; None = not kept.
    squares: Floats | None
    #: Weighted sum of x_i^3 x_j, row i, column j; None = not kept.
    cubes: Floats | None
    #: Sum of the samples' weights, any column present.
    weight_sum: float
    #: Sum of the samples' squared weights / the seconds they speak for.
    weight_noise: float

    @classmethod
    def empty(cls, columns: int, half_life_seconds: float, *, fourth: bool) -> Self:
        """Return sums of no samples; `fourth` = keep fourth moments too."""
        assert half_life_seconds > 0, "half_life_seconds must be positive"
        zeros = np.zeros((columns, columns))
        return cls(
            half_life_seconds=half_life_seconds,
            weights=zeros,
            products=zeros,
            squares=zeros if fourth else None,
            cubes=zeros if fourth else None,
            weight_sum=0.0,
            weight_noise=0.0,
        )

    def after(self, block: Block) -> "Moments":
        """Return the sums with the block's samples added."""
        elapsed = float(block.elapsed_seconds.sum())
        ages = elapsed - np.cumsum(block.elapsed_seconds)
        rate = _LN2 / self.half_life_seconds
        weights = -np.expm1(-rate * block.span_seconds) * np.exp(-rate * ages)
        decay = exp(-rate * elapsed)
        counted = weights
        if block.present is None:
            added: Floats | float = float(weights.sum())
        else:
            added = (block.present * weights[:, None]).T @ block.present
            counted = weights * block.present.any(axis=1)
        scaled = block.values * np.sqrt(weights)[:, None]
        squares = cubes = None
        if self.squares is not None and self.cubes is not None:
            squared = block.values * scaled
            squares = decay * self.squares + squared.T @ squared
            cubes = decay * self.cubes + (block.values * squared).T @ scaled
        noise = np.divide(
            counted * counted,
            block.span_seconds,
            out=np.zeros_like(counted),
            where=block.span_seconds > 0.0,
        )
        return Moments(
            half_life_seconds=self.half_life_seconds,
            weights=decay * self.weights + added,
            products=decay * self.products + scaled.T @ scaled,
            squares=squares,
            cubes=cubes,
            weight_sum=decay * self.weight_sum + float(counted.sum()),
            weight_noise=decay * decay * self.weight_noise + float(noise.sum()),
        )

    def known(self, known_seconds: float) -> NDArray[np.bool_]:
        """Tell which pairs have the weight of that many seconds, shape (columns, columns)."""
        # A hair of room, so that rounding of the sum does not cost a sample.
        weight_min = weight_after(known_seconds, self.half_life_seconds) * (1.0 - 1e-9)
        return self.weights >= weight_min

    def windows(self, horizon_seconds: float) -> float:
        """Return how many non-overlapping returns the weights are worth; 0 = no sample."""
        if self.weight_noise <= 0.0:
            return 0.0
        return self.weight_sum**2 / (self.weight_noise * horizon_seconds)

    def mean(self, sums: Floats) -> Floats:
        """Return weighted means of one of the sums, 0 where a pair was never seen."""
        if self.weights.all():
            means: Floats = sums / self.weights
            return means
        return np.divide(sums, self.weights, out=np.zeros_like(sums), where=self.weights > 0.0)
