"""The clock the daemon reads, the only one."""

import time
from typing import Final

from counterpoise.domain.units import NS_PER_SECOND

#: The wall clock may lead ours by this much before ours follows it, ns.
LEAD_NS_MAX: Final = NS_PER_SECOND // 20
#: A lead is let go of at one part in so many: a minute of it in eight, and what is measured in
#: seconds takes an eighth longer meanwhile.
SLOWER_BY: Final = 8


class SystemClock:
    """`ports.Clock` on the operating system; never goes back.

    Between two readings it advances as the monotonic clock does. When the wall clock is ahead
    (a step forward, a machine that slept) it follows; when the wall clock was set back it does
    not, since ages, gaps and time limits must go on counting. Only where a venue says as well that
    this clock is ahead (`give_way`) it runs slower until it is not.
    """

    def __init__(self) -> None:
        self._wall_ns = time.time_ns()
        self._monotonic_ns = time.monotonic_ns()
        # By how much it runs behind the monotonic clock from here on, in the end.
        self._lead_ns = 0

    def now_ns(self) -> int:
        """Return ns since the epoch, UTC; never less than before."""
        passed = time.monotonic_ns() - self._monotonic_ns
        ours = self._wall_ns + passed - min(self._lead_ns, passed // SLOWER_BY)
        wall = time.time_ns()
        if wall - ours > LEAD_NS_MAX:
            self._set(wall, lead_ns=0)
            return wall
        return ours

    def give_way(self, ahead_ns: int) -> None:
        """Let go of a lead, slowly; `ahead_ns` = how far a venue's clock says this one is ahead.

        What the wall clock does not confirm is not let go of.
        """
        ours = self.now_ns()
        lead_ns = min(ahead_ns, ours - time.time_ns())
        self._set(ours, lead_ns=lead_ns if lead_ns > LEAD_NS_MAX else 0)

    def _set(self, wall_ns: int, *, lead_ns: int) -> None:
        self._wall_ns, self._monotonic_ns = wall_ns, time.monotonic_ns()
        self._lead_ns = lead_ns

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()
