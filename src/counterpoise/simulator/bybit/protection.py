"""Disconnect protection (DCP): orders are canceled once every guarded stream is gone for long.

Bybit offers it to institutional accounts its staff have enabled. It is no countdown: it starts
when the last private stream that subscribed `dcp.future` ends, and stops when one is back.
"""

from typing import Final

from counterpoise.domain import units
from counterpoise.simulator.bybit.errors import Code, WireError
from counterpoise.simulator.venue import RunningVenue

#: Seconds without a stream before orders are canceled.
WINDOW_SECONDS: Final = range(3, 301)
WINDOW_SECONDS_DEFAULT: Final = 10


class Protection:
    """The protection of one account."""

    def __init__(self, venue: RunningVenue, account_id: str, *, enabled: bool) -> None:
        self._venue = venue
        self._account_id = account_id
        #: Whether Bybit's staff switched it on for the account.
        self.enabled = enabled
        #: What the client asked for, seconds.
        self.window_seconds = WINDOW_SECONDS_DEFAULT
        self._streams = 0

    def set_window(self, seconds: int) -> None:
        """Change the window. WireError: 10005 not enabled, 10001 not 3 to 300 s."""
        if not self.enabled:
            raise WireError(Code.PERMISSION, "DCP is not enabled for this account")
        if seconds not in WINDOW_SECONDS:
            raise WireError(Code.PARAMETER, "params error: timeWindow invalid")
        self.window_seconds = seconds

    def join(self) -> None:
        """Count a stream that subscribed; WireError 10005: the account is not enabled."""
        if not self.enabled:
            raise WireError(Code.PERMISSION, "DCP is not enabled for this account")
        self._streams += 1
        if self._streams == 1:
            self._venue.arm_deadline(self._account_id, 0)

    def leave(self) -> None:
        """Count a stream that ended or unsubscribed; after the last one the window runs."""
        self._streams -= 1
        if self._streams == 0:
            window_ns = self.window_seconds * units.NS_PER_SECOND
            self._venue.arm_deadline(self._account_id, self._venue.exchange.now_ns + window_ns)
