"""Market time: the wall clock, a multiple of it, or only what a lock-step client grants."""

import time
from typing import Final

from counterpoise.domain import units

#: Fastest market, seconds per second of the wall clock.
SPEED_MAX: Final = 10_000.0


class Clock:
    """What time it is at the venue.

    `speed` 1 without an offset is the wall clock; 0 stands still until `grant` moves it; any
    other factor runs from `opened_ns` at that multiple of the wall clock.
    """

    def __init__(self, *, speed: float = 1.0, opened_ns: int | None = None) -> None:
        if not 0 <= speed <= SPEED_MAX:
            raise ValueError(f"speed={speed}; 0 (lock-step) to {SPEED_MAX:g}")
        self.speed = speed
        self._wall_ns = time.time_ns()
        self._opened_ns = self._wall_ns if opened_ns is None else opened_ns
        #: What a clock jump added to the time the venue tells, ns; the market does not jump.
        self.jump_ns = 0

    @property
    def lock_step(self) -> bool:
        """Whether time passes only when granted."""
        return self.speed == 0

    def now_ns(self) -> int:
        """Return market time, ns."""
        if self.speed == 0:
            return self._opened_ns
        elapsed_ns = time.time_ns() - self._wall_ns
        if self.speed == 1:
            return self._opened_ns + elapsed_ns
        return self._opened_ns + int(elapsed_ns * self.speed)

    def told_ns(self) -> int:
        """Return the server time clients are told, ns: market time and a clock jump, if any."""
        return self.now_ns() + self.jump_ns

    def grant(self, seconds: float) -> int:
        """Let a lock-step market run on; return its new time, ns. ValueError: it has a speed."""
        if not self.lock_step:
            raise ValueError("the market runs by itself; only speed 0 is stepped")
        if seconds < 0:
            raise ValueError(f"seconds={seconds}; time does not run back")
        self._opened_ns += round(seconds * units.NS_PER_SECOND)
        return self._opened_ns

    def restart(self, at_ns: int) -> None:
        """Go on from an instant of the market, now."""
        self._wall_ns = time.time_ns()
        self._opened_ns = at_ns

    def stamp_age_seconds(self, stamp_ns: int) -> float:
        """Return how far a signed request's stamp is off, seconds, never negative.

        Clients stamp by their own clock or by the server time they were told; at speed 1 these
        are one. Elsewhere the nearer of both counts.
        """
        wall_ns = time.time_ns() + self.jump_ns
        nearer = min(abs(wall_ns - stamp_ns), abs(self.told_ns() - stamp_ns))
        return nearer / units.NS_PER_SECOND
