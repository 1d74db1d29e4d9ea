"""Measures the venue's clock against ours, at intervals and whenever something hints at a step."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from counterpoise.app.runner import Runner
from counterpoise.domain.errors import VenueError
from counterpoise.domain.events import ClockMeasured
from counterpoise.domain.units import NS_PER_MS, NS_PER_SECOND
from counterpoise.ports import Clock, Venue

log = structlog.get_logger(__name__)

#: How often the hints are looked at, seconds.
LOOK_SECONDS: Final = 1.0
#: Two measurements are at least this far apart, whatever hints there are, seconds.
GAP_SECONDS: Final = 5.0
#: Our wall clock stepped if it moved this much more than the monotonic one, ms.
STEP_MS_MAX: Final = 100
#: Half of the stream's messages arriving this long before they were sent means a wrong clock, ms.
EARLY_MS_MAX: Final = 100


class ClockWatch:
    """One task; every measurement is an event."""

    def __init__(
        self,
        venue: Venue,
        runner: Runner,
        clock: Clock,
        *,
        every_seconds: float,
        give_way: Callable[[int], None],
    ) -> None:
        """`give_way` is told how far our clock is ahead of the venue's, ns; below 0 = behind."""
        self._venue = venue
        self._runner = runner
        self._clock = clock
        self._give_way = give_way
        self._every_seconds = every_seconds
        self._away = False
        self._measured_at = clock.monotonic()
        self._wall_less_monotonic = self._difference()

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            if self.is_due():
                await self.measure()
            await asyncio.sleep(LOOK_SECONDS)

    def is_due(self) -> bool:
        """Tell whether it is time, or our clock or the stream's times hint at a step."""
        since = self._clock.monotonic() - self._measured_at
        if since >= self._every_seconds:
            return True
        return since >= GAP_SECONDS and (self._stepped() or self._arrives_early())

    async def measure(self) -> None:
        """Ask once and feed the answer; no answer is fed too."""
        self._measured_at = self._clock.monotonic()
        self._wall_less_monotonic = self._difference()
        offset_ns: int | None = None
        try:
            offset_ns = await self._venue.clock_offset_ns()
        except VenueError as error:
            if not self._away:
                log.warning("clock.not_measured", error=str(error))
        self._away = offset_ns is None
        if offset_ns is not None:
            self._give_way(-offset_ns)
        now_ns = self._clock.now_ns()
        self._runner.feed(ClockMeasured(offset_ns=offset_ns, received_ns=now_ns))

    def _difference(self) -> int:
        return self._clock.now_ns() - round(self._clock.monotonic() * NS_PER_SECOND)

    def _stepped(self) -> bool:
        return abs(self._difference() - self._wall_less_monotonic) > STEP_MS_MAX * NS_PER_MS

    def _arrives_early(self) -> bool:
        latency = self._runner.state.market.latency_ms(self._clock.now_ns())
        return latency is not None and latency[0] < -EARLY_MS_MAX
