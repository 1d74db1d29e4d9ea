"""How much OKX is asked for: below its limits, because its window does not start when ours does.

OKX tells no usage with its answers; what it tells is how many orders an account may send at all
(`accRateLimit`, by its tier and how much of what it sends is filled), which is asked for with
every attestation.
Sources: "Rate Limits"; trade/account-rate-limit.
"""

from dataclasses import replace
from typing import Final

from counterpoise.venues.throttle import LaneLimits

#: OKX counts in two seconds: account and history 10 at the tightest (config has 5 and is asked
#: once), mark candles 20 per address, orders 60 per instrument, cancels 60 apart from them.
VENUE_LIMITS: Final = LaneLimits(period_seconds=2.0, reads=8, candles=18, increases=40, cancels=50)


def within_account(limits: LaneLimits, orders_max: int) -> LaneLimits:
    """Return the limits of an account that may send so many orders in two seconds.

    A third of them is kept for reductions, as of those of one instrument.
    """
    return replace(limits, increases=max(min(VENUE_LIMITS.increases, orders_max * 2 // 3), 1))
