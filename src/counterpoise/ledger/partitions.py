"""Makes the monthly partitions that the next records go to."""

from datetime import timedelta
from typing import Final

import sqlalchemy as sa
import structlog
from psycopg.errors import LockNotAvailable
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from counterpoise.domain.units import NS_PER_HOUR, NS_PER_SECOND
from counterpoise.ports import Clock

#: How far ahead there are partitions.
AHEAD: Final = timedelta(days=35)
#: Between two looks, ns.
LOOK_NS: Final = 12 * NS_PER_HOUR
#: After a look that found a table in use the next one comes sooner, ns.
RETRY_NS: Final = 60 * NS_PER_SECOND
#: Records wait for a lock no longer than this, ms.
LOCK_TIMEOUT_MS: Final = 200

_MAKE: Final = sa.text(
    "SELECT ops.make_partitions(to_timestamp(CAST(:now AS double precision)), "
    "to_timestamp(CAST(:until AS double precision)))"
)
_PATIENCE: Final = sa.text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_MS}ms'")

log = structlog.get_logger(__name__)


class Partitions:
    """When they were last made; a month without one is the default partition's."""

    def __init__(self, clock: Clock) -> None:
        """Prepare; the first `ensure` looks."""
        self._clock = clock
        self._next_ns: int | None = None
        self._put_off = False

    async def ensure(self, connection: AsyncConnection) -> None:
        """Make what is missing for this month and the next, twice a day at most.

        A partition needs its default partition for itself. While a dump (ACCESS SHARE on every
        table, until it ends) or an archive holds that, it is put off: the default partition takes
        the rows, and there are five weeks to try again.
        """
        now_ns = self._clock.now_ns()
        if self._next_ns is not None and now_ns < self._next_ns:
            return
        now = now_ns / NS_PER_SECOND
        try:
            async with connection.begin():
                await connection.execute(_PATIENCE)
                await connection.execute(_MAKE, {"now": now, "until": now + AHEAD.total_seconds()})
        except OperationalError as error:
            if not isinstance(error.orig, LockNotAvailable):
                raise
            self._next_ns = now_ns + RETRY_NS
            if not self._put_off:
                log.warning("partitions.put_off", error=str(error.orig).partition("\n")[0])
            self._put_off = True
            return
        self._put_off = False
        self._next_ns = now_ns + LOOK_NS
