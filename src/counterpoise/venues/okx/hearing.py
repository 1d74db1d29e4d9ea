"""Whether OKX's orders and positions channels both still speak: each names the other's trades.

A subscription asked for twice is granted twice, so no answer proves that it was there. But a
position's push names the last trade that made it, which the orders channel must have told, and a
fill must move a position. (A liquidation or ADL makes no trade of ours: its number is negative, or
the one before.)
"""

from typing import Final

from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.venues.connection import Dropped

#: How long one channel may be behind the other, ns.
WITHIN_NS: Final = 10 * NS_PER_SECOND

#: What comes so soon after the grant is what was before it, ns.
OPENING_NS: Final = 5 * NS_PER_SECOND

#: A position pushed so shortly before a fill may be the one it made, ns.
JUST_BEFORE_NS: Final = 2 * NS_PER_SECOND


class TradeWatch:
    """The last trade of each instrument as either channel told it."""

    def __init__(self) -> None:
        self._began_ns = 0
        #: Instrument -> its last trade the orders channel told, or was there before.
        self._filled: dict[str, int] = {}
        #: Instrument -> the last trade its position named.
        self._held: dict[str, int] = {}
        #: Instrument -> when its position was last pushed, our clock, ns.
        self._pushed_ns: dict[str, int] = {}
        #: (Instrument, channel that is behind) -> since when, our clock, ns.
        self._behind: dict[tuple[str, str], int] = {}

    def begin(self, now_ns: int) -> None:
        """Forget the connection before; what comes first is how things were."""
        self._began_ns = now_ns
        self._filled.clear()
        self._held.clear()
        self._pushed_ns.clear()
        self._behind.clear()

    def fill(self, instrument_id: str, trade_id: str, now_ns: int) -> None:
        """Take a fill of the orders channel."""
        self._filled[instrument_id] = max(_number(trade_id), self._filled.get(instrument_id, 0))
        trade = self._filled[instrument_id]
        if trade >= self._held.get(instrument_id, 0):
            self._behind.pop((instrument_id, "orders"), None)
        told = trade <= self._held.get(instrument_id, 0)
        if not told and now_ns - self._pushed_ns.get(instrument_id, 0) > JUST_BEFORE_NS:
            self._behind.setdefault((instrument_id, "positions"), now_ns)

    def position(self, instrument_id: str, trade_id: str, now_ns: int) -> None:
        """Take the last trade of a position of the positions channel."""
        self._pushed_ns[instrument_id] = now_ns
        self._behind.pop((instrument_id, "positions"), None)
        trade, filled = _number(trade_id), self._filled.get(instrument_id, 0)
        self._held[instrument_id] = max(trade, self._held.get(instrument_id, 0))
        if now_ns - self._began_ns < OPENING_NS:
            self._filled[instrument_id] = max(trade, filled)
        elif trade > filled:
            self._behind.setdefault((instrument_id, "orders"), now_ns)

    def look(self, now_ns: int) -> None:
        """Raise Dropped if one of them did not follow the other."""
        for (instrument_id, channel), since_ns in self._behind.items():
            if now_ns - since_ns > WITHIN_NS:
                raise Dropped(f"{channel} did not tell a trade in {instrument_id}", at_once=True)


def _number(trade_id: str) -> int:
    # 0 = no trade of ours.
    return int(trade_id) if trade_id.isascii() and trade_id.isdigit() else 0
