"""The clock the daemon reads, the only one."""

import time
from typing import Final

from counterpoise.domain.units import NS_PER_SECOND

#: The wall clock may lead ours by this much before ours follows it, ns.
LEAD_NS_MAX: Final = NS_PER_SECOND // 20


class SystemClock:
    """`ports.Clock` on the operating system; never goes back.

    Between two readings it advances as the monotonic clock does. When the wall clock is ahead
    (a step forward, a machine that slept) it follows; when the wall clock was set back it does
    not, since ages, gaps and time limits must go on counting.
    """

    def __init__(self) -> None:
        self._wall_ns = time.time_ns()
        self._monotonic_ns = time.monotonic_ns()

    def now_ns(self) -> int:
        """Return ns since the epoch, UTC; never less than before."""
        ours = self._wall_ns + time.monotonic_ns() - self._monotonic_ns
        wall = time.time_ns()
        if wall - ours > LEAD_NS_MAX:
            self._wall_ns, self._monotonic_ns = wall, time.monotonic_ns()
            return wall
        return ours

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()
