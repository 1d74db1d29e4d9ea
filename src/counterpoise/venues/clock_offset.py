"""How far a venue's clock is from ours."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Final

from counterpoise.domain.units import NS_PER_MS
from counterpoise.ports import Clock

#: Times the clock is asked; the quickest answer has the smallest error.
SAMPLES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockOffset:
    """One measurement."""

    #: The venue's clock minus ours, ns.
    offset_ns: int
    #: How wrong that may be: half a round trip, ns.
    error_ns: int


async def measure(
    venue_ms: Callable[[], Awaitable[int]],
    clock: Clock,
    *,
    samples: int = SAMPLES,
    lane: Callable[[], AbstractAsyncContextManager[object]] = nullcontext,
) -> ClockOffset:
    """Return the most exact of some samples. What `venue_ms` and `lane` raise is raised.

    The wait in `lane` is no part of the round trip.
    """
    found: list[ClockOffset] = []
    for _ in range(samples):
        async with lane():
            sent_ns = clock.now_ns()
            venue_ns = await venue_ms() * NS_PER_MS
            received_ns = clock.now_ns()
        half_ns = (received_ns - sent_ns) // 2
        found.append(ClockOffset(offset_ns=venue_ns - sent_ns - half_ns, error_ns=half_ns))
    return min(found, key=lambda each: each.error_ns)


def more_exact(known: ClockOffset | None, found: ClockOffset) -> ClockOffset:
    """Return the new measurement, unless it is the coarser one and leaves the known one possible.

    An answer that was slow on one way only shifts a measurement by half of that.
    """
    if known is None or known.error_ns > found.error_ns:
        return found
    return known if abs(found.offset_ns - known.offset_ns) <= found.error_ns else found
