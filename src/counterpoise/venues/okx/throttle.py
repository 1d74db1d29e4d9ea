"""Our own count of requests, so that OKX never has to refuse one (venues.md section 4).

ccxt's limiter is one queue for everything: a cancel waited seconds behind candles there.
"""

from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Final

from asyncio_throttle import Throttler

#: The window all of OKX's limits are counted in, seconds.
_PERIOD_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneLimits:
    """Requests allowed per two seconds in each lane."""

    #: Account, positions, history: OKX's tightest is 10, config has 5 and is asked once.
    reads: int
    #: Mark candles and their history: OKX allows 20 per address.
    candles: int
    #: Increases; OKX allows 60 orders per instrument, the rest is kept for reductions.
    increases: int


#: Below OKX's limits, because its window does not start when ours does.
VENUE_LIMITS: Final = LaneLimits(reads=8, candles=18, increases=40)

#: A server on this machine counts nothing; these bound a loop gone wrong.
LOOPBACK_LIMITS: Final = LaneLimits(reads=2_000, candles=20_000, increases=2_000)


class Lanes:
    """One limiter per kind of request; reductions and cancels have none and never wait."""

    def __init__(self, limits: LaneLimits) -> None:
        self._reads = Throttler(limits.reads, period=_PERIOD_SECONDS)
        self._candles = Throttler(limits.candles, period=_PERIOD_SECONDS)
        self._increases = Throttler(limits.increases, period=_PERIOD_SECONDS)

    def read(self) -> Throttler:
        """Return the lane of reads."""
        return self._reads

    def candle(self) -> Throttler:
        """Return the lane of candles."""
        return self._candles

    def order(self, *, reduce_only: bool) -> AbstractAsyncContextManager[None]:
        """Return the lane of an order; a reduction passes at once."""
        return nullcontext() if reduce_only else self._increases
