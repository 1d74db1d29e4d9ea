"""The machine's clock, the only one the daemon reads."""

import time


class SystemClock:
    """`ports.Clock` on the operating system."""

    def now_ns(self) -> int:
        """Return ns since the epoch, UTC."""
        return time.time_ns()

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()
