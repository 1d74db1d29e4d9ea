"""How much OKX is asked for: below its limits, because its window does not start when ours does."""

from typing import Final

from counterpoise.venues.throttle import LaneLimits

#: OKX counts in two seconds: account and history 10 at the tightest (config has 5 and is asked
#: once), mark candles 20 per address, orders 60 per instrument, cancels 60 apart from them.
VENUE_LIMITS: Final = LaneLimits(period_seconds=2.0, reads=8, candles=18, increases=40, cancels=50)
