"""How much Bybit is asked for: below its limits, because its second does not start when ours does.

Counted per account and path in a rolling second, and per address 600 requests in 5 s. A server on
this machine that speaks Bybit's protocol counts as Bybit does, so these hold there, too.
"""

from typing import Final

from counterpoise.venues.throttle import LaneLimits

#: Create 10 and cancel 10 per second; reads 50 at most paths, 5 at the scarcest, which are asked
#: once at a start. What of 10 creates is not for increases is kept for reductions.
VENUE_LIMITS: Final = LaneLimits(period_seconds=1.0, reads=25, candles=40, increases=6, cancels=8)
