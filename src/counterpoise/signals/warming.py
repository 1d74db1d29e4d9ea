"""Mark candles as rows of samples, so that the first decision needs no wait."""

from collections.abc import Iterator, Mapping, Sequence
from math import inf, log, nan

import numpy as np

from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.signals.ewma import Floats

#: A complete mark candle: open, venue clock, ns; length, seconds; close, quote per base.
WarmCandle = tuple[int, int, float]


def rows(
    candles: Mapping[str, Sequence[WarmCandle]], instrument_ids: Sequence[str]
) -> Iterator[tuple[int, Floats]]:
    """Yield time (ns, a candle's end) and log closes, NaN where missing, oldest first.

    Candles of several lengths may be mixed in any order: the longer ones count until the
    shorter ones begin, so that no time counts twice.
    """
    columns = [_closes(candles.get(instrument_id, ())) for instrument_id in instrument_ids]
    for time_ns in sorted(set().union(*columns)):
        yield time_ns, np.array([log_mark(closes.get(time_ns)) for closes in columns])


def first_open_ns(candles: Sequence[WarmCandle]) -> int | None:
    """Return when the oldest usable candle opened, ns; None = there is none."""
    return min((candle[0] for candle in candles if 0.0 < candle[2] < inf), default=None)


def log_mark(mark: float | None) -> float:
    """Return the logarithm of a mark; NaN = missing or not a price."""
    return log(mark) if mark is not None and 0.0 < mark < inf else nan


def _closes(candles: Sequence[WarmCandle]) -> dict[int, float]:
    # Closes by end time. From the shortest candles up, each length ends where a shorter begins.
    closes: dict[int, float] = {}
    until_ns: float = inf
    for step_seconds in sorted({candle[1] for candle in candles}):
        assert step_seconds > 0, "a candle's length must be positive"
        of_step = [candle for candle in candles if candle[1] == step_seconds]
        for open_ns, _, close in of_step:
            end_ns = open_ns + step_seconds * NS_PER_SECOND
            if end_ns <= until_ns:
                closes[end_ns] = close
        until_ns = min(until_ns, *(candle[0] for candle in of_step))
    return closes
