"""What a fill costs beyond the price of the path: spread, impact, and when nothing can be traded.

    cost_bps = half_spread_bps x regime + Y x volatility_bps x sqrt(notional / volume)

* Impact is the square-root law: volatility and volume over the same time, so that the length of
  that time cancels out. Sources: Almgren, Thum, Hauptmann, Li, "Direct Estimation of Equity Market
  Impact" (2005); Toth et al., "Anomalous Price Impact and the Critical Nature of Liquidity in
  Financial Markets" (2011), with Y about 1.
* Volatility is Parkinson's, from highs and lows ("The Extreme Value Method for Estimating the
  Variance of the Rate of Return", 1980), volume the mean notional of a bar, both over the last
  hour with the bar of the fill.
* regime = volatility of that hour / the one of the last 7 days, within 1 and 10: no book was
  recorded, and market makers widen and thin their books in proportion to volatility.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np

from counterpoise.domain.units import BPS_PER_ONE
from counterpoise.lab.bars import BarTable, Flags, Floats

#: Time over which volatility and volume are taken, seconds.
WINDOW_SECONDS: Final = 3_600
#: What is normal is taken over this, seconds.
NORMAL_SECONDS: Final = 7 * 86_400
#: Largest widening of the spread.
REGIME_MAX: Final = 10.0

_PARKINSON: Final = 4.0 * float(np.log(2.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class CostTable:
    """Costs per bar and instrument; shape (rows, instruments)."""

    #: Half spread times regime, bps.
    spread_bps: Floats
    #: Bps per square root of one quote of notional.
    impact_bps: Floats
    #: True = the feed stands still in this bar and nothing is filled.
    closed: Flags

    def cost_bps(self, row: int, column: int, notional: float) -> float:
        """Return what an order of `notional` (unsigned, quote) pays against the path, bps."""
        spread = float(self.spread_bps[row, column])
        return spread + float(self.impact_bps[row, column]) * sqrt(notional)


def make_costs(
    bars: BarTable, stale: Flags, half_spreads_bps: Floats, impact_factor: float
) -> CostTable:
    """Return the costs in every bar; `half_spreads_bps` has one figure per instrument."""
    squares = np.log(bars.high / bars.low) ** 2 / _PARKINSON
    quote = bars.volume * bars.close
    window = max(1, WINDOW_SECONDS // bars.step_seconds)
    normal = max(window, NORMAL_SECONDS // bars.step_seconds)
    variance = _mean(squares, window)
    volatility = np.sqrt(variance)
    usual = np.sqrt(_mean(squares, normal))
    ratio = np.divide(volatility, usual, out=np.ones_like(volatility), where=usual > 0.0)
    volume = _mean(quote, window)
    impact = np.divide(
        volatility, np.sqrt(volume), out=np.zeros_like(volatility), where=volume > 0.0
    )
    return CostTable(
        spread_bps=half_spreads_bps * np.clip(ratio, 1.0, REGIME_MAX),
        impact_bps=impact_factor * BPS_PER_ONE * impact,
        closed=stale | (volume <= 0.0),
    )


def _mean(values: Floats, rows: int) -> Floats:
    # Mean of what is there of the last `rows` rows, this one included; 0 where nothing is.
    known = ~np.isnan(values)
    total = _window_sum(np.where(known, values, 0.0), rows)
    count = _window_sum(known.astype(np.float64), rows)
    mean: Floats = np.divide(total, count, out=np.zeros_like(total), where=count > 0.5)
    return np.maximum(mean, 0.0)


def _window_sum(values: Floats, rows: int) -> Floats:
    sums = np.cumsum(values, axis=0)
    result = sums.copy()
    result[rows:] -= sums[:-rows]
    return result
