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

    def volatility(self, moments: Moments) -> dict[str, float]:
        """Return annualised volatilities of the known instruments."""
        known = np.diagonal(moments.known(self.parameters.known_seconds_min)).tolist()
        variance = np.diagonal(moments.mean(moments.products)).tolist()
        return {
            name: sqrt(variance[column] * self.annual)
            for column, name in enumerate(self.ids)
            if known[column]
        }

    def correlation_with(self, moments: Moments, other: int) -> dict[str, float]:
        """Return the correlation of each known instrument with one column, within [-1, 1].

        Each over the samples that both have; the core's with itself is 1.
        """
        known = moments.known(self.parameters.known_seconds_min)[other].tolist()
        means = moments.mean(moments.products)
        result = {}
        for column, name in enumerate(self.ids):
            scale = float(means[column, column] * means[other, other])
            if known[column] and scale > 0.0:
                correlation = float(means[column, other]) / sqrt(scale)
                result[name] = max(-1.0, min(1.0, correlation))
        return result

    def correlation_mean(self, moments: Moments) -> float | None:
        """Return the mean pairwise correlation of the known instruments; None = no pair."""
        measured = self._covariance(moments)
        if measured is None:
            return None
        return covariance.correlation_mean(covariance.correlation_of(measured))

    def absorption_ratio(self, moments: Moments) -> float | None:
        """Return the share of variance in the first components; None = no pair."""
        measured = self._covariance(moments)
        if measured is None:
            return None
        return covariance.absorption_ratio(measured, self.parameters.absorption_components)

    def combined(self, medium: Moments, slow: Moments) -> Combined:
        """Return correlation, volatility and beta of the mean of two covariances, shrunk."""
        known = medium.known(self.parameters.known_seconds_min)
        known &= slow.known(self.parameters.known_seconds_min)
        chosen = covariance.known_columns(known, medium.products, len(self.ids))
        if not chosen:
            return Combined(correlation={}, volatility={}, beta={})
        block = np.ix_(chosen, chosen)
        horizon = self.parameters.horizon_seconds
        shrunk = covariance.shrink(
            _mean_of(medium, slow, medium.products, slow.products)[block],
            _mean_of(medium, slow, medium.squares, slow.squares)[block],
            _mean_of(medium, slow, medium.cubes, slow.cubes)[block],
            _windows(medium.windows(horizon), slow.windows(horizon)),
            self.parameters.shrinkage_floor,
        )
        names = [self.ids[column] for column in chosen]
        table = shrunk.correlation.tolist()
        sigma = dict(zip(names, shrunk.sigma.tolist(), strict=True))
        correlation = {
            name: dict(zip(names, row, strict=True)) for name, row in zip(names, table, strict=True)
        }
        return Combined(
            correlation=correlation,
            volatility={name: value * sqrt(self.annual) for name, value in sigma.items()},
            beta=self._beta(correlation, sigma),
        )

    def _beta(
        self, correlation: dict[str, dict[str, float]], sigma: dict[str, float]
    ) -> dict[str, float]:
        core_id = self.ids[self.core]
        if core_id not in sigma:
            return {}
        clip = self.parameters.beta_clip
        beta = {
            name: max(-clip, min(clip, correlation[core_id][name] * value / sigma[core_id]))
            for name, value in sigma.items()
        }
        beta[core_id] = 1.0
        return beta

    def _covariance(self, moments: Moments) -> Floats | None:
        # Of the instruments all of whose pairs are known; None = none are.
        known = moments.known(self.parameters.known_seconds_min)
        chosen = covariance.known_columns(known, moments.products, len(self.ids))
        if not chosen:
            return None
        return moments.mean(moments.products)[np.ix_(chosen, chosen)]


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
