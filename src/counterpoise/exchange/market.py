"""Prices of all markets, step by step, in floats; `background` puts them on the grids.

Log returns follow one common factor with stochastic volatility, a part of their own and small
jumps. The draws of a step are a pure function of the seed and the step's number (a counter-based
generator), so no generator state has to be carried from step to step. A scenario replaces how the
index moves and adds how books, basis and mark behave under stress; without one they are calm.
"""

from typing import Any, Final

import numpy as np

from counterpoise.domain.units import (
    NS_PER_MS,
    NS_PER_SECOND,
    SECONDS_PER_DAY,
    SECONDS_PER_YEAR,
)
from counterpoise.exchange.background import Background, MarketFrame, Standing
from counterpoise.exchange.constants import Constants, Floats
from counterpoise.exchange.draws import STREAM_LIVE, generator
from counterpoise.exchange.parameters import ExchangeParameters
from counterpoise.exchange.scenarios.bars import BarPath
from counterpoise.exchange.scenarios.script import Scenario
from counterpoise.exchange.scenarios.stress import StepDraws, StressModel

#: Log-variance of the common factor: long-run standard deviation and half-life.
LOG_VARIANCE_DEVIATION: Final = 0.6
LOG_VARIANCE_HALF_LIFE_SECONDS: Final = 8 * 3600.0
#: Premium of the perpetual over its index: mean, deviation (fractions) and half-life.
PREMIUM_MEAN: Final = 0.00003
PREMIUM_DEVIATION: Final = 0.0002
PREMIUM_HALF_LIFE_SECONDS: Final = 600.0
#: The mark follows the premium with this time constant.
BASIS_SECONDS: Final = 30.0
#: Jumps per market and day, and the deviation of one (fraction).
JUMPS_PER_DAY: Final = 4.0
JUMP_DEVIATION: Final = 0.002
#: Recent absolute moves, in standard deviations, are averaged with this half-life.
ACTIVITY_HALF_LIFE_SECONDS: Final = 10.0
#: Activity above this widens the spread and thins the book, at most by the limit.
ACTIVITY_CALM: Final = 1.0
STRESS_MAX: Final = 20.0
#: Half of the widest spread of a scenario, fraction of mid.
HALF_SPREAD_MAX: Final = 0.02
#: Average activity of a calm market, and the most a busy one trades of the calm volume.
ACTIVITY_START: Final = 0.8
BUSY_MAX: Final = 30.0
#: Background trades per market and second.
PRINTS_PER_SECOND: Final = 2.0


class MarketModel:
    """The moving part: where every market is, and one step ahead."""

    def __init__(
        self, parameters: ExchangeParameters, log_variance: float,
        scenario: Scenario | None = None, opened_ns: int = 0,
    ) -> None:  # fmt: skip
        self._seed = parameters.seed
        self._factor_volatility = parameters.factor_volatility_annual
        self._constants = Constants.of(parameters)
        self._background = Background(self._constants, parameters.book_levels)
        count = len(parameters.instruments)
        self._log_variance = log_variance
        self._log_index: Floats = np.log(self._constants.price_start)
        self._premium: Floats = np.zeros(count)
        self._basis: Floats = np.zeros(count)
        self._activity: Floats = np.full(count, ACTIVITY_START)
        #: Average premium of the running funding interval: weighted sum and weight.
        self._premium_sum: Floats = np.zeros(count)
        self._premium_seconds: Floats = np.zeros(count)
        #: Per market: log move still to come and seconds it is spread over.
        self._shocks: list[tuple[int, float, float]] = []
        self._opened_ns = opened_ns
        #: How markets behave in the scenario; None = no scenario.
        self.stress: StressModel | None = None
        self._bars: BarPath | None = None
        #: Log move ordered from outside that real bars are shifted by.
        self._shifted: Floats = np.zeros(count)
        #: Quote traded per second by real bars; None = as the parameters say.
        self._quote_rate: Floats | None = None
        if scenario is not None:
            self._bind(parameters, scenario)

    def shock(self, position: int, fraction: float, seconds: float) -> None:
        """Move the market at `position` by `fraction`, spread evenly over `seconds`."""
        if fraction <= -1.0 or seconds < 0.0:
            raise ValueError(f"shock fraction={fraction} seconds={seconds} is not possible")
        self._shocks.append((position, float(np.log1p(fraction)), max(seconds, 1e-9)))

    def _bind(self, parameters: ExchangeParameters, scenario: Scenario) -> None:
        ticks = {
            each.instrument.instrument_id: float(each.instrument.tick_size)
            for each in parameters.instruments
        }
        self.stress = StressModel(self._constants, self._factor_volatility, scenario, tuple(ticks))
        if scenario.bars is not None:
            step_ns = parameters.step_ms * NS_PER_MS
            self._bars = BarPath(scenario.bars, ticks, parameters.seed, self._opened_ns, step_ns)

    def step(self, number: int, seconds: float, at_ns: int = 0) -> MarketFrame:
        """Move every market by `seconds` to `at_ns`; `number` names the step's draws."""
        draws = generator(self._seed, STREAM_LIVE, number)
        count = len(self._log_index)
        normals = draws.standard_normal(3 * count + 2)
        uniforms = draws.random(3 * count)
        if self.stress is None:
            self._move(normals, uniforms[:count], seconds)
        else:
            fast = float(draws.standard_normal())
            self._move_in_scenario(self.stress, normals, fast, uniforms[:count], seconds, at_ns)
        return self.frame(number, self._prints(uniforms[count:], seconds))

    def frame(self, number: int, print_quote: Floats | None = None) -> MarketFrame:
        """Return where the markets are now, on the grids."""
        index, busy = np.exp(self._log_index), self._activity_stress()
        premium, mark = self._premium, index * (1.0 + self._basis)
        half = self._constants.half_spread * busy
        thinning, absent, forced = busy, None, None
        stress = self.stress
        if stress is not None:
            if self._quote_rate is None:
                premium = premium + stress.basis
            mark = mark * np.exp(stress.mark_gap)
            wide = np.maximum(half, self._constants.half_spread * stress.spread)
            half = np.minimum(wide, HALF_SPREAD_MAX)
            thinning = np.maximum(busy, 1.0 / stress.depth)
            absent = (stress.conditions.bids_absent, stress.conditions.asks_absent)
            forced = stress.forced()
        return self._background.frame(
            Standing(
                index=index, mark=mark, middle=index * (1.0 + premium), half_spread=half,
                thinning=thinning, absent=absent, print_quote=print_quote, forced=forced,
            ),
            number,
        )  # fmt: skip

    def premium_average(self, position: int) -> float:
        """Return the time-weighted premium since the last `premium_reset`, fraction."""
        seconds = float(self._premium_seconds[position])
        return float(self._premium_sum[position]) / seconds if seconds > 0.0 else 0.0

    def premium_reset(self, position: int) -> None:
        """Begin a new funding interval."""
        self._premium_sum[position] = 0.0
        self._premium_seconds[position] = 0.0

    def save(self) -> dict[str, Any]:
        """Return the state as JSON-able figures that read back exactly."""
        return {
            "log_variance": self._log_variance,
            "log_index": self._log_index.tolist(),
            "premium": self._premium.tolist(),
            "basis": self._basis.tolist(),
            "activity": self._activity.tolist(),
            "premium_sum": self._premium_sum.tolist(),
            "premium_seconds": self._premium_seconds.tolist(),
            "shocks": [list(each) for each in self._shocks],
            "stress": None if self.stress is None else self.stress.save(),
            "shifted": self._shifted.tolist(),
            "quote_rate": None if self._quote_rate is None else self._quote_rate.tolist(),
        }

    def load(self, saved: dict[str, Any]) -> None:
        """Take over what `save` gave."""
        self._log_variance = float(saved["log_variance"])
        self._log_index = np.array(saved["log_index"], dtype=np.float64)
        self._premium = np.array(saved["premium"], dtype=np.float64)
        self._basis = np.array(saved["basis"], dtype=np.float64)
        self._activity = np.array(saved["activity"], dtype=np.float64)
        self._premium_sum = np.array(saved["premium_sum"], dtype=np.float64)
        self._premium_seconds = np.array(saved["premium_seconds"], dtype=np.float64)
        self._shocks = [(int(p), float(move), float(left)) for p, move, left in saved["shocks"]]
        if self.stress is not None:
            self.stress.load(saved["stress"])
            self._shifted = np.array(saved["shifted"], dtype=np.float64)
            rate = saved["quote_rate"]
            self._quote_rate = None if rate is None else np.array(rate, dtype=np.float64)

    def _scale(self, normal: float, seconds: float) -> float:
        # What annual volatilities are multiplied by for this step; moves the log-variance.
        keep = 0.5 ** (seconds / LOG_VARIANCE_HALF_LIFE_SECONDS)
        spread = LOG_VARIANCE_DEVIATION * (1.0 - keep * keep) ** 0.5
        self._log_variance = keep * self._log_variance + spread * normal
        return volatility_scale(self._log_variance) * float((seconds / SECONDS_PER_YEAR) ** 0.5)

    def _move(self, normals: Floats, uniforms: Floats, seconds: float) -> None:
        constants, count = self._constants, len(self._log_index)
        scale = self._scale(float(normals[0]), seconds)
        factor = self._factor_volatility * float(normals[1])
        moves = scale * (
            constants.loading * factor + constants.own_volatility * normals[2 : 2 + count]
        )
        jumps = uniforms < JUMPS_PER_DAY * seconds / SECONDS_PER_DAY
        moves = moves + jumps * JUMP_DEVIATION * normals[2 + count : 2 + 2 * count]
        moves = moves + self._shock_moves(seconds)
        self._log_index = self._log_index + moves
        self._follow(moves, normals[2 + 2 * count :], seconds)

    def _move_in_scenario(
        self, stress: StressModel, normals: Floats, fast: float, uniforms: Floats,
        seconds: float, at_ns: int,
    ) -> None:  # fmt: skip
        count, before = len(self._log_index), self._log_index
        scale = self._scale(float(normals[0]), seconds)
        elapsed = (at_ns - self._opened_ns) / NS_PER_SECOND
        shocks = self._shock_moves(seconds)
        bar = None if self._bars is None else self._bars.at(at_ns)
        self._quote_rate = None if bar is None else bar[1]
        if bar is not None:
            self._shifted = self._shifted + shocks
            moves = np.log(bar[0] * self._constants.tick) + self._shifted - before
            stress.watch(before, moves, seconds, elapsed)
        else:
            draws = StepDraws(
                factor=float(normals[1]), fast=fast, own=normals[2 : 2 + count],
                jump=normals[2 + count : 2 + 2 * count], jumps=uniforms,
            )  # fmt: skip
            moves = stress.moves(before, scale, draws, JUMP_DEVIATION, shocks, seconds, elapsed)
        self._log_index = before + moves
        self._follow(moves, normals[2 + 2 * count :], seconds)
        if bar is not None:
            # Bars are what happened: mark, index and middle are on them.
            self._premium, self._basis = np.zeros(count), np.zeros(count)

    def _follow(self, moves: Floats, normals: Floats, seconds: float) -> None:
        # Premium, basis and activity follow the index.
        keep = 0.5 ** (seconds / PREMIUM_HALF_LIFE_SECONDS)
        deviation = PREMIUM_DEVIATION * (1.0 - keep * keep) ** 0.5
        self._premium = PREMIUM_MEAN + keep * (self._premium - PREMIUM_MEAN) + deviation * normals
        follow = 1.0 - float(np.exp(-seconds / BASIS_SECONDS))
        premium = self._premium
        if self.stress is not None:
            premium = premium + self.stress.basis
        self._basis = self._basis + follow * (premium - self._basis)
        forget = 0.5 ** (seconds / ACTIVITY_HALF_LIFE_SECONDS)
        root_year = (seconds / SECONDS_PER_YEAR) ** 0.5
        sigmas = np.abs(moves) / (self._constants.volatility * root_year)
        self._activity = forget * self._activity + (1.0 - forget) * sigmas
        # A premium inside the spread cannot be traded away: it counts as none.
        excess = np.maximum(np.abs(premium) - self._constants.half_spread, 0.0)
        self._premium_sum = self._premium_sum + np.sign(premium) * excess * seconds
        self._premium_seconds = self._premium_seconds + seconds

    def _shock_moves(self, seconds: float) -> Floats:
        moves: Floats = np.zeros(len(self._log_index))
        rest = []
        for position, move, left in self._shocks:
            part = min(1.0, seconds / left)
            moves[position] += move * part
            if part < 1.0:
                rest.append((position, move * (1.0 - part), left - seconds))
        self._shocks = rest
        return moves

    def _prints(self, uniforms: Floats, seconds: float) -> Floats:
        # Signed quote notional of this step's background trade; 0 where nobody traded.
        count = len(self._log_index)
        chance = 1.0 - float(np.exp(-PRINTS_PER_SECOND * seconds))
        average = self._constants.volume_day_quote * seconds / SECONDS_PER_DAY / chance
        if self._quote_rate is not None:
            average = self._quote_rate * seconds / chance
        elif self.stress is not None:
            average = average * np.clip(self._activity / ACTIVITY_START, 1.0, BUSY_MAX)
        # One draw says whether, and with its place inside that chance, how much.
        traded = uniforms[:count] < chance
        quote = -np.log1p(-np.minimum(uniforms[:count] / chance, 1.0 - 1e-9)) * average
        sides = np.where(uniforms[count:] < 0.5, 1.0, -1.0)
        if self.stress is not None:
            # Whoever is forced out decides the side.
            sides = np.where(self.stress.forced(), np.sign(self.stress.flow), sides)
        return np.where(traded, quote, 0.0) * sides

    def _activity_stress(self) -> Floats:
        return np.minimum(np.maximum(self._activity / ACTIVITY_CALM, 1.0), STRESS_MAX)


def volatility_scale(log_variance: float) -> float:
    """Return what volatilities are multiplied by; the mean of its square is 1."""
    return float(np.exp(0.5 * (log_variance - 0.5 * LOG_VARIANCE_DEVIATION**2)))
