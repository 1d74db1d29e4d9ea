"""How much Binance is asked for: below its limits, because its window does not start when ours does.

Binance counts weight per address and minute (2,400 in its documents, over every client of the
address) and orders per account (300 in ten seconds, 1,200 in a minute); cancels and reads weigh,
orders do not. What it allows is read while we run; until then the documents count. What is used,
by whomever, comes with every answer.
Sources: USD-M "Limits", exchangeInfo's `rateLimits`, and the weight each endpoint's page names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from counterpoise.venues.throttle import Lane, LaneLimits, Lanes

#: Window the weight is counted in, and the shorter one of orders, seconds; Binance's begin with
#: the minutes and the ten seconds of its clock.
MINUTE: Final = 60
TEN_SECONDS: Final = 10

#: Of the weight of a minute, what the account's reads get evenly, and what at once. One look at an
#: account of six markets weighs 200 (`WEIGHTS`); the stops that wait, the dead man's switch and the
#: list of markets weigh 366 a minute beside it: an answer in less than ten seconds.
READS_SHARE: Final = 0.8
READS_AT_ONCE_SHARE: Final = 0.1

#: Seconds of the interval names in `rateLimits`.
_INTERVALS: Final[Mapping[str, int]] = {"SECOND": 1, "MINUTE": MINUTE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What Binance allows one address and one account."""

    #: Weight of requests of the address in a minute.
    weight_minute: int = 2_400
    #: Orders of the account in ten seconds.
    orders_ten_seconds: int = 300
    #: Orders of the account in a minute.
    orders_minute: int = 1_200

    def told(self, rows: Sequence[Mapping[str, Any]]) -> "Allowance":
        """Return what the rows of `rateLimits` say, and this where they say nothing we can read."""
        found: dict[tuple[str, int], int] = {}
        for row in rows:
            seconds = _INTERVALS.get(str(row.get("interval")), 0) * _whole(row.get("intervalNum"))
            limit = _whole(row.get("limit"))
            if seconds and limit:
                found[str(row.get("rateLimitType")), seconds] = limit
        return Allowance(
            weight_minute=found.get(("REQUEST_WEIGHT", MINUTE), self.weight_minute),
            orders_ten_seconds=found.get(("ORDERS", TEN_SECONDS), self.orders_ten_seconds),
            orders_minute=found.get(("ORDERS", MINUTE), self.orders_minute),
        )

    def account_lanes(self) -> LaneLimits:
        """Return the account's lanes.

        Of the documents' limits: 32 of weight to read in a second and 240 more at once, 360 to
        cancel in a minute, 150 increases in ten seconds; the rest of the orders is kept for
        reductions.

        With the private stream down the answers about the account are all that tells the guard what
        it has to guard. Reads are therefore lent what candles and books leave: of the address's
        minute those are let in up to PATIENT_UNTIL, reads up to READS_UNTIL.
        """
        increases = min(self.orders_ten_seconds // 2, self.orders_minute * 3 // 4 // 6)
        return LaneLimits(
            period_seconds=float(MINUTE),
            order_period_seconds=float(TEN_SECONDS),
            reads=max(round(self.weight_minute * READS_SHARE), HEAVIEST),
            reads_at_once=max(round(self.weight_minute * READS_AT_ONCE_SHARE), HEAVIEST),
            candles=max(self.weight_minute * 5 // 24, HEAVIEST),
            increases=max(increases, 1),
            cancels=max(self.weight_minute // 40, 1),
        )

    def stream_lanes(self) -> LaneLimits:
        """Return the lanes of the streams' own questions.

        Those are books that have to be seeded, and the balance beside the events.
        """
        return LaneLimits(
            period_seconds=float(MINUTE),
            reads=max(self.weight_minute // 10, HEAVIEST),
            candles=1,
            increases=1,
            cancels=1,
            snapshots=max(self.weight_minute * 5 // 24, HEAVIEST),
        )


#: What the documents allow.
DOCUMENTED: Final = Allowance()

#: What a server on this machine allows that tells nothing: these bound a loop gone wrong.
UNCOUNTED: Final = Allowance(
    weight_minute=500_000, orders_ten_seconds=20_000, orders_minute=120_000
)

#: Of the weight of a minute, whoever used it: from here on candles and books wait for the next
#: minute, and from there on every read does. The rest is for cancels.
PATIENT_UNTIL: Final = 0.75
READS_UNTIL: Final = 0.92

#: Of the orders of ten seconds and of a minute, whoever sent them: from here on increases wait.
INCREASES_UNTIL: Final[Mapping[int, float]] = {TEN_SECONDS: 0.6, MINUTE: 0.8}

#: Statuses of an answer that asks for less: 429, and 418 for those who went on.
_TOO_MANY: Final = frozenset({418, 429})

#: The code of too many orders, of which the reads of the address are not guilty.
_TOO_MANY_ORDERS: Final = '"code":-1015'

_READS: Final = (Lane.READS, Lane.CANDLES, Lane.SNAPSHOTS)


def heed(
    lanes: Lanes,
    allowed: Allowance,
    status: int,
    headers: Mapping[str, str],
    body: str,
    venue_seconds: float,
) -> None:
    """Close lanes as an answer asks; `venue_seconds` is Binance's clock.

    A reduction has no lane, and cancels are never closed.
    """
    told = {name.upper(): value for name, value in headers.items()}
    used = _whole(told.get("X-MBX-USED-WEIGHT-1M")) / allowed.weight_minute
    if used >= PATIENT_UNTIL:
        lanes.close(_left(venue_seconds, MINUTE), Lane.CANDLES, Lane.SNAPSHOTS)
    if used >= READS_UNTIL:
        lanes.close(_left(venue_seconds, MINUTE), Lane.READS)
    for window, name, most in (
        (TEN_SECONDS, "X-MBX-ORDER-COUNT-10S", allowed.orders_ten_seconds),
        (MINUTE, "X-MBX-ORDER-COUNT-1M", allowed.orders_minute),
    ):
        if _whole(told.get(name)) >= INCREASES_UNTIL[window] * most:
            lanes.close(_left(venue_seconds, window), Lane.INCREASES)
    if status in _TOO_MANY:
        orders = _TOO_MANY_ORDERS in body.replace(" ", "")
        wait = _whole(told.get("RETRY-AFTER")) or 1
        lanes.close(wait, Lane.INCREASES, *(() if orders else _READS))


def _left(venue_seconds: float, window: int) -> float:
    # A second of grace: neither clock is exact.
    return window - venue_seconds % window + 1.0


def _whole(value: object) -> int:
    # 0 = it says nothing we can read.
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() else 0


#: Weight of each call that weighs more than 1.
WEIGHTS: Final[Mapping[str, int]] = {
    "fapiPrivateV3GetAccount": 5,
    "fapiPrivateV3GetBalance": 5,
    "fapiPrivateV3GetPositionRisk": 5,
    "fapiPrivateGetOpenOrders": 40,
    "fapiPrivateGetOpenAlgoOrders": 40,
    "fapiPublicGetTicker24hr": 40,
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

#: No lane is narrower than the heaviest call.
HEAVIEST: Final = max(WEIGHTS.values())
