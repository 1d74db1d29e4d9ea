"""Background liquidity: where prices meet the grids of ticks and lots."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from counterpoise.domain.units import BPS_PER_ONE
from counterpoise.exchange.constants import Constants, Floats, Integers
from counterpoise.exchange.depth import Depth

#: Depth is stated within this distance of mid, bps.
DEPTH_BPS: Final = 25.0
#: A level keeps its quantity for this long.
LEVEL_LIFE_STEPS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketFrame:
    """All markets after one step, in the order of the parameters; prices in ticks."""

    #: Mark and index per market.
    mark_ticks: list[int]
    index_ticks: list[int]
    #: Background books.
    depth: Depth
    #: Background trade per market: lots, + a buy at the ask, - a sell at the bid, 0 = none.
    print_lots: list[int]
    #: Whether that trade is of somebody who is forced out.
    forced: list[bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where the markets stand, before the grids; an array has a figure per market."""

    #: Quote per base; `middle` is between best bid and best ask.
    index: Floats
    mark: Floats
    middle: Floats
    #: Fraction of middle.
    half_spread: Floats
    #: The calm depth is divided by this.
    thinning: Floats
    #: Share of bid and of ask levels that are empty; None = none are.
    absent: tuple[Floats, Floats] | None
    #: Signed quote notional of the step's background trades; None = no trades.
    print_quote: Floats | None
    #: Whether forced orders are what trades; None = nowhere.
    forced: npt.NDArray[np.bool_] | None


class Background:
    """Makes books of a venue's markets; it remembers nothing."""

    def __init__(self, constants: Constants, levels: int) -> None:
        self._constants = constants
        self._levels = levels
        markets = np.arange(len(constants.tick), dtype=np.int64)[None, :, None]
        sides = np.arange(2, dtype=np.int64)[:, None, None]
        self._salt: Integers = markets * 2 + sides
        self._rank: Integers = np.arange(levels - 1, dtype=np.int64)[None, :]

    def frame(self, standing: Standing, number: int) -> MarketFrame:
        """Return marks, books and trades of the step `number`."""
        constants, index = self._constants, standing.index
        bid, ask = self._touch(standing.middle, standing.half_spread)
        spacing, per_level = self._shape(index, standing.thinning)
        # Both sides at once, bids first: shape (2, markets, levels).
        ticks: Integers = np.empty((2, len(index), self._levels), dtype=np.int64)
        ticks[0, :, 0], ticks[1, :, 0] = bid, ask
        away = self._rank * spacing[:, None]
        ticks[0, :, 1:] = ((bid - 1) // spacing * spacing)[:, None] - away
        ticks[1, :, 1:] = ((ask // spacing + 1) * spacing)[:, None] + away
        depth = Depth(ticks, self._lots(ticks, per_level, number))
        lots = np.zeros(len(index), dtype=np.int64)
        if standing.print_quote is not None:
            lots = np.rint(standing.print_quote / (index * constants.lot)).astype(np.int64)
        for bids, absent in zip((True, False), standing.absent or (), strict=False):
            _empty(depth, absent, bids=bids)
        return MarketFrame(
            mark_ticks=_ticks(standing.mark, constants.tick),
            index_ticks=_ticks(index, constants.tick),
            depth=depth,
            print_lots=lots.tolist(),
            forced=[False] * len(lots) if standing.forced is None else standing.forced.tolist(),
        )

    def _touch(self, middle: Floats, half: Floats) -> tuple[Integers, Integers]:
        tick = self._constants.tick
        bid = np.maximum(np.floor(middle * (1.0 - half) / tick).astype(np.int64), self._levels)
        ask = np.maximum(np.ceil(middle * (1.0 + half) / tick).astype(np.int64), bid + 1)
        return bid, ask

    def _shape(self, index: Floats, thinning: Floats) -> tuple[Integers, Floats]:
        # Grid spacing in ticks and lots per level, from figures rounded to powers of two so that
        # a small move changes neither.
        constants = self._constants
        price = np.exp2(np.rint(np.log2(index) * 8.0) / 8.0)
        reach = DEPTH_BPS / BPS_PER_ONE * price / constants.tick / self._levels
        spacing = np.maximum(1, np.rint(reach)).astype(np.int64)
        thinning = np.exp2(np.rint(np.log2(thinning) * 2.0) / 2.0)
        covered = spacing * constants.tick / price / (DEPTH_BPS / BPS_PER_ONE)
        per_level = constants.depth_quote * covered / thinning / (price * constants.lot)
        return spacing, per_level

    def _lots(self, ticks: Integers, per_level: Floats, number: int) -> Integers:
        # A level's quantity varies by a hash of its price and of a period of some seconds.
        key = (ticks * 64 + self._salt).astype(np.uint64)
        stagger = (_mixed(key) % np.uint64(LEVEL_LIFE_STEPS)).astype(np.int64)
        period = ((number + stagger) // LEVEL_LIFE_STEPS).astype(np.uint64)
        uniform = _mixed(key ^ _mixed(period)).astype(np.float64) / 2.0**64
        quantity = per_level[:, None] * (0.4 + 1.2 * uniform)
        quantity[:, :, 0] *= 0.5  # the touch is thinner than what stands behind it
        lots: Integers = np.maximum(1, np.rint(quantity)).astype(np.int64)
        # Somebody always comes or goes: at every step the best bid or the best ask, in turn,
        # becomes odd or even, so that no book is the same as at the step before.
        odd = (number + np.arange(2, dtype=np.int64)) // 2 % 2
        lots[:, :, 0] += (lots[:, :, 0] + odd[:, None]) % 2
        return lots


def _ticks(prices: Floats, tick: Floats) -> list[int]:
    result: list[int] = np.maximum(1, np.rint(prices / tick)).astype(np.int64).tolist()
    return result


def _empty(depth: Depth, absent: Floats, *, bids: bool) -> None:
    # Take away a share of the levels behind the touch; a level stays away or stays as it hashes.
    for place in np.flatnonzero(absent).tolist():
        row = depth.row(place, bids=bids)
        ticks = np.array(depth.levels(row)[0], dtype=np.int64)
        kept = _mixed(ticks.astype(np.uint64)).astype(np.float64) / 2.0**64 >= absent[place]
        kept[0] = True
        depth.cut(row, kept)


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    # The splitmix64 finaliser: every input bit decides every output bit.
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
