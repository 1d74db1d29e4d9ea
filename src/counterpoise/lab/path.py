"""The way prices take through a bar, which nobody recorded, and positions on it.

Every bar visits its open, one extreme, the other extreme and its close, a third of the bar's time
on each stretch, prices moving evenly. All instruments stand at their lows together and at their
highs together, since they fall together; a bar in which the core rises visits the lows first, one
in which it falls the highs. From a close to the next open there is no time: what differs there is
a gap, in which nothing can be done.

Where a bar is missing the last close stands.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from counterpoise.lab.bars import BarTable, Floats

#: Points of a bar: open, first extreme, second extreme, close.
POINTS: Final = 4
#: Stretches of a bar with time in them.
STRETCHES: Final = 3
#: Price of an instrument before its first bar, at which nothing is ever held.
NO_PRICE: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PricePath:
    """Points of all bars in order, and each bar's extremes."""

    #: Quote per base, shape (rows x POINTS, instruments); no NaN.
    points: Floats
    #: Highest and lowest of each bar, shape (rows, instruments); no NaN.
    highs: Floats
    lows: Floats
    #: Time of a stretch, ms.
    stretch_ms: float

    def row(self, point: int) -> int:
        """Return the row of the bar a point belongs to."""
        return point // POINTS

    def seconds_to(self, point: int) -> float:
        """Return how long the stretch that ends at a point lasts; 0 = a jump to an open."""
        return 0.0 if point % POINTS == 0 else self.stretch_ms / 1_000.0

    def prices(self, point: int, fraction: float) -> Floats:
        """Return the prices at `fraction` of the way from a point to the next."""
        start: Floats = self.points[point]
        if fraction <= 0.0 or point + 1 >= len(self.points):
            return start
        moved: Floats = start + fraction * (self.points[point + 1] - start)
        return moved

    def later(self, point: int, fraction: float, milliseconds: float) -> tuple[int, float]:
        """Return the place that many milliseconds on; jumps are taken at once."""
        last = len(self.points) - 1
        while point < last:
            if (point + 1) % POINTS == 0:
                point, fraction = point + 1, 0.0
                continue
            left_ms = (1.0 - fraction) * self.stretch_ms
            if milliseconds <= left_ms:
                return point, fraction + milliseconds / self.stretch_ms
            milliseconds -= left_ms
            point, fraction = point + 1, 0.0
        return last, 0.0


def make_path(bars: BarTable, core: int) -> PricePath:
    """Return the path of all bars; `core` is the column whose direction orders the extremes."""
    closes = carried(bars.close)
    before = np.vstack((closes[:1], closes[:-1]))
    missing = np.isnan(bars.close)
    stands = np.where(missing, np.where(np.isnan(before), NO_PRICE, before), 0.0)
    opens, highs, lows, ends = (
        np.where(missing, stands, values) for values in (bars.open, bars.high, bars.low, bars.close)
    )
    rises = (ends[:, core] >= opens[:, core])[:, None]
    first, second = np.where(rises, lows, highs), np.where(rises, highs, lows)
    points = np.stack((opens, first, second, ends), axis=1).reshape(-1, closes.shape[1])
    return PricePath(
        points=np.ascontiguousarray(points),
        highs=np.ascontiguousarray(highs),
        lows=np.ascontiguousarray(lows),
        stretch_ms=bars.step_seconds * 1_000.0 / STRETCHES,
    )


def carried(values: Floats) -> Floats:
    """Return every column with its last known value in place of NaN; NaN before the first."""
    rows = np.arange(len(values))[:, None]
    last = np.maximum.accumulate(np.where(np.isnan(values), -1, rows), axis=0)
    result = np.take_along_axis(values, np.maximum(last, 0), axis=0)
    return np.where(last < 0, np.nan, result)
