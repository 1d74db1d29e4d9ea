"""The figures of a run, each defined once.

Daily returns are those of equity at mark from one 00:00 UTC to the next; a day cut by the start or
the end of the run is a day. `E` is equity at mark after costs and funding, `E_0` at the start.

| figure | definition |
|---|---|
| return_fraction | E at the end / E_0 - 1 |
| drawdown_max_fraction | largest 1 - E / highest E so far, at every point of the bars' path |
| volatility_annual_fraction | standard deviation of daily returns x sqrt(365) |
| day_worst_fraction | lowest daily return |
| cvar95_day_fraction, cvar99_day_fraction | mean of the lowest 5 % (1 %) of daily returns, at least one day |
| hedge_effectiveness | 1 - Var / Var(unhedged) of daily returns: Ederington (1979) |
| turnover | traded notional / mean equity, per year of 365 days |
| cost_fraction | fees and slippage of the whole run / mean equity |
| funding_fraction | funding received (+) or paid (-) in the whole run / mean equity |
| liquidations | times the venue took positions away |
| leverage_max | highest gross / E at every point of the bars' path |
| leverage_above_3_seconds | time with gross / E above 3, leverage moving evenly between points |
| decisions | decisions made, traded or not |
"""

from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from counterpoise.domain.units import NS_PER_DAY, NS_PER_SECOND, SECONDS_PER_YEAR
from counterpoise.lab.bars import Floats
from counterpoise.lab.result import Series

#: Figures that are published, in this order.
KEYS: Final = (
    "return_fraction",
    "drawdown_max_fraction",
    "volatility_annual_fraction",
    "day_worst_fraction",
    "cvar95_day_fraction",
    "cvar99_day_fraction",
    "hedge_effectiveness",
    "turnover",
    "cost_fraction",
    "funding_fraction",
    "liquidations",
    "leverage_max",
    "leverage_above_3_seconds",
    "decisions",
)

_DAYS_PER_YEAR: Final = 365

#: A published figure; None = it has no value (infinite leverage, no unhedged account beside it).
Figure = float | int | None


def daily_returns(
    series: Series, equity_start: float, start_ns: int
) -> tuple[NDArray[np.int64], Floats]:
    """Return days since the epoch and the return in each.

    After equity reached zero every day returns 0.
    """
    days = (series.times_ns - 1) // NS_PER_DAY
    last = np.flatnonzero(np.append(days[1:] != days[:-1], True))
    ends = series.equity[last]
    starts = np.concatenate(([equity_start], ends[:-1]))
    returns = np.divide(ends, starts, out=np.ones_like(ends), where=starts > 0.0) - 1.0
    assert int(days[0]) >= start_ns // NS_PER_DAY, "the series begins after its start"
    return days[last], returns


def figures(
    series: Series,
    day_returns: Floats,
    unhedged_returns: Floats | None,
    *,
    equity_start: float,
    start_ns: int,
    liquidations: int,
    above_seconds: float,
) -> dict[str, Figure]:
    """Return the published figures."""
    years = (int(series.times_ns[-1]) - start_ns) / NS_PER_SECOND / SECONDS_PER_YEAR
    mean = float(series.equity.mean())
    costs = float(series.fees[-1] + series.slippage[-1])
    return {
        "return_fraction": float(series.equity[-1]) / equity_start - 1.0,
        "drawdown_max_fraction": float(series.drawdown.max()),
        "volatility_annual_fraction": volatility(day_returns),
        "day_worst_fraction": float(day_returns.min()),
        "cvar95_day_fraction": tail_mean(day_returns, 0.05),
        "cvar99_day_fraction": tail_mean(day_returns, 0.01),
        "hedge_effectiveness": effectiveness(day_returns, unhedged_returns),
        "turnover": _over(float(series.traded_notional[-1]), mean * years),
        "cost_fraction": _over(costs, mean),
        "funding_fraction": _over(float(series.funding[-1]), mean),
        "liquidations": liquidations,
        "leverage_max": finite(float(series.leverage_max.max())),
        "leverage_above_3_seconds": above_seconds,
        "decisions": len(series.times_ns),
    }


def extras(
    series: Series,
    day_returns: Floats,
    unhedged_returns: Floats | None,
    *,
    start_ns: int,
    above_jumps: int,
    guard_acts: int,
    trades: int,
) -> dict[str, Figure]:
    """Return further figures.

    `hedge_effectiveness_downside` compares semivariances of losing days; `leverage_max_adverse` is
    the bound with every leg at its worst within the same bar, before the guard; `above_3_jumps`
    counts jumps between bars that led above 3.
    """
    years = (int(series.times_ns[-1]) - start_ns) / NS_PER_SECOND / SECONDS_PER_YEAR
    mean = float(series.equity.mean())
    costs = float(series.fees[-1] + series.slippage[-1])
    return {
        "hedge_effectiveness_downside": effectiveness(
            np.minimum(day_returns, 0.0), _losses(unhedged_returns), around_zero=True
        ),
        "cost_annual_fraction": _over(costs, mean * years),
        "funding_annual_fraction": _over(float(series.funding[-1]), mean * years),
        "leverage_max_adverse": finite(float(series.leverage_max_adverse.max())),
        "leverage_mean": float(series.leverage.mean()),
        "above_3_jumps": above_jumps,
        "guard_acts": guard_acts,
        "trades": trades,
        "equity_end": float(series.equity[-1]),
    }


def volatility(returns: Floats) -> float:
    """Return the annualised standard deviation of daily returns; 0 with fewer than two."""
    if len(returns) < 2:
        return 0.0
    return float(np.std(returns, ddof=1)) * sqrt(_DAYS_PER_YEAR)


def tail_mean(returns: Floats, part: float) -> float:
    """Return the mean of the lowest `part` of returns, of one day at least."""
    count = max(1, int(np.ceil(len(returns) * part)))
    return float(np.sort(returns)[:count].mean())


def effectiveness(
    returns: Floats, unhedged: Floats | None, *, around_zero: bool = False
) -> float | None:
    """Return 1 - Var(returns) / Var(unhedged); None = nothing to compare with.

    Source: Ederington, "The Hedging Performance of the New Futures Markets" (1979).
    """
    if unhedged is None:
        return None
    spread = _square_mean if around_zero else _variance
    whole = spread(unhedged)
    return 1.0 - spread(returns) / whole if whole > 0.0 else None


def finite(value: float) -> float | None:
    """Return a figure, None where it is infinite: JSON has no word for it."""
    return value if np.isfinite(value) else None


def _variance(values: Floats) -> float:
    return float(np.var(values))


def _square_mean(values: Floats) -> float:
    return float(np.mean(values * values))


def _losses(returns: Floats | None) -> Floats | None:
    return None if returns is None else np.minimum(returns, 0.0)


def _over(value: float, divisor: float) -> float:
    return value / divisor if divisor > 0.0 else 0.0
