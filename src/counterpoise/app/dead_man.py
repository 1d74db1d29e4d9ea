"""Keeps the venue's dead man's switch armed while the risk loop is healthy.

The switch cancels resting orders; it closes no position. What it does to trigger orders is not
documented by OKX, so nothing here counts on it either way.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from counterpoise.domain.errors import VenueError
from counterpoise.execution.sends import SendPermit
from counterpoise.ports import Venue

log = structlog.get_logger(__name__)

#: The switch is armed again after this share of its time: a call may wait until the venue takes
#: questions again.
REFRESH_FRACTION: Final = 0.25
#: And after this share where it was not armed.
RETRY_FRACTION: Final = 0.1
#: A disarming at a stop that the venue has not answered by then is given up, seconds.
DISARM_SECONDS_MAX: Final = 2.0


class DeadMan:
    """One switch of one account."""

    def __init__(
        self, venue: Venue, healthy: Callable[[], bool], permit: SendPermit, *, seconds: int
    ) -> None:
        self._venue = venue
        self._healthy = healthy
        self._permit = permit
        self._seconds = seconds
        self._failing = False
        #: True = the venue may cancel what rests unless it is asked again.
        self.armed = False

    async def run(self) -> None:
        """Arm it again and again until cancelled."""
        while True:
            may = self._healthy() and not self._permit.fenced
            done = may and await self._arm()
            await asyncio.sleep(self._seconds * (REFRESH_FRACTION if done else RETRY_FRACTION))

    async def disarm(self) -> None:
        """Let go of it at a stop that left nothing open; without an answer it just runs out.

        The account has one switch: unless nobody else can hold the lease, this one may be the next
        daemon's by now, and is left alone.
        """
        if not self.armed or not self._permit.may_increase():
            return
        try:
            async with asyncio.timeout(DISARM_SECONDS_MAX):
                await self._venue.arm_dead_man(0)
        except (VenueError, TimeoutError) as error:
            log.warning("dead_man.not_disarmed", error=str(error) or "no answer in time")
            return
        self.armed = False

    async def _arm(self) -> bool:
        try:
            has_one = await self._venue.arm_dead_man(self._seconds)
        except VenueError as error:
            if not self._failing:
                log.warning("dead_man.not_armed", error=str(error))
            self._failing = True
            # An answer that was lost may have armed it.
            self.armed = True
            return False
        if has_one and not self.armed:
            log.info("dead_man.armed", seconds=self._seconds)
        self._failing = False
        self.armed = has_one
        return True
