"""What the crash matrix has to know of each venue, and what goes wrong there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashVenue:
    """One venue."""

    #: The class that places and cancels, "module:Class".
    adapter: str
    #: Path of order entry.
    order_path: str
    #: Makes the execution's id, as the venue tells it, of a row of `GET /_state`.
    fill_id: Callable[[Mapping[str, Any]], str]


VENUES: Final[Mapping[str, CrashVenue]] = {
    "okx": CrashVenue(
        adapter="counterpoise.venues.okx.orders:OkxVenue",
        order_path="/trade/order",
        fill_id=lambda fill: str(fill["trade_sequence"]),
    ),
    "binance": CrashVenue(
        adapter="counterpoise.venues.binance.orders:BinanceVenue",
        order_path="/fapi/v1/order",
        # What Binance seizes has ids above those of trades.
        fill_id=lambda fill: str(
            fill["trade_sequence"]
            if fill["trade_sequence"] > 0
            else 10**12 - fill["trade_sequence"]
        ),
    ),
    "bybit": CrashVenue(
        adapter="counterpoise.venues.bybit.orders:BybitVenue",
        order_path="/v5/order/create",
        fill_id=lambda fill: f"{fill['instrument_id']}-{fill['fill_id']}",
    ),
}

_POSTED: Final = {"path_contains": "ORDER ENTRY", "method": "POST"}
_WHILE: Final = {"count": 0, "duration_seconds": 12.0}
#: What the venue does wrong while the daemon dies; each is (kind, details).
FAULTS: Final[Mapping[str, tuple[tuple[str, dict[str, object]], ...]]] = {
    "none": (),
    "slow_request": (("delay", {"stage": "request", "seconds": 1.0, "count": 4, **_POSTED}),),
    "silence": (("accept_then_timeout", {"seconds": 8.0, "count": 2}),),
    "partial": (("partial_fill", {"count": 3, "value": "0.4"}),),
    "late": (("late_private", {"seconds": 1.5, **_WHILE}),),
    "lost": (("lose_private", {"probability": 0.5, **_WHILE}),),
    "twice": (
        ("duplicate_private", {"probability": 0.5, **_WHILE}),
        ("reorder_private", {"probability": 0.3, **_WHILE}),
    ),
    "unknown": (("unknown_outcome", {"count": 2}), ("partial_fill", {"count": 1, "value": "0.5"})),
    "cut": (("drop_after_read", {"count": 2, **_POSTED}), ("lose_private", {"count": 2})),
    "empty": (("http_200_empty", {"count": 2, **_POSTED}),),
}


def faults(venue: str, name: str) -> list[tuple[str, dict[str, object]]]:
    """Return what to order of a venue's simulator."""
    path = VENUES[venue].order_path
    return [
        (kind, details | {"path_contains": path} if "path_contains" in details else details)
        for kind, details in FAULTS[name]
    ]
