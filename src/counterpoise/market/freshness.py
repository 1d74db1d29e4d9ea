"""How old inputs are and how late they come.

A value that does not change is still true as long as its stream proves itself alive, by data or
by a pong. Once the stream is gone the value ages from the last such proof, and only a new value
on the new connection makes it fresh again.
"""

from collections import deque
from dataclasses import dataclass, fields
from math import ceil
from typing import Final

from counterpoise.domain.units import NS_PER_MS, NS_PER_SECOND

#: Length of the latency window, seconds.
LATENCY_WINDOW_SECONDS: Final = 60

#: Resolution of a recorded latency, ns (0.5 ms; the limits are a hundred times as long).
LATENCY_STEP_NS: Final = 500_000

#: Latencies are recorded within plus and minus this, so that one bad clock cannot fill memory.
LATENCY_MS_MAX: Final = 60_000

_STEPS_PER_MS: Final = NS_PER_MS // LATENCY_STEP_NS
_STEP_MAX: Final = LATENCY_MS_MAX * _STEPS_PER_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshnessLimits:
    """Beyond which age or delay an input no longer counts; one set per venue.

    Raises ValueError where a limit is not positive or the warning is above the limit.
    """

    #: Age of a mark, ms.
    mark_ms_max: int = 15_000
    #: Age of a book, ms.
    book_ms_max: int = 60_000
    #: Age of the account stream's last proof of life, ms.
    account_ms_max: int = 15_000
    #: p99 latency above which nothing increases, ms.
    latency_ms_max: int = 200
    #: p99 latency above which a warning is recorded, ms.
    latency_ms_warn: int = 100
    #: Size of venue clock minus ours above which nothing increases, ms.
    clock_offset_ms_max: int = 500

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) <= 0:
                raise ValueError(f"{field.name}={getattr(self, field.name)} must be positive")
        if self.latency_ms_warn > self.latency_ms_max:
            raise ValueError(
                f"latency_ms_warn={self.latency_ms_warn} must not be above "
                f"latency_ms_max={self.latency_ms_max}"
            )


class Liveness:
    """When one stream last proved itself alive."""

    __slots__ = ("proof_ns",)

    def __init__(self) -> None:
        #: Our clock at the newest proof, ns; None = never.
        self.proof_ns: int | None = None

    def prove(self, received_ns: int) -> None:
        """Take data or a pong received then as proof."""
        if self.proof_ns is None or received_ns > self.proof_ns:
            self.proof_ns = received_ns


class Confirmation:
    """Until when one value of a stream is known to have been true."""

    __slots__ = ("_frozen_ns", "_known")

    def __init__(self) -> None:
        self._known = False
        # None = the value came on the present connection and lives as long as its stream.
        self._frozen_ns: int | None = None

    def renew(self) -> None:
        """Tie the value to the present connection: it just arrived there."""
        self._known = True
        self._frozen_ns = None

    def freeze(self, liveness: Liveness) -> None:
        """Let the value age from the last proof: its connection is gone."""
        if self._frozen_ns is None:
            self._frozen_ns = liveness.proof_ns

    def forget(self) -> None:
        """There is no value any more."""
        self._known = False
        self._frozen_ns = None

    def age_ms(self, liveness: Liveness, now_ns: int) -> int | None:
        """Return whole ms since the value was last known true, rounded up; None = no value."""
        if not self._known:
            return None
        confirmed_ns = self._frozen_ns if self._frozen_ns is not None else liveness.proof_ns
        assert confirmed_ns is not None, "a value arrived without proving its stream alive"
        return max(0, -((confirmed_ns - now_ns) // NS_PER_MS))


class LatencyTracker:
    """Received minus event time over the last minute, in counts per 0.5 ms and second.

    Bounded whatever the message rate: a second holds one count per distinct latency step.
    """

    __slots__ = ("_counts", "_seconds", "clock_offset_ns")

    def __init__(self) -> None:
        #: Venue clock minus ours, ns; taken out of every latency recorded from then on.
        self.clock_offset_ns = 0
        # (second, count by latency step), oldest first, and the sum of all of them.
        self._seconds: deque[tuple[int, dict[int, int]]] = deque()
        self._counts: dict[int, int] = {}

    def record(self, event_ns: int, received_ns: int) -> None:
        """Count one message."""
        second = received_ns // NS_PER_SECOND
        if not self._seconds or self._seconds[-1][0] < second:
            self._seconds.append((second, {}))
            while self._seconds[0][0] <= second - LATENCY_WINDOW_SECONDS:
                _subtract(self._counts, self._seconds.popleft()[1])
        step = (received_ns - event_ns + self.clock_offset_ns) // LATENCY_STEP_NS
        step = max(-_STEP_MAX, min(_STEP_MAX, step))
        newest = self._seconds[-1][1]
        newest[step] = newest.get(step, 0) + 1
        self._counts[step] = self._counts.get(step, 0) + 1

    def quantiles_ms(self, now_ns: int) -> tuple[float, float] | None:
        """Return p50 and p99 by nearest rank, ms; None = nothing received in the window."""
        counts = self._counts
        oldest = now_ns // NS_PER_SECOND - LATENCY_WINDOW_SECONDS
        if self._seconds and self._seconds[0][0] <= oldest:
            # The feed is quiet: what has run out since the last message is left out here.
            counts = dict(counts)
            for second, gone in self._seconds:
                if second <= oldest:
                    _subtract(counts, gone)
        if not counts:
            return None
        steps = sorted(counts)
        total = sum(counts.values())
        return _rank(steps, counts, ceil(0.50 * total)), _rank(steps, counts, ceil(0.99 * total))


def _subtract(counts: dict[int, int], gone: dict[int, int]) -> None:
    for step, count in gone.items():
        counts[step] -= count
        if counts[step] == 0:
            del counts[step]


def _rank(steps: list[int], counts: dict[int, int], rank: int) -> float:
    # The latency, ms, of the message at a rank counted from 1 at the fastest.
    seen = 0
    position = -1
    while seen < rank:
        position += 1
        seen += counts[steps[position]]
    return steps[position] / _STEPS_PER_MS
