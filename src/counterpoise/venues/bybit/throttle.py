"""How much Bybit is asked for: below its limits, because its second does not start when ours does.

Counted per account and path in a rolling second, and per address 600 requests in 5 s. Every answer
to a signed request tells the path's limit, what is left of it and when it is whole again, and an
account may be allowed more than the documents say: order entry goes by what is told. A server on
this machine that speaks Bybit's protocol counts as Bybit does, so these hold there, too.
Source: v5 "Rate Limit" (X-Bapi-Limit, X-Bapi-Limit-Status, X-Bapi-Limit-Reset-Timestamp).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from counterpoise.venues.throttle import Lane, LaneLimits, Lanes

#: Create 10 and cancel 10 per second; reads 50 at most paths, 5 at the scarcest, which are asked
#: once at a start. What of 10 creates is not for increases is kept for reductions.
VENUE_LIMITS: Final = LaneLimits(period_seconds=1.0, reads=25, candles=40, increases=6, cancels=8)

#: Of the orders and cancels a second that Bybit tells: the rest is for reductions, and for a clock
#: that does not start when ours does.
INCREASES_SHARE: Final = 0.6
CANCELS_SHARE: Final = 0.8

#: Longest a path that is used up is waited for, seconds: its window is one.
RESET_SECONDS_MAX: Final = 1.5

#: What the gate before the venue says to an address that asked too much, with HTTP 403, and how
#: long such an address has to be silent, seconds.
_SHUT_OUT: Final = "access too frequent"
SHUT_OUT_SECONDS: Final = 600.0

_CREATE: Final = "/v5/order/create"
_CANCEL: Final = "/v5/order/cancel"


def heed(
    lanes: Lanes, url: str, status: int, headers: Mapping[str, str], body: str, venue_ms: float
) -> None:
    """Take a path's limit, and wait where it is used up; `venue_ms` is Bybit's clock.

    A reduction has no lane; cancels go on, so that an order never rests for want of patience.
    """
    if status == 403 and _SHUT_OUT in body.lower():
        lanes.close(SHUT_OUT_SECONDS, Lane.READS, Lane.CANDLES, Lane.INCREASES)
        return
    told = {name.lower(): value for name, value in headers.items()}
    most, left = _whole(told.get("x-bapi-limit")), _whole(told.get("x-bapi-limit-status"))
    if not most or left is None:
        return
    path = url.partition("?")[0]
    if path.endswith(_CREATE):
        increases = max(int(most * INCREASES_SHARE), 1)
        if increases != lanes.limits.increases:
            lanes.allow(replace(lanes.limits, increases=increases))
        # What is left is the reductions'.
        if left <= most - increases:
            lanes.close(_until_reset(told, venue_ms), Lane.INCREASES)
    elif path.endswith(_CANCEL):
        cancels = max(int(most * CANCELS_SHARE), 1)
        if cancels != lanes.limits.cancels:
            lanes.allow(replace(lanes.limits, cancels=cancels))
    elif left == 0:
        lanes.close(_until_reset(told, venue_ms), Lane.READS)


def _until_reset(told: Mapping[str, str], venue_ms: float) -> float:
    reset_ms = _whole(told.get("x-bapi-limit-reset-timestamp"))
    if reset_ms is None:
        return 1.0
    return min(max((reset_ms - venue_ms) / 1_000, 0.0), RESET_SECONDS_MAX)


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None
