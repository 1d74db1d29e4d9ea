"""How much is being liquidated now, against the minutes of the last day."""

from collections import deque
from math import ceil
from typing import Final

from counterpoise.domain.units import NS_PER_SECOND

#: Minutes that are compared with.
LIQUIDATION_MINUTES: Final = 24 * 60

#: Observed minutes before anything is called unusual.
LIQUIDATION_MINUTES_MIN: Final = 60

#: Share of the minutes that lie at or below the figure told.
LIQUIDATION_QUANTILE: Final = 0.999

_SECONDS_PER_MINUTE: Final = 60


class Liquidations:
    """Quote notional of liquidation prints: the last minute, and a high quantile of 24 hours.

    Minutes without a print count as zero once the first print has shown that there is a feed.
    Memory is bounded by 60 seconds and 1,440 minutes.
    """

    __slots__ = ("_first_minute", "_high", "_minutes", "_seconds")

    def __init__(self) -> None:
        """Start without a print."""
        # (second, quote) of the last minute, oldest first.
        self._seconds: deque[tuple[int, float]] = deque(maxlen=_SECONDS_PER_MINUTE)
        # (minute, quote) of minutes with a print, oldest first; the last one may not be over.
        self._minutes: deque[tuple[int, float]] = deque(maxlen=LIQUIDATION_MINUTES + 1)
        self._first_minute: int | None = None
        # The minute of the last question and its answer.
        self._high: tuple[int, float | None] = (-1, None)

    def record(self, received_ns: int, notional: float) -> None:
        """Count one print of `notional` quote; one from before the newest counts with the newest."""
        second = received_ns // NS_PER_SECOND
        if self._seconds:
            second = max(second, self._seconds[-1][0])
        minute = second // _SECONDS_PER_MINUTE
        if self._first_minute is None:
            self._first_minute = minute
        _add(self._seconds, second, notional)
        _add(self._minutes, minute, notional)

    def last_minute(self, now_ns: int) -> float | None:
        """Return the quote notional of the last 60 s; None = there was never a print."""
        if self._first_minute is None:
            return None
        oldest = now_ns // NS_PER_SECOND - _SECONDS_PER_MINUTE
        return sum((quote for second, quote in self._seconds if second > oldest), 0.0)

    def high(self, now_ns: int) -> float | None:
        """Return the 99.9th percentile of whole minutes of 24 hours, by nearest rank.

        None = less than an hour since the first print.
        """
        minute = now_ns // NS_PER_SECOND // _SECONDS_PER_MINUTE
        if self._high[0] != minute:
            self._high = (minute, self._figure(minute))
        return self._high[1]

    def _figure(self, minute: int) -> float | None:
        if self._first_minute is None:
            return None
        observed = min(minute - self._first_minute, LIQUIDATION_MINUTES)
        if observed < LIQUIDATION_MINUTES_MIN:
            return None
        printed = sorted(quote for one, quote in self._minutes if minute - observed <= one < minute)
        # Counted from the top: the minutes without a print stand below all others.
        place = observed - ceil(LIQUIDATION_QUANTILE * observed)
        return printed[-1 - place] if place < len(printed) else 0.0


def _add(entries: deque[tuple[int, float]], key: int, quote: float) -> None:
    if entries and entries[-1][0] == key:
        entries[-1] = (key, entries[-1][1] + quote)
    else:
        entries.append((key, quote))
