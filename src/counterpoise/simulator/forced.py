"""Forced orders as OKX and Binance tell everybody: of an instrument one a second, the latest.

So they say that somebody is being liquidated, never how much in all. Bybit tells every one.
"""

from typing import Final

from counterpoise.domain import units
from counterpoise.exchange.events import Liquidated, LiquidationPrinted

#: Time between two pushes of an instrument, ns.
APART_NS: Final = units.NS_PER_SECOND

#: A position that was closed by force: the account's, or one of the background.
Forced = Liquidated | LiquidationPrinted


class ForcedOrders:
    """What is still to be told, by instrument."""

    def __init__(self) -> None:
        self._waiting: dict[str, Forced] = {}
        self._told_ns: dict[str, int] = {}

    def take(self, event: Forced) -> None:
        """Take note of one."""
        self._waiting[event.instrument_id] = event

    def due(self, now_ns: int) -> list[Forced]:
        """Take what may be told now."""
        due = [
            event
            for name, event in self._waiting.items()
            if now_ns - self._told_ns.get(name, -APART_NS) >= APART_NS
        ]
        for event in due:
            del self._waiting[event.instrument_id]
            self._told_ns[event.instrument_id] = now_ns
        return due
