"""Our own count of requests, so that OKX never has to refuse one (venues.md section 4).

ccxt's limiter is one queue for everything: a cancel waited seconds behind candles there. What a
reduction needs is kept free in all three places where a flood could use it up: OKX's limit of
orders, the sockets of the client, and our own queue, which a reduction does not enter.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
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
    #: Cancels; OKX allows 60 per instrument and counts them apart from orders.
    cancels: int


#: Below OKX's limits, because its window does not start when ours does.
VENUE_LIMITS: Final = LaneLimits(reads=8, candles=18, increases=40, cancels=50)

#: A server on this machine counts nothing; these bound a loop gone wrong.
LOOPBACK_LIMITS: Final = LaneLimits(reads=2_000, candles=20_000, increases=2_000, cancels=2_000)


#: Increases, and cancels, that may await an answer at once. The order client has 100 sockets: with
#: a venue that hangs, the others are still free for reductions.
IN_FLIGHT_MAX: Final = 30


class Lanes:
    """One limiter per kind of request; a reduction has none and never waits."""

    def __init__(self, limits: LaneLimits) -> None:
        self._reads = Throttler(limits.reads, period=_PERIOD_SECONDS)
        self._candles = Throttler(limits.candles, period=_PERIOD_SECONDS)
        self._increases = Throttler(limits.increases, period=_PERIOD_SECONDS)
        self._cancels = Throttler(limits.cancels, period=_PERIOD_SECONDS)
        self._increases_at_work = asyncio.Semaphore(IN_FLIGHT_MAX)
        self._cancels_at_work = asyncio.Semaphore(IN_FLIGHT_MAX)

    def read(self) -> Throttler:
        """Return the lane of reads."""
        return self._reads

    def candle(self) -> Throttler:
        """Return the lane of candles."""
        return self._candles

    def order(self, *, reduce_only: bool) -> AbstractAsyncContextManager[None]:
        """Return the lane of an order; a reduction passes at once."""
        return nullcontext() if reduce_only else _both(self._increases_at_work, self._increases)

    def cancel(self) -> AbstractAsyncContextManager[None]:
        """Return the lane of a cancel."""
        return _both(self._cancels_at_work, self._cancels)


@asynccontextmanager
async def _both(at_work: asyncio.Semaphore, throttler: Throttler) -> AsyncIterator[None]:
    async with at_work, throttler:
        yield
