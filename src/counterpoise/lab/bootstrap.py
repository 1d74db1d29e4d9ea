"""Block-bootstrap intervals of figures that daily returns alone determine.

Days are drawn in blocks of random length (Politis, Romano, "The Stationary Bootstrap", 1994), so
that calm and violent weeks stay together, by `arch` with a fixed seed.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from counterpoise.lab import metrics
from counterpoise.lab.bars import Floats
from counterpoise.lab.result import Interval

#: Draws.
DRAWS: Final = 1_000
#: Mean length of a block, days.
BLOCK_DAYS: Final = 10
#: Part of the draws inside an interval.
COVERAGE: Final = 0.90
#: Fewer days say nothing about blocks.
DAYS_MIN: Final = 3 * BLOCK_DAYS

_SEED: Final = 20_260_101


def intervals(day_returns: Floats) -> dict[str, Interval]:
    """Return percentile intervals by the figure's name; empty = too few days."""
    if len(day_returns) < DAYS_MIN:
        return {}
    from arch.bootstrap import StationaryBootstrap

    bootstrap = StationaryBootstrap(BLOCK_DAYS, day_returns, seed=_SEED)
    rows = bootstrap.apply(_all, DRAWS)
    tail = (1.0 - COVERAGE) / 2.0
    low, high = np.quantile(rows, (tail, 1.0 - tail), axis=0)
    return {
        name: Interval(low=float(low[place]), high=float(high[place]))
        for place, name in enumerate(_FIGURES)
    }


def _compound(returns: Floats) -> float:
    return float(np.prod(1.0 + returns)) - 1.0


def _drawdown(returns: Floats) -> float:
    # At the end of days: what the days between them held is not drawn again.
    wealth = np.cumprod(1.0 + returns)
    peaks = np.maximum(np.maximum.accumulate(wealth), 1.0)
    return float((1.0 - wealth / peaks).max())


_FIGURES: Final[dict[str, Callable[[Floats], float]]] = {
    "return_fraction": _compound,
    "drawdown_max_fraction": _drawdown,
    "volatility_annual_fraction": metrics.volatility,
    "day_worst_fraction": lambda returns: float(returns.min()),
    "cvar95_day_fraction": lambda returns: metrics.tail_mean(returns, 0.05),
    "cvar99_day_fraction": lambda returns: metrics.tail_mean(returns, 0.01),
}


def _all(returns: Floats) -> Floats:
    return np.array([figure(returns) for figure in _FIGURES.values()])
