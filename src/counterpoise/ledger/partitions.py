"""Makes the monthly partitions that the next records go to."""

from datetime import timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterpoise.domain.units import NS_PER_HOUR, NS_PER_SECOND
from counterpoise.ports import Clock

#: How far ahead there are partitions.
AHEAD: Final = timedelta(days=35)
#: Between two looks, ns.
LOOK_NS: Final = 12 * NS_PER_HOUR

_MAKE: Final = sa.text(
    "SELECT ops.make_partitions(to_timestamp(CAST(:now AS double precision)), "
    "to_timestamp(CAST(:until AS double precision)))"
)


class Partitions:
    """When they were last made; a month without one is the default partition's."""

    def __init__(self, clock: Clock) -> None:
        """Prepare; the first `ensure` looks."""
        self._clock = clock
        self._looked_ns: int | None = None

    async def ensure(self, connection: AsyncConnection) -> None:
        """Make what is missing for this month and the next, twice a day at most."""
        now_ns = self._clock.now_ns()
        if self._looked_ns is not None and now_ns - self._looked_ns < LOOK_NS:
            return
        now = now_ns / NS_PER_SECOND
        async with connection.begin():
            await connection.execute(_MAKE, {"now": now, "until": now + AHEAD.total_seconds()})
        self._looked_ns = now_ns
