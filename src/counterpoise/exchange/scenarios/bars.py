"""Real bars as a market: rows of open, high, low, close, walked so that every price is met.

Inside a bar the path starts at the open, visits low and high in a seeded order at seeded moments
and ends at the close. All of a bar is a pure function of the seed, the bar's number and its row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

import numpy as np
import numpy.typing as npt

from counterpoise.domain.units import NS_PER_MINUTE, NS_PER_MS, NS_PER_SECOND
from counterpoise.exchange.draws import STREAM_BARS, generator
from counterpoise.exchange.parameters import ExchangeParameters

#: Open, high, low, close (quote per base) and volume (base units).
Bar = tuple[float, float, float, float, float]
#: The same after the bar's start in ms UTC.
BarRow = tuple[int, float, float, float, float, float]
#: Most bars of an instrument; five minutes for ten years.
BARS_MAX: Final = 1_100_000
#: A bar's path has at least this many steps: open, two extremes, close.
STEPS_MIN: Final = 4
#: How far the path strays from the straight line between two visits, of its calm deviation.
_WANDER: Final = 0.15

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """Bars of several instruments over the same stretch of time, without holes."""

    #: Start of the first bar, ms UTC.
    first_ms: int
    #: Length of a bar; whole minutes.
    step_seconds: int
    #: Bars by instrument, equally many each, oldest first.
    markets: tuple[tuple[str, tuple[Bar, ...]], ...]

    @property
    def count(self) -> int:
        """Bars of each instrument."""
        return len(self.markets[0][1])

    @property
    def seconds(self) -> int:
        """Length of it all."""
        return self.count * self.step_seconds


def bars_from_rows(rows: Mapping[str, Sequence[BarRow]], step_seconds: int) -> Bars:
    """Return bars over the time all instruments have in common.

    A missing row becomes a flat bar at the close before it, without volume. ValueError: no
    instrument, no common time, a row off the grid, out of order or impossible.
    """
    if step_seconds <= 0 or step_seconds * NS_PER_SECOND % NS_PER_MINUTE:
        raise ValueError(f"step_seconds={step_seconds}; allowed: whole minutes")
    if not rows or not all(rows.values()):
        raise ValueError(f"bars of {sorted(rows)}; allowed: at least one row of each instrument")
    step_ms = step_seconds * 1_000
    for instrument_id, each in rows.items():
        _check(instrument_id, each, step_ms)
    first_ms = max(each[0][0] for each in rows.values())
    last_ms = min(each[-1][0] for each in rows.values())
    count = (last_ms - first_ms) // step_ms + 1
    if not 1 <= count <= BARS_MAX:
        raise ValueError(f"bars in common={count}; allowed: 1 to {BARS_MAX}")
    return Bars(
        first_ms=first_ms,
        step_seconds=step_seconds,
        markets=tuple(
            (name, _filled(each, first_ms, count, step_ms)) for name, each in sorted(rows.items())
        ),
    )


def fitted(parameters: ExchangeParameters, bars: Bars) -> ExchangeParameters:
    """Return the venue with the markets that have bars, each opening at its first bar's open.

    ValueError: no market has.
    """
    held = dict(bars.markets)
    markets = tuple(
        replace(each, price_start=_on_grid(held[name][0][0], each.instrument.tick_size))
        for each in parameters.instruments
        if (name := each.instrument.instrument_id) in held
    )
    if not markets:
        allowed = ", ".join(each.instrument.instrument_id for each in parameters.instruments)
        raise ValueError(f"bars of {', '.join(held)}; allowed: {allowed}")
    return replace(parameters, instruments=markets)


def _on_grid(price: float, tick_size: Decimal) -> Decimal:
    return max(1, round(price / float(tick_size))) * tick_size


def _check(instrument_id: str, rows: Sequence[BarRow], step_ms: int) -> None:
    before_ms = -1
    for ts_ms, opened, high, low, closed, volume in rows:
        at = f"{instrument_id} ts={ts_ms}"
        if ts_ms % step_ms or ts_ms <= before_ms:
            raise ValueError(f"{at}; allowed: multiples of {step_ms} ms in order of time")
        before_ms = ts_ms
        if not (0 < low <= min(opened, closed) <= max(opened, closed) <= high < 1e12):
            shown = f"open={opened} high={high} low={low} close={closed}"
            raise ValueError(f"{at} {shown}; allowed: 0 < low <= open, close <= high")
        if not 0 <= volume < 1e18:
            raise ValueError(f"{at} volume={volume}; allowed: 0 or more")


def _filled(rows: Sequence[BarRow], first_ms: int, count: int, step_ms: int) -> tuple[Bar, ...]:
    bars: list[Bar] = []
    held = {row[0]: row[1:] for row in rows}
    # What stood before the first common bar, should that one be missing.
    close = next((row[4] for row in reversed(rows) if row[0] <= first_ms), rows[0][1])
    for at in range(count):
        bar = held.get(first_ms + at * step_ms, (close, close, close, close, 0.0))
        bars.append(bar)
        close = bar[3]
    return tuple(bars)


class BarPath:
    """Where bars lead a venue's markets, step by step."""

    def __init__(
        self, bars: Bars, ticks: Mapping[str, float], seed: int, opened_ns: int, step_ns: int
    ) -> None:
        """Bind bars to a venue: tick sizes of its markets in their order, and its grid.

        ValueError: a market has no bars, or a bar has fewer steps than STEPS_MIN.
        """
        held = dict(bars.markets)
        missing = [name for name in ticks if name not in held]
        if missing:
            raise ValueError(f"no bars of {', '.join(missing)}; allowed: {', '.join(held)}")
        self._bar_ns = bars.step_seconds * NS_PER_SECOND
        self._steps = self._bar_ns // step_ns
        if self._steps < STEPS_MIN:
            raise ValueError(f"step_ms={step_ns // NS_PER_MS}; a bar needs {STEPS_MIN} steps")
        self._step_ns = step_ns
        self._seed = seed
        self._count = bars.count
        #: The first bar begins with a bar of the clock; until then the markets stand at its open.
        self._first_ns = -(-opened_ns // self._bar_ns) * self._bar_ns
        sizes = np.array([[ticks[name]] for name in ticks])[:, None, :]
        prices = np.array([held[name] for name in ticks])
        #: Shape (markets, bars, 4) as open, high, low, close.
        self._ticks: Integers = np.maximum(1, np.rint(prices[:, :, :4] / sizes)).astype(np.int64)
        #: Quote traded per second; shape (markets, bars).
        self._quote_rate = prices[:, :, 4] * prices[:, :, 3] / bars.step_seconds
        self._walked = -1
        self._path: Integers = np.empty((0, 0), dtype=np.int64)

    def at(self, at_ns: int) -> tuple[Integers, npt.NDArray[np.float64]] | None:
        """Return index ticks and quote traded per second of each market; None = bars are over."""
        number = (at_ns - self._first_ns) // self._bar_ns
        if number < 0:
            return self._ticks[:, 0, 0], np.zeros(len(self._ticks))
        if number >= self._count:
            return None
        if number != self._walked:
            self._path = self._walk(number)
            self._walked = number
        step = (at_ns - self._first_ns - number * self._bar_ns) // self._step_ns
        return self._path[:, step], self._quote_rate[:, number]

    def _walk(self, number: int) -> Integers:
        draws = generator(self._seed, STREAM_BARS, number)
        paths = [self._walk_one(draws, row.tolist()) for row in self._ticks[:, number]]
        return np.array(paths, dtype=np.int64)

    def _walk_one(self, draws: np.random.Generator, bar: list[int]) -> list[int]:
        opened, high, low, closed = bar
        count = self._steps
        first, second = sorted(
            draws.choice(np.arange(1, count - 1), size=2, replace=False).tolist()
        )
        extremes = (low, high) if draws.random() < 0.5 else (high, low)
        places = [0, first, second, count - 1]
        visits = [opened, *extremes, closed]
        line = np.interp(np.arange(count), places, visits)
        wander = draws.standard_normal(count).cumsum()
        anchor = np.interp(np.arange(count), places, wander[places])
        bridge = (wander - anchor) * _WANDER * (high - low) / count**0.5
        path = np.clip(np.rint(line + bridge), low, high).astype(np.int64)
        path[places] = visits
        result: list[int] = path.tolist()
        return result
