"""OKX's rate limits of order entry: 60 operations in 2 s per instrument and kind of operation.

Batches count each order, 300 in 2 s (docs-v5 "Rate Limits"); one too many is 50011. New and amended
orders of all instruments together are 1,000 in 2 s; one too many is 50061.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

#: The rolling window, seconds.
WINDOW_SECONDS: Final = 2.0
#: Single operations of one kind on one instrument in the window.
SINGLE_MAX: Final = 60
#: Orders in batches of one kind on one instrument in the window.
BATCH_MAX: Final = 300
#: New and amended orders of the account in the window.
ACCOUNT_MAX: Final = 1_000


class Limits:
    """Counts operations. `seconds` is any clock that does not run back; None = no limits."""

    def __init__(self, seconds: Callable[[], float] | None = time.monotonic) -> None:
        self._seconds = seconds
        self._windows: dict[tuple[str, str], deque[float]] = {}

    def grant(self, operation: str, symbol: str) -> bool:
        """Count one operation on an instrument; False = it is one too many and not counted."""
        if self._seconds is None:
            return True
        now = self._seconds()
        most = BATCH_MAX if "batch" in operation else SINGLE_MAX
        return self._count((operation, symbol), most, now)

    def grant_account(self) -> bool:
        """Count one new or amended order of any instrument; False = one too many, not counted."""
        return self._seconds is None or self._count(("account", ""), ACCOUNT_MAX, self._seconds())

    def _count(self, what: tuple[str, str], most: int, now: float) -> bool:
        window = self._windows.setdefault(what, deque())
        while window and window[0] <= now - WINDOW_SECONDS:
            window.popleft()
        if len(window) >= most:
            return False
        window.append(now)
        return True
