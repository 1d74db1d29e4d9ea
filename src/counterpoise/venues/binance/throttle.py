"""How much Binance is asked for: below its limits, because its window does not start when ours does.

Binance counts weight per address and minute (2,400, over every client of the address) and orders
per account (300 in ten seconds, 1,200 in a minute); cancels and reads weigh, orders do not.
Sources: USD-M "Limits", and the weight each endpoint's page names.
"""

from collections.abc import Mapping
from typing import Final

from counterpoise.venues.throttle import LaneLimits

#: The account: 1,200 of weight to read and 360 to cancel in a minute, 900 increases; the rest of
#: the orders is kept for reductions.
VENUE_LIMITS: Final = LaneLimits(
    period_seconds=60.0,
    order_period_seconds=10.0,
    reads=700,
    candles=500,
    increases=150,
    cancels=60,
)

#: The streams' own questions: books that have to be seeded, and the balance beside the events.
STREAM_LIMITS: Final = LaneLimits(
    period_seconds=60.0, reads=240, candles=1, increases=1, cancels=1, snapshots=500
)

#: Weight of each call that weighs more than 1.
WEIGHTS: Final[Mapping[str, int]] = {
    "fapiPrivateV3GetAccount": 5,
    "fapiPrivateV3GetBalance": 5,
    "fapiPrivateV3GetPositionRisk": 5,
    "fapiPrivateGetOpenOrders": 40,
    "fapiPrivateGetOpenAlgoOrders": 40,
    "fapiPrivateGetAllOrders": 5,
    "fapiPrivateGetUserTrades": 5,
    "fapiPrivateGetIncome": 30,
    "fapiPrivateGetCommissionRate": 20,
    "fapiPrivateGetPositionSideDual": 30,
    "fapiPrivateGetMultiAssetsMargin": 30,
    "fapiPrivateGetSymbolConfig": 5,
    "fapiPrivateGetAccountConfig": 5,
    "fapiPrivatePostCountdownCancelAll": 10,
}
