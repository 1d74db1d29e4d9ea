"""The last minutes of log marks: what returns are taken from."""

from collections import deque

import numpy as np

from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.signals.ewma import Floats


class History:
    """Log marks and core volatility by time, as far back as anything looks."""

    __slots__ = ("_keep_ns", "_rows", "_step_ns", "_times")

    def __init__(self, keep_seconds: int, step_seconds: int) -> None:
        """Keep `keep_seconds`; a look-up may miss its time by `step_seconds`."""
        self._step_ns = step_seconds * NS_PER_SECOND
        self._keep_ns = keep_seconds * NS_PER_SECOND + self._step_ns
        self._times: deque[int] = deque()
        # Log marks, NaN where missing, and the core's fast volatility, None = unknown.
        self._rows: dict[int, tuple[Floats, float | None]] = {}

    def add(self, time_ns: int, logs: Floats, volatility: float | None) -> None:
        """Add the newest row and forget those nobody looks back to any more."""
        assert not self._times or time_ns > self._times[-1], "rows must come in order of time"
        self._times.append(time_ns)
        self._rows[time_ns] = (logs, volatility)
        while self._times[0] < time_ns - self._keep_ns:
            del self._rows[self._times.popleft()]

    def __len__(self) -> int:
        """Return the number of rows kept."""
        return len(self._rows)

    def returns(self, time_ns: int, logs: Floats, horizon_seconds: int) -> Floats:
        """Return log returns of `logs` over the horizon, NaN where either end is missing.

        The start may be missed by one grid step where nothing was sampled at it: no return
        reaches across a larger hole.
        """
        row = self._rows.get(time_ns - horizon_seconds * NS_PER_SECOND)
        if row is not None:
            returns: Floats = logs - row[0]
            if not np.isnan(returns).any():
                return returns
        start = np.full_like(logs, np.nan)
        for near_ns in self._near(time_ns - horizon_seconds * NS_PER_SECOND):
            row = self._rows.get(near_ns)
            if row is not None:
                start = np.where(np.isnan(start), row[0], start)
                if not np.isnan(start).any():
                    break
        return logs - start

    def volatility(self, time_ns: int) -> float | None:
        """Return the core's fast volatility at a time, missed by one grid step at most."""
        for near_ns in self._near(time_ns):
            row = self._rows.get(near_ns)
            if row is not None and row[1] is not None:
                return row[1]
        return None

    def _near(self, time_ns: int) -> tuple[int, int, int]:
        return time_ns, time_ns - self._step_ns, time_ns + self._step_ns
