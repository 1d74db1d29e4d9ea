"""What is normal for one book: depth and spread now against their last 24 hours."""

from collections import deque
from statistics import median
from typing import Final

from counterpoise.domain.units import NS_PER_SECOND

#: Window of the present depth, seconds.
DEPTH_WINDOW_SECONDS: Final = 60

#: Window of the present spread, seconds.
SPREAD_WINDOW_SECONDS: Final = 5

#: Length of what is normal, minutes.
BASELINE_MINUTES: Final = 24 * 60

#: Observed minutes before anything is called normal.
BASELINE_MINUTES_MIN: Final = 60

#: A thin book must last this long to count, seconds.
HELD_SECONDS: Final = 30

#: Samples in that time that make it measured; half of them may be missing.
HELD_SAMPLES_MIN: Final = 15

#: Depth that goes within this is called a fall, seconds.
FALL_SECONDS: Final = 180

#: How long a fall is remembered, seconds: a decision every 15 minutes must see the one between.
FALL_MEMORY_SECONDS: Final = 900

_SECONDS_PER_MINUTE: Final = 60


class Baseline:
    """Medians of depth and spread, sampled at most once a second.

    24 hours are kept as one median per minute, and depth against normal as its highest and lowest
    of sliding windows, so memory is bounded by 1,440 minutes and some hundred seconds.
    """

    __slots__ = (
        "_depth_normal",
        "_falls",
        "_held",
        "_highest",
        "_minutes",
        "_open_minute",
        "_recent",
        "_spread_normal",
    )

    def __init__(self) -> None:
        # (second, depth, spread), oldest first: the last minute.
        self._recent: deque[tuple[int, float, float]] = deque(maxlen=DEPTH_WINDOW_SECONDS)
        # (minute, median depth, median spread), oldest first: closed minutes.
        self._minutes: deque[tuple[int, float, float]] = deque(maxlen=BASELINE_MINUTES)
        # Samples of the minute that is not over.
        self._open_minute: list[tuple[int, float, float]] = []
        self._depth_normal: float | None = None
        self._spread_normal: float | None = None
        # (second, depth fraction) of the last 30 s, oldest first.
        self._held: deque[tuple[int, float]] = deque(maxlen=HELD_SECONDS)
        # Falling depth fractions of the last 3 minutes: the first one is the highest.
        self._highest: deque[tuple[int, float]] = deque()
        # Rising depth fractions over the highest before them, of the last 15 minutes.
        self._falls: deque[tuple[int, float]] = deque()

    def due(self, now_ns: int) -> bool:
        """Tell whether this second has no sample yet."""
        return not self._recent or self._recent[-1][0] < now_ns // NS_PER_SECOND

    def sample(self, now_ns: int, depth_quote: float, spread_fraction: float) -> None:
        """Add a sample; a second one in the same second, or an older one, changes nothing.

        `depth_quote` is the thinner side's quote notional, `spread_fraction` (ask - bid) / mid.
        """
        if not self.due(now_ns):
            return
        second = now_ns // NS_PER_SECOND
        minute = second // _SECONDS_PER_MINUTE
        if self._open_minute and self._open_minute[0][0] // _SECONDS_PER_MINUTE < minute:
            self._close_minute(minute)
        sample = (second, depth_quote, spread_fraction)
        self._recent.append(sample)
        self._open_minute.append(sample)
        fraction = self.depth_fraction(now_ns)
        if fraction is not None:
            self._measured(second, fraction)

    def depth_fraction_high(self, now_ns: int) -> float | None:
        """Return the highest depth fraction of the last 30 s; None = not measured for so long."""
        oldest = now_ns // NS_PER_SECOND - HELD_SECONDS
        held = [fraction for second, fraction in self._held if second > oldest]
        return max(held) if len(held) >= HELD_SAMPLES_MIN else None

    def depth_fall_fraction(self, now_ns: int) -> float | None:
        """Return the deepest fall of the last 15 minutes; None = not measured.

        That is the smallest of depth fraction over its highest of the 3 minutes before: 0.35 = 65 %
        of the depth went within 3 minutes, 1 = none did.
        """
        oldest = now_ns // NS_PER_SECOND - FALL_MEMORY_SECONDS
        return next((fall for second, fall in self._falls if second > oldest), None)

    def depth_fraction(self, now_ns: int) -> float | None:
        """Return the 60 s median of depth / its 24 h median.

        None = not one hour observed, or no sample in the window.
        """
        window = self._window(now_ns, DEPTH_WINDOW_SECONDS)
        if self._depth_normal is None or not window:
            return None
        return median(sample[1] for sample in window) / self._depth_normal

    def spread_ratio(self, now_ns: int) -> float | None:
        """Return the 5 s median of spread / its 24 h median; None as for the depth."""
        window = self._window(now_ns, SPREAD_WINDOW_SECONDS)
        if self._spread_normal is None or not window:
            return None
        return median(sample[2] for sample in window) / self._spread_normal

    def _window(self, now_ns: int, seconds: int) -> list[tuple[int, float, float]]:
        oldest = now_ns // NS_PER_SECOND - seconds
        return [sample for sample in self._recent if sample[0] > oldest]

    def _measured(self, second: int, fraction: float) -> None:
        self._held.append((second, fraction))
        highest, falls = self._highest, self._falls
        while highest and highest[-1][1] <= fraction:
            highest.pop()
        highest.append((second, fraction))
        while highest[0][0] <= second - FALL_SECONDS:
            highest.popleft()
        most = highest[0][1]
        fall = fraction / most if most > 0.0 else 1.0
        while falls and falls[-1][1] >= fall:
            falls.pop()
        falls.append((second, fall))
        while falls[0][0] <= second - FALL_MEMORY_SECONDS:
            falls.popleft()

    def _close_minute(self, minute: int) -> None:
        closed = self._open_minute
        self._minutes.append(
            (
                closed[0][0] // _SECONDS_PER_MINUTE,
                median(sample[1] for sample in closed),
                median(sample[2] for sample in closed),
            )
        )
        self._open_minute = []
        while self._minutes and self._minutes[0][0] < minute - BASELINE_MINUTES:
            self._minutes.popleft()
        self._depth_normal = self._spread_normal = None
        if len(self._minutes) >= BASELINE_MINUTES_MIN:
            # A median of zero is no yardstick: it stays unknown.
            self._depth_normal = median(entry[1] for entry in self._minutes) or None
            self._spread_normal = median(entry[2] for entry in self._minutes) or None
