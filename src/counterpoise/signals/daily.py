"""How steady the correlation to the core is from day to day."""

from collections import deque

import numpy as np

from counterpoise.signals.ewma import Block, Floats


class DailyCorrelation:
    """One correlation to the core per column and UTC day, over the last days."""

    __slots__ = ("_closed", "_core", "_day_seconds_min", "_days", "_stdev", "_sums")

    def __init__(self, columns: int, core: int, days: int, day_seconds_min: int) -> None:
        """Start without a day; a day counts once it holds `day_seconds_min` of returns."""
        self._core = core
        self._days = days
        self._day_seconds_min = day_seconds_min
        # Rows: core x column, core squared, column squared, seconds; of the day that is not over.
        self._sums = np.zeros((4, columns))
        # (day, correlations with NaN where the day does not count), oldest first.
        self._closed: deque[tuple[int, Floats]] = deque(maxlen=days)
        # The day and the answer of the last question; None = asked nothing since a day closed.
        self._stdev: tuple[int, Floats] | None = None

    def absorb(self, block: Block) -> None:
        """Add samples of the day that is not over."""
        spans = block.span_seconds[:, None]
        values = block.values
        present = np.ones_like(values) if block.present is None else block.present
        core = values[:, [self._core]]
        both = spans * present * present[:, [self._core]]
        self._sums += np.stack(
            (
                (both * core * values).sum(axis=0),
                (both * core * core).sum(axis=0),
                (both * values * values).sum(axis=0),
                both.sum(axis=0),
            )
        )

    def close(self, day: int) -> None:
        """End a day, counted from the epoch; the next samples belong to a later one."""
        cross, core, own, seconds = self._sums
        counts = (seconds >= self._day_seconds_min) & (core > 0.0) & (own > 0.0)
        correlation = np.full(len(cross), np.nan)
        correlation[counts] = cross[counts] / np.sqrt(core[counts] * own[counts])
        self._closed.append((day, correlation))
        self._sums = np.zeros_like(self._sums)
        self._stdev = None

    def stdev(self, today: int) -> Floats:
        """Return the sample standard deviation per column, NaN with fewer than two days.

        Only the last days before `today` count.
        """
        if self._stdev is not None and self._stdev[0] == today:
            return self._stdev[1]
        rows = [correlation for day, correlation in self._closed if day >= today - self._days]
        result = np.full(self._sums.shape[1], np.nan)
        if rows:
            table = np.stack(rows)
            for column in range(table.shape[1]):
                values = table[:, column][~np.isnan(table[:, column])]
                if len(values) >= 2:
                    result[column] = float(np.std(values, ddof=1))
        self._stdev = (today, result)
        return result
