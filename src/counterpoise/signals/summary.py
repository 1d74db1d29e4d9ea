"""From weighted sums to the figures of a view: annualised, named, and only what is known."""

from dataclasses import dataclass
from math import isfinite, sqrt

import numpy as np

from counterpoise.signals import covariance
from counterpoise.signals.ewma import Floats, Moments
from counterpoise.signals.parameters import SignalParameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Combined:
    """What the mean of medium and slow covariance says, after shrinkage."""

    #: Instrument -> instrument -> [-1, 1]; every pair of the instruments in it is there.
    correlation: dict[str, dict[str, float]]
    #: Annualised volatility.
    volatility: dict[str, float]
    #: Slope on the core's return, clipped; empty = the core is not known.
    beta: dict[str, float]


def ratio(numerator: float | None, denominator: float | None) -> float | None:
    """Return numerator / denominator; None = either unknown, or the result is no number."""
    if numerator is None or denominator is None or denominator <= 0.0:
        return None
    result = numerator / denominator
    return result if isfinite(result) else None


class Reading:
    """What one set of sums knows and its means, figured once for all that is read out of them."""

    __slots__ = ("known", "known_rows", "mean_rows", "means", "moments")

    def __init__(self, moments: Moments, known_seconds: float) -> None:
        """Read `moments`; a pair is known with the weight of `known_seconds`."""
        self.moments = moments
        self.known = moments.known(known_seconds)
        self.means = moments.mean(moments.products)
        # Plain lists: single figures are taken out of them, which numpy is slow at.
        self.known_rows: list[list[bool]] = self.known.tolist()
        self.mean_rows: list[list[float]] = self.means.tolist()


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimates:
    """Reads figures out of `Moments` of one universe."""

    #: Instruments in the order of the columns.
    ids: tuple[str, ...]
    #: Column of the core.
    core: int
    parameters: SignalParameters
    #: Return horizons in a year.
    annual: float

    def read(self, moments: Moments) -> Reading:
        """Return what there is to be read out of `moments`."""
        return Reading(moments, self.parameters.known_seconds_min)

    def volatility(self, reading: Reading) -> dict[str, float]:
        """Return annualised volatilities of the known instruments."""
        return {
            name: sqrt(reading.mean_rows[column][column] * self.annual)
            for column, name in enumerate(self.ids)
            if reading.known_rows[column][column]
        }

    def correlation_with(self, reading: Reading, other: int) -> dict[str, float]:
        """Return the correlation of each known instrument with one column, within [-1, 1].

        Each over the samples that both have; the core's with itself is 1.
        """
        known, means = reading.known_rows[other], reading.mean_rows
        own = means[other][other]
        result = {}
        for column, name in enumerate(self.ids):
            scale = means[column][column] * own
            if known[column] and scale > 0.0:
                correlation = means[column][other] / sqrt(scale)
                result[name] = _within(correlation, 1.0)
        return result

    def covariance(self, reading: Reading) -> Floats | None:
        """Return the covariance of the instruments all of whose pairs are known; None = none."""
        products = reading.moments.products
        chosen = covariance.known_columns(reading.known, products, len(self.ids))
        return _block(reading.means, chosen) if chosen else None

    def absorption_ratio(self, measured: Floats | None) -> float | None:
        """Return the share of variance in the first components; None = no pair."""
        if measured is None:
            return None
        return covariance.absorption_ratio(measured, self.parameters.absorption_components)

    def combined(self, medium: Reading, slow: Reading) -> Combined:
        """Return correlation, volatility and beta of the mean of two covariances, shrunk."""
        known = medium.known & slow.known
        chosen = covariance.known_columns(known, medium.moments.products, len(self.ids))
        if not chosen:
            return Combined(correlation={}, volatility={}, beta={})
        horizon = self.parameters.horizon_seconds
        first, second = medium.moments, slow.moments
        shrunk = covariance.shrink(
            _block((medium.means + slow.means) / 2.0, chosen),
            _block(_mean_of(first, second, first.squares, second.squares), chosen),
            _block(_mean_of(first, second, first.cubes, second.cubes), chosen),
            _windows(first.windows(horizon), second.windows(horizon)),
            self.parameters.shrinkage_floor,
        )
        names = [self.ids[column] for column in chosen]
        sigma = dict(zip(names, shrunk.sigma.tolist(), strict=True))
        correlation = {
            name: dict(zip(names, row, strict=True))
            for name, row in zip(names, shrunk.correlation.tolist(), strict=True)
        }
        root = sqrt(self.annual)
        return Combined(
            correlation=correlation,
            volatility={name: value * root for name, value in sigma.items()},
            beta=self._beta(correlation, sigma),
        )

    def _beta(
        self, correlation: dict[str, dict[str, float]], sigma: dict[str, float]
    ) -> dict[str, float]:
        core_id = self.ids[self.core]
        if core_id not in sigma:
            return {}
        clip, with_core, core = self.parameters.beta_clip, correlation[core_id], sigma[core_id]
        beta = {
            name: _within(with_core[name] * value / core, clip) for name, value in sigma.items()
        }
        beta[core_id] = 1.0
        return beta


def _within(value: float, bound: float) -> float:
    # Written out: two calls of built-in functions take three times as long.
    if -bound <= value <= bound:
        return value
    return bound if value > bound else -bound


def _block(matrix: Floats, chosen: list[int]) -> Floats:
    if len(chosen) == chosen[-1] + 1:
        return np.ascontiguousarray(matrix[: len(chosen), : len(chosen)])
    return matrix[np.ix_(chosen, chosen)]


def _mean_of(
    medium: Moments, slow: Moments, sums_medium: Floats | None, sums_slow: Floats | None
) -> Floats:
    assert sums_medium is not None, "the medium moments keep fourth moments"
    assert sums_slow is not None, "the slow moments keep fourth moments"
    mean: Floats = (medium.mean(sums_medium) + slow.mean(sums_slow)) / 2.0
    return mean


def _windows(medium: float, slow: float) -> float:
    # Independent samples behind a mean of two estimates of the same stream: the noise of the two
    # is taken as fully shared, which never claims more than there is.
    assert medium > 0.0, "a known pair has medium weight"
    assert slow > 0.0, "a known pair has slow weight"
    return (2.0 / (1.0 / sqrt(medium) + 1.0 / sqrt(slow))) ** 2
