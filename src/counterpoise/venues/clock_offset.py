"""How far a venue's clock is from ours."""

from collections.abc import Awaitable, Callable
from typing import Final

from counterpoise.domain.units import NS_PER_MS
from counterpoise.ports import Clock

#: Times the clock is asked; the quickest answer has the smallest error.
SAMPLES: Final = 3


async def measure_ns(
    venue_ms: Callable[[], Awaitable[int]], clock: Clock, *, samples: int = SAMPLES
) -> int:
    """Return the venue's clock minus ours, ns; the error is at most half a round trip."""
    best: tuple[int, int] | None = None
    for _ in range(samples):
        sent_ns = clock.now_ns()
        venue_ns = await venue_ms() * NS_PER_MS
        received_ns = clock.now_ns()
        sample = (received_ns - sent_ns, venue_ns - (sent_ns + received_ns) // 2)
        best = sample if best is None else min(best, sample)
    assert best is not None
    return best[1]
