"""Many seeds of one scenario at once: the exchange model's markets with a row per seed.

The moves, books and basis are `exchange.scenarios.stress` itself, given arrays of shape (seeds,
markets); only what is a single figure there (volatility of the common factor, contagion) is one
per seed here. A seed's path does not depend on which seeds are computed with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from counterpoise.domain.units import BPS_PER_ONE, SECONDS_PER_YEAR
from counterpoise.exchange import market
from counterpoise.exchange.constants import Constants, Floats
from counterpoise.exchange.draws import STREAM_STRESS, generator
from counterpoise.exchange.parameters import ExchangeParameters
from counterpoise.exchange.scenarios import stress
from counterpoise.exchange.scenarios.script import Scenario
from counterpoise.exchange.scenarios.stress import StepDraws, StressModel

#: Length of a market step, seconds; faster than books vanish and guards trade.
STEP_SECONDS: Final = 5
#: Steps of one bar.
BAR_STEPS: Final = 3
#: Length of a bar, seconds.
BAR_SECONDS: Final = STEP_SECONDS * BAR_STEPS


@dataclass(frozen=True, slots=True, kw_only=True)
class Markets:
    """What the markets of several seeds did; arrays are (seeds, rows, markets) unless said."""

    seeds: tuple[int, ...]
    #: Marks on the tick grid, quote per base.
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    #: Widest half spread of each bar, bps of mid.
    half_spread_bps: Floats
    #: Thinnest book of each bar, fraction of the calm one.
    depth_fraction: Floats
    #: Mean premium of each bar that cannot be traded away, fraction.
    premium: Floats
    #: Uniform draws in [0, 1) for the scenario's faults, shape (seeds, faults).
    fault_draws: Floats


class _SeededStress(StressModel):
    """`StressModel` with a row per seed."""

    def __init__(
        self, constants: Constants, parameters: ExchangeParameters, scenario: Scenario, count: int
    ) -> None:
        names = tuple(each.instrument.instrument_id for each in parameters.instruments)
        super().__init__(constants, parameters.factor_volatility_annual, scenario, names)
        shape = (count, len(names))
        self._fast = np.zeros((count, 1))
        self._reference = np.tile(self._reference, (count, 1))
        self._leverage = np.ones((2, *shape))
        self.flow, self.basis, self.mark_gap = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self.depth, self.spread = np.ones(shape), np.ones(shape)

    def contagion(self) -> Floats:
        """Return the share of own variance that has become common, one per seed."""
        # Summed along the markets of each seed alone, so that neighbours do not change a bit.
        missing = 1.0 - (self._weights * self.depth).sum(axis=1, keepdims=True)
        shares: Floats = np.clip(1.25 * (missing - 0.1), 0.0, stress.CONTAGION_MAX)
        return shares


class _Walk:
    """The moving part of all seeds."""

    def __init__(
        self, parameters: ExchangeParameters, scenario: Scenario, seeds: Sequence[int], steps: int
    ) -> None:
        self.constants = Constants.of(parameters)
        count, columns = len(seeds), len(parameters.instruments)
        self.stress = _SeededStress(self.constants, parameters, scenario, count)
        draws = [generator(seed, STREAM_STRESS, 0) for seed in seeds]
        self.fault_draws = np.stack([each.random(max(1, len(scenario.faults))) for each in draws])
        start = np.stack([each.standard_normal(1) for each in draws])
        self._normals = np.stack(
            [each.standard_normal((steps, 3 + 3 * columns), dtype=np.float64) for each in draws],
            axis=1,
        )
        self._uniforms = np.stack([each.random((steps, columns)) for each in draws], axis=1)
        self._log_variance = market.LOG_VARIANCE_DEVIATION * start
        self.log_index: Floats = np.tile(np.log(self.constants.price_start), (count, 1))
        self._premium: Floats = np.full((count, columns), market.PREMIUM_MEAN)
        self._basis: Floats = np.full((count, columns), market.PREMIUM_MEAN)
        self._activity: Floats = np.full((count, columns), market.ACTIVITY_START)

    def step(self, number: int) -> tuple[Floats, Floats, Floats, Floats]:
        """Go one step on; return mark, half spread (fraction), depth fraction and premium."""
        constants, model, seconds = self.constants, self.stress, float(STEP_SECONDS)
        columns = self.log_index.shape[1]
        normals = self._normals[number]
        draws = StepDraws(
            factor=normals[:, 1:2],
            fast=normals[:, 2:3],
            own=normals[:, 3 : 3 + columns],
            jump=normals[:, 3 + columns : 3 + 2 * columns],
            jumps=self._uniforms[number],
        )
        moves = model.moves(
            self.log_index,
            self._scale(normals[:, :1], seconds),
            draws,
            market.JUMP_DEVIATION,
            np.zeros_like(self.log_index),
            seconds,
            (number + 1) * seconds,
        )
        self.log_index = self.log_index + moves
        premium = self._follow(moves, normals[:, 3 + 2 * columns :], seconds)
        mark = np.exp(self.log_index + model.mark_gap) * (1.0 + self._basis)
        busy = np.clip(self._activity / market.ACTIVITY_CALM, 1.0, market.STRESS_MAX)
        half = constants.half_spread * np.maximum(busy, model.spread)
        depth = 1.0 / np.maximum(busy, 1.0 / model.depth)
        return mark, np.minimum(half, market.HALF_SPREAD_MAX), depth, premium

    def _scale(self, normal: Floats, seconds: float) -> Floats:
        # As `MarketModel`, one log-variance per seed.
        keep = 0.5 ** (seconds / market.LOG_VARIANCE_HALF_LIFE_SECONDS)
        spread = market.LOG_VARIANCE_DEVIATION * (1.0 - keep * keep) ** 0.5
        self._log_variance = keep * self._log_variance + spread * normal
        level = 0.5 * (self._log_variance - 0.5 * market.LOG_VARIANCE_DEVIATION**2)
        scale: Floats = np.exp(level) * (seconds / SECONDS_PER_YEAR) ** 0.5
        return scale

    def _follow(self, moves: Floats, normals: Floats, seconds: float) -> Floats:
        # Premium, basis and activity follow the index; returns what funding will count.
        keep = 0.5 ** (seconds / market.PREMIUM_HALF_LIFE_SECONDS)
        deviation = market.PREMIUM_DEVIATION * (1.0 - keep * keep) ** 0.5
        mean = market.PREMIUM_MEAN
        self._premium = mean + keep * (self._premium - mean) + deviation * normals
        premium = self._premium + self.stress.basis
        follow = 1.0 - float(np.exp(-seconds / market.BASIS_SECONDS))
        self._basis = self._basis + follow * (premium - self._basis)
        forget = 0.5 ** (seconds / market.ACTIVITY_HALF_LIFE_SECONDS)
        root_year = (seconds / SECONDS_PER_YEAR) ** 0.5
        sigmas = np.abs(moves) / (self.constants.volatility * root_year)
        self._activity = forget * self._activity + (1.0 - forget) * sigmas
        excess = np.maximum(np.abs(premium) - self.constants.half_spread, 0.0)
        counted: Floats = np.sign(premium) * excess
        return counted


def play(
    parameters: ExchangeParameters, scenario: Scenario, seeds: Sequence[int], seconds: float
) -> Markets:
    """Return the markets of the seeds from the opening on, for at least `seconds`."""
    rows = int(-(-seconds // BAR_SECONDS))
    steps = rows * BAR_STEPS
    walk = _Walk(parameters, scenario, seeds, steps)
    shape = (steps, len(seeds), len(parameters.instruments))
    marks = np.empty((steps + 1, *shape[1:]))
    spreads, depths, premiums = np.empty(shape), np.empty(shape), np.empty(shape)
    marks[0] = np.exp(walk.log_index)
    for number in range(steps):
        marks[number + 1], spreads[number], depths[number], premiums[number] = walk.step(number)
    marks = _on_grid(marks, walk.constants.tick)
    inside = np.stack([marks[at : at + steps : BAR_STEPS] for at in range(BAR_STEPS)])
    inside = np.concatenate([inside, marks[BAR_STEPS::BAR_STEPS][None]])
    return Markets(
        seeds=tuple(seeds),
        open=_seeds_first(inside[0]),
        high=_seeds_first(inside.max(axis=0)),
        low=_seeds_first(inside.min(axis=0)),
        close=_seeds_first(inside[-1]),
        half_spread_bps=_seeds_first(_bars(spreads).max(axis=1)) * BPS_PER_ONE,
        depth_fraction=_seeds_first(_bars(depths).min(axis=1)),
        premium=_seeds_first(_bars(premiums).mean(axis=1)),
        fault_draws=walk.fault_draws,
    )


def _on_grid(marks: Floats, ticks: Floats) -> Floats:
    # Divided by whole steps per unit where there are, so that 96400.1 is the float nearest to it.
    units = np.rint(1.0 / ticks)
    whole = np.isclose(units * ticks, 1.0, rtol=1e-12)
    numbers = np.maximum(np.rint(marks / ticks), 1.0)
    return np.where(whole, numbers / np.maximum(units, 1.0), numbers * ticks)


def _bars(values: Floats) -> Floats:
    return values.reshape(-1, BAR_STEPS, *values.shape[1:])


def _seeds_first(values: Floats) -> Floats:
    return np.ascontiguousarray(np.moveaxis(values, 1, 0))
