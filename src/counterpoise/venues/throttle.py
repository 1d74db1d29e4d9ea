"""Our own count of requests, so that a venue never has to refuse one.

ccxt's limiter is one queue for everything: a cancel waited seconds behind candles there. What a
reduction needs is kept free in all three places where a flood could use it up: the venue's limit
of orders, the sockets of the client, and our own queue, which a reduction does not enter.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from enum import Enum
from typing import Final

from asyncio_throttle import Throttler

from counterpoise.domain.errors import VenueRejected, VenueUnreachable


class Lane(Enum):
    """Kinds of requests that are counted; a reduction is of none."""

    READS = "reads"
    CANDLES = "candles"
    INCREASES = "increases"
    CANCELS = "cancels"
    SNAPSHOTS = "snapshots"


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneLimits:
    """What each lane allows in a period. A venue's own figures are in its `throttle`."""

    #: Window the lanes of reads are counted in, seconds.
    period_seconds: float
    #: Window of increases and cancels, seconds; None = the same.
    order_period_seconds: float | None = None
    #: Account, positions, history.
    reads: int
    #: How many of those may come at once; the others follow evenly, so that what is asked for again
    #: and again does not use a window up at its begin and then wait for its end. A window may hold
    #: `reads` and as many more. 0 = all at once, and then none until the window moves on.
    reads_at_once: int = 0
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


#: A lane the venue has closed for longer than this refuses at once; shorter ones are waited for.
WAIT_SECONDS_MAX: Final = 60.0

#: An increase that is not let in after this is given up: it was allowed on a look at the lease and
#: the account that must not be older than a second when the bytes leave.
INCREASE_WAITS_SECONDS_MAX: Final = 0.5

#: What a venue says of closing is believed for this long at most; then one request asks anew.
CLOSED_SECONDS_MAX: Final = 600.0


class Lanes:
    """One limiter per kind of request; a reduction has none and never waits.

    Where a venue counts weight instead of requests, a request takes its lane as often as it
    weighs. What the venue tells while it runs, new limits and a count that others share, is taken
    by `allow` and `close`.
    """

    def __init__(self, limits: LaneLimits) -> None:
        #: What the lanes allow now.
        self.limits = limits
        order_period = limits.order_period_seconds or limits.period_seconds
        self._lanes: Mapping[Lane, _Throttle] = {
            lane: _Throttle(
                most,
                order_period if lane in {Lane.INCREASES, Lane.CANCELS} else limits.period_seconds,
            )
            for lane, most in _by_lane(limits).items()
        }
        self._lanes[Lane.READS].at_once = limits.reads_at_once
        self._increases_at_work = asyncio.Semaphore(IN_FLIGHT_MAX)
        self._cancels_at_work = asyncio.Semaphore(IN_FLIGHT_MAX)

    def allow(self, limits: LaneLimits) -> None:
        """Count by other limits from now on; their windows are as long as before."""
        assert limits.period_seconds == self.limits.period_seconds, "a window keeps its length"
        assert limits.order_period_seconds == self.limits.order_period_seconds, "and this one"
        self.limits = limits
        for lane, most in _by_lane(limits).items():
            self._lanes[lane].most = most
        self._lanes[Lane.READS].at_once = limits.reads_at_once

    def close(self, seconds: float, *lanes: Lane) -> None:
        """Let nothing into these lanes for a time the venue named, seconds."""
        until = time.monotonic() + min(seconds, CLOSED_SECONDS_MAX)
        for lane in lanes:
            throttle = self._lanes[lane]
            throttle.closed_until = max(throttle.closed_until, until)

    def closed_seconds(self, lane: Lane) -> float:
        """Return for how long a lane is closed yet, seconds; 0 = it is open."""
        return self._lanes[lane].closed_seconds

    def read(self, weight: int = 1) -> AbstractAsyncContextManager[None]:
        """Return the lane of reads; entering raises VenueUnreachable while it is closed for long."""
        return _weighed(self._lanes[Lane.READS], weight)

    def candle(self, weight: int = 1) -> AbstractAsyncContextManager[None]:
        """Return the lane of candles."""
        return _weighed(self._lanes[Lane.CANDLES], weight)

    def snapshot(self, weight: int = 1) -> AbstractAsyncContextManager[None]:
        """Return the lane of books asked for by REST."""
        return _weighed(self._lanes[Lane.SNAPSHOTS], weight)

    def order(self, *, reduce_only: bool) -> AbstractAsyncContextManager[None]:
        """Return the lane of an order; a reduction passes at once.

        Entering raises VenueRejected LANE_BUSY for an increase that would wait too long.
        """
        if reduce_only:
            return nullcontext()
        return _soon(self._increases_at_work, self._lanes[Lane.INCREASES])

    def cancel(self) -> AbstractAsyncContextManager[None]:
        """Return the lane of a cancel."""
        return _both(self._cancels_at_work, self._lanes[Lane.CANCELS])


class _Throttle:
    # One lane: so many in a window, and none at all while the venue has closed it.

    def __init__(self, most: int, period_seconds: float) -> None:
        self._throttler = Throttler(most, period=period_seconds)
        self._period_seconds = period_seconds
        #: See `LaneLimits.reads_at_once`.
        self.at_once = 0
        #: When the next one is due if they follow evenly, monotonic seconds.
        self._due = 0.0
        #: Whoever came first enters first, with all that it weighs: taken in parts and by whoever
        #: looks at the right moment, a heavy request would starve behind light ones.
        self.turn = asyncio.Lock()
        #: Until when nothing enters, monotonic seconds.
        self.closed_until = 0.0

    @property
    def most(self) -> int:
        rate: int = self._throttler.rate_limit
        return rate

    @most.setter
    def most(self, most: int) -> None:
        self._throttler.rate_limit = most

    @property
    def closed_seconds(self) -> float:
        return max(self.closed_until - time.monotonic(), 0.0)

    async def enter(self) -> None:
        await self.opened()
        await self.count()
        # It may have been closed while the window was waited for.
        await self.opened()

    async def opened(self) -> None:
        # Returns without a pause if it is open.
        while (left := self.closed_seconds) > 0:
            if left > WAIT_SECONDS_MAX:
                raise VenueUnreachable(
                    f"the venue takes no such requests for another {left:.0f} s; nothing was sent"
                )
            await asyncio.sleep(left)

    async def count(self) -> None:
        # Takes one of the window, whether the lane is open or not.
        if self.at_once:
            await self._evenly()
        else:
            await self._throttler.acquire()

    async def _evenly(self) -> None:
        gap = self._period_seconds / self.most
        now = time.monotonic()
        self._due = max(self._due, now - self.at_once * gap) + gap
        if self._due > now:
            await asyncio.sleep(self._due - now)


def _by_lane(limits: LaneLimits) -> dict[Lane, int]:
    return {
        Lane.READS: limits.reads,
        Lane.CANDLES: limits.candles,
        Lane.INCREASES: limits.increases,
        Lane.CANCELS: limits.cancels,
        Lane.SNAPSHOTS: max(limits.snapshots, 1),
    }


@asynccontextmanager
async def _weighed(throttle: _Throttle, weight: int) -> AsyncIterator[None]:
    # A lane may be closed anew at each wait. That is waited for outside of the turn, so that
    # whoever comes later is told of a long one at once; what was taken of the window stays taken.
    left = weight
    while True:
        await throttle.opened()
        if left == 0:
            break
        async with throttle.turn:
            while left and not throttle.closed_seconds:
                await throttle.count()
                left -= 1
    yield


@asynccontextmanager
async def _both(at_work: asyncio.Semaphore, throttle: _Throttle) -> AsyncIterator[None]:
    async with at_work:
        await throttle.enter()
        yield


@asynccontextmanager
async def _soon(at_work: asyncio.Semaphore, throttle: _Throttle) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(INCREASE_WAITS_SECONDS_MAX):
            await at_work.acquire()
            try:
                await throttle.enter()
            except BaseException:
                at_work.release()
                raise
    except TimeoutError:
        raise VenueRejected(
            f"our own limit lets no increase in within {INCREASE_WAITS_SECONDS_MAX} s; "
            "nothing was sent",
            code="LANE_BUSY",
        ) from None
    try:
        yield
    finally:
        at_work.release()
