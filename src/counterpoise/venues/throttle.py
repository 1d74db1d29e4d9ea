"""Our own count of requests, so that a venue never has to refuse one.

ccxt's limiter is one queue for everything: a cancel waited seconds behind candles there. What a
reduction needs is kept free in all three places where a flood could use it up: the venue's limit
of orders, the sockets of the client, and our own queue, which a reduction does not enter.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Final

from asyncio_throttle import Throttler


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneLimits:
    """What each lane allows in a period. A venue's own figures are in its `throttle`."""

    #: Window the lanes of reads are counted in, seconds.
    period_seconds: float
    #: Window of increases and cancels, seconds; None = the same.
    order_period_seconds: float | None = None
    #: Account, positions, history.
    reads: int
    #: Mark candles and their history.
    candles: int
    #: Increases; the rest of what the venue allows is kept for reductions.
    increases: int
    #: Cancels.
    cancels: int
    #: Books asked for by REST; 0 = the venue's streams bring theirs.
    snapshots: int = 0


#: A server on this machine counts nothing; these bound a loop gone wrong.
LOOPBACK_LIMITS: Final = LaneLimits(
    period_seconds=2.0, reads=2_000, candles=20_000, increases=2_000, cancels=2_000, snapshots=2_000
)

#: Increases, and cancels, that may await an answer at once. The order client has 100 sockets: with
#: a venue that hangs, the others are still free for reductions.
IN_FLIGHT_MAX: Final = 30


class Lanes:
    """One limiter per kind of request; a reduction has none and never waits.

    Where a venue counts weight instead of requests, a request takes its lane as often as it
    weighs.
    """

    def __init__(self, limits: LaneLimits) -> None:
        period = limits.period_seconds
        self._reads = Throttler(limits.reads, period=period)
        self._candles = Throttler(limits.candles, period=period)
        order_period = limits.order_period_seconds or period
        self._increases = Throttler(limits.increases, period=order_period)
        self._cancels = Throttler(limits.cancels, period=order_period)
        self._snapshots = Throttler(max(limits.snapshots, 1), period=period)
        self._increases_at_work = asyncio.Semaphore(IN_FLIGHT_MAX)
        self._cancels_at_work = asyncio.Semaphore(IN_FLIGHT_MAX)

    def read(self, weight: int = 1) -> AbstractAsyncContextManager[None]:
        """Return the lane of reads."""
        return _weighed(self._reads, weight)

    def candle(self, weight: int = 1) -> AbstractAsyncContextManager[None]:
        """Return the lane of candles."""
        return _weighed(self._candles, weight)

    def snapshot(self, weight: int = 1) -> AbstractAsyncContextManager[None]:
        """Return the lane of books asked for by REST."""
        return _weighed(self._snapshots, weight)

    def order(self, *, reduce_only: bool) -> AbstractAsyncContextManager[None]:
        """Return the lane of an order; a reduction passes at once."""
        return nullcontext() if reduce_only else _both(self._increases_at_work, self._increases)

    def cancel(self) -> AbstractAsyncContextManager[None]:
        """Return the lane of a cancel."""
        return _both(self._cancels_at_work, self._cancels)


@asynccontextmanager
async def _weighed(throttler: Throttler, weight: int) -> AsyncIterator[None]:
    for _ in range(weight):
        await throttler.acquire()
    yield


@asynccontextmanager
async def _both(at_work: asyncio.Semaphore, throttler: Throttler) -> AsyncIterator[None]:
    async with at_work, throttler:
        yield
