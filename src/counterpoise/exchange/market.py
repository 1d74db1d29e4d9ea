"""Prices and background liquidity of all markets: the only float arithmetic of the venue.

Log returns follow one common factor with stochastic volatility, a part of their own and small
jumps. The draws of a step are a pure function of the seed and the step's number (a counter-based
generator), so no generator state has to be carried from step to step.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from counterpoise.domain.units import BPS_PER_ONE, SECONDS_PER_DAY, SECONDS_PER_YEAR
from counterpoise.exchange.parameters import ExchangeParameters

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

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
#: Background trades per market and second.
PRINTS_PER_SECOND: Final = 2.0
#: Depth is stated within this distance of mid, bps.
DEPTH_BPS: Final = 25.0
#: A level keeps its quantity for this long.
LEVEL_LIFE_STEPS: Final = 16
#: Streams of the generator, its second key.
STREAM_HISTORY: Final = 0
STREAM_LIVE: Final = 1

_MASK_64: Final = 0xFFFF_FFFF_FFFF_FFFF


def generator(seed: int, stream: int, number: int) -> np.random.Generator:
    """Return the generator of one numbered piece of work; equal arguments give equal draws."""
    key = np.array([seed, stream], dtype=np.uint64)
    counter = np.array([0, 0, number & _MASK_64, 0], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketFrame:
    """All markets after one step, in the order of the parameters; prices in ticks."""

    #: Mark and index per market.
    mark_ticks: list[int]
    index_ticks: list[int]
    #: Background book per market, best first: prices in ticks, quantities in lots.
    bid_ticks: list[list[int]]
    bid_lots: list[list[int]]
    ask_ticks: list[list[int]]
    ask_lots: list[list[int]]
    #: Background trade per market: lots, + a buy at the ask, - a sell at the bid, 0 = none.
    print_lots: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Constants:
    """Figures of the markets as arrays, in the order of the parameters."""

    tick: Floats
    lot: Floats
    price_start: Floats
    loading: Floats
    #: Annualised volatility of the part a market has for itself.
    own_volatility: Floats
    volatility: Floats
    half_spread: Floats
    depth_quote: Floats
    volume_day_quote: Floats

    @classmethod
    def of(cls, parameters: ExchangeParameters) -> "Constants":
        """Return the arrays of a venue. ValueError: a loading exceeds the volatility."""
        markets = parameters.instruments
        volatility = np.array([each.volatility_annual for each in markets])
        loading = np.array([each.factor_loading for each in markets])
        own_variance = volatility**2 - (loading * parameters.factor_volatility_annual) ** 2
        if bool((own_variance < 0).any()):
            raise ValueError("factor_loading x factor volatility exceeds volatility_annual")
        return cls(
            tick=np.array([float(each.instrument.tick_size) for each in markets]),
            lot=np.array([float(each.instrument.lot_size) for each in markets]),
            price_start=np.array([float(each.price_start) for each in markets]),
            loading=loading,
            own_volatility=np.sqrt(own_variance),
            volatility=volatility,
            half_spread=np.array([each.spread_bps / 2 / BPS_PER_ONE for each in markets]),
            depth_quote=np.array([each.depth_quote for each in markets]),
            volume_day_quote=np.array([each.volume_day_quote for each in markets]),
        )


class MarketModel:
    """The moving part: where every market is, and one step ahead."""

    def __init__(self, parameters: ExchangeParameters, log_variance: float) -> None:
        self._seed = parameters.seed
        self._levels = parameters.book_levels
        self._factor_volatility = parameters.factor_volatility_annual
        self._constants = Constants.of(parameters)
        count = len(parameters.instruments)
        self._log_variance = log_variance
        self._log_index: Floats = np.log(self._constants.price_start)
        self._premium: Floats = np.zeros(count)
        self._basis: Floats = np.zeros(count)
        self._activity: Floats = np.full(count, 0.8)
        #: Average premium of the running funding interval: weighted sum and weight.
        self._premium_sum: Floats = np.zeros(count)
        self._premium_seconds: Floats = np.zeros(count)
        #: Per market: log move still to come and seconds it is spread over.
        self._shocks: list[tuple[int, float, float]] = []
        self._salt: Integers = np.arange(count, dtype=np.int64)[:, None]
        self._rank: Integers = np.arange(self._levels - 1, dtype=np.int64)[None, :]

    def shock(self, position: int, fraction: float, seconds: float) -> None:
        """Move the market at `position` by `fraction`, spread evenly over `seconds`."""
        if fraction <= -1.0 or seconds < 0.0:
            raise ValueError(f"shock fraction={fraction} seconds={seconds} is not possible")
        self._shocks.append((position, float(np.log1p(fraction)), max(seconds, 1e-9)))

    def step(self, number: int, seconds: float) -> MarketFrame:
        """Move every market by `seconds`; `number` names the step's draws."""
        draws = generator(self._seed, STREAM_LIVE, number)
        count = len(self._log_index)
        normals = draws.standard_normal(3 * count + 2)
        uniforms = draws.random(3 * count)
        self._move(normals, uniforms[:count], seconds)
        return self.frame(number, self._prints(uniforms[count:], seconds))

    def frame(self, number: int, print_quote: Floats | None = None) -> MarketFrame:
        """Return where the markets are now; the one place prices meet the grids."""
        constants = self._constants
        index = np.exp(self._log_index)
        middle = index * (1.0 + self._premium)
        bid, ask = self._touch(middle)
        spacing, per_level = self._shape(index)
        bids = np.concatenate(
            [bid[:, None], ((bid - 1) // spacing)[:, None] * spacing[:, None]
             - self._rank * spacing[:, None]], axis=1,
        )  # fmt: skip
        asks = np.concatenate(
            [ask[:, None], (ask // spacing + 1)[:, None] * spacing[:, None]
             + self._rank * spacing[:, None]], axis=1,
        )  # fmt: skip
        lots = np.zeros(len(index), dtype=np.int64)
        if print_quote is not None:
            lots = np.rint(print_quote / (index * constants.lot)).astype(np.int64)
        return MarketFrame(
            mark_ticks=_ticks(index * (1.0 + self._basis), constants.tick),
            index_ticks=_ticks(index, constants.tick),
            bid_ticks=bids.tolist(),
            bid_lots=self._lots(bids, per_level, number, 0).tolist(),
            ask_ticks=asks.tolist(),
            ask_lots=self._lots(asks, per_level, number, 1).tolist(),
            print_lots=lots.tolist(),
        )

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

    def _move(self, normals: Floats, uniforms: Floats, seconds: float) -> None:
        constants, count = self._constants, len(self._log_index)
        root_year = (seconds / SECONDS_PER_YEAR) ** 0.5
        keep = 0.5 ** (seconds / LOG_VARIANCE_HALF_LIFE_SECONDS)
        spread = LOG_VARIANCE_DEVIATION * (1.0 - keep * keep) ** 0.5
        self._log_variance = keep * self._log_variance + spread * float(normals[0])
        scale = volatility_scale(self._log_variance) * root_year
        factor = self._factor_volatility * float(normals[1])
        moves = scale * (
            constants.loading * factor + constants.own_volatility * normals[2 : 2 + count]
        )
        jumps = uniforms < JUMPS_PER_DAY * seconds / SECONDS_PER_DAY
        moves = moves + jumps * JUMP_DEVIATION * normals[2 + count : 2 + 2 * count]
        moves = moves + self._shock_moves(seconds)
        self._log_index = self._log_index + moves
        self._follow(moves, normals[2 + 2 * count :], seconds, root_year)

    def _follow(self, moves: Floats, normals: Floats, seconds: float, root_year: float) -> None:
        # Premium, basis and activity follow the index.
        keep = 0.5 ** (seconds / PREMIUM_HALF_LIFE_SECONDS)
        deviation = PREMIUM_DEVIATION * (1.0 - keep * keep) ** 0.5
        self._premium = PREMIUM_MEAN + keep * (self._premium - PREMIUM_MEAN) + deviation * normals
        follow = 1.0 - float(np.exp(-seconds / BASIS_SECONDS))
        self._basis = self._basis + follow * (self._premium - self._basis)
        forget = 0.5 ** (seconds / ACTIVITY_HALF_LIFE_SECONDS)
        sigmas = np.abs(moves) / (self._constants.volatility * root_year)
        self._activity = forget * self._activity + (1.0 - forget) * sigmas
        # A premium inside the spread cannot be traded away: it counts as none.
        excess = np.maximum(np.abs(self._premium) - self._constants.half_spread, 0.0)
        self._premium_sum = self._premium_sum + np.sign(self._premium) * excess * seconds
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
        # One draw says whether, and with its place inside that chance, how much.
        traded = uniforms[:count] < chance
        quote = -np.log1p(-np.minimum(uniforms[:count] / chance, 1.0 - 1e-9)) * average
        return np.where(traded, quote, 0.0) * np.where(uniforms[count:] < 0.5, 1.0, -1.0)

    def _stress(self) -> Floats:
        return np.clip(self._activity / ACTIVITY_CALM, 1.0, STRESS_MAX)

    def _touch(self, middle: Floats) -> tuple[Integers, Integers]:
        half = self._constants.half_spread * self._stress()
        tick = self._constants.tick
        bid = np.maximum(np.floor(middle * (1.0 - half) / tick).astype(np.int64), self._levels)
        ask = np.maximum(np.ceil(middle * (1.0 + half) / tick).astype(np.int64), bid + 1)
        return bid, ask

    def _shape(self, index: Floats) -> tuple[Integers, Floats]:
        # Grid spacing in ticks and lots per level, from figures rounded to powers of two so that
        # a small move changes neither.
        constants = self._constants
        price = np.exp2(np.rint(np.log2(index) * 8.0) / 8.0)
        reach = DEPTH_BPS / BPS_PER_ONE * price / constants.tick / self._levels
        spacing = np.maximum(1, np.rint(reach)).astype(np.int64)
        thinning = np.exp2(np.rint(np.log2(self._stress()) * 2.0) / 2.0)
        covered = spacing * constants.tick / price / (DEPTH_BPS / BPS_PER_ONE)
        per_level = constants.depth_quote * covered / thinning / (price * constants.lot)
        return spacing, per_level

    def _lots(self, ticks: Integers, per_level: Floats, number: int, side: int) -> Integers:
        # A level's quantity varies by a hash of its price and of a period of some seconds.
        key = (ticks * 64 + self._salt * 2 + side).astype(np.uint64)
        stagger = (_mixed(key) % np.uint64(LEVEL_LIFE_STEPS)).astype(np.int64)
        period = ((number + stagger) // LEVEL_LIFE_STEPS).astype(np.uint64)
        uniform = _mixed(key ^ _mixed(period)).astype(np.float64) / 2.0**64
        quantity = per_level[:, None] * (0.4 + 1.2 * uniform)
        quantity[:, 0] *= 0.5  # the touch is thinner than what stands behind it
        return np.maximum(1, np.rint(quantity)).astype(np.int64)


def volatility_scale(log_variance: float) -> float:
    """Return what volatilities are multiplied by; the mean of its square is 1."""
    return float(np.exp(0.5 * (log_variance - 0.5 * LOG_VARIANCE_DEVIATION**2)))


def _ticks(prices: Floats, tick: Floats) -> list[int]:
    result: list[int] = np.maximum(1, np.rint(prices / tick)).astype(np.int64).tolist()
    return result


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    # The splitmix64 finaliser: every input bit decides every output bit.
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
