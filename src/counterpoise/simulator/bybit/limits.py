"""Bybit's rate limits: requests per second per path for the account, and per address.

A path's window is a rolling second. The address limit is 600 requests in 5 s; beyond it every
request is answered 403 until the last 5 s hold fewer.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from counterpoise.domain import units

#: Requests per second of an account, by the path's beginning; the first that fits counts.
PER_SECOND: Final = (
    ("/v5/order/realtime", 50),
    ("/v5/order/history", 50),
    ("/v5/order/", 10),
    ("/v5/execution/list", 50),
    ("/v5/position/list", 50),
    ("/v5/position/", 10),
    ("/v5/account/wallet-balance", 50),
    ("/v5/account/info", 50),
    ("/v5/account/transaction-log", 25),
    ("/v5/account/fee-rate", 5),
    ("/v5/account/", 5),
    ("/v5/user/query-api", 10),
    ("/v5/asset/", 5),
)
#: What any other signed path may.
PER_SECOND_ELSE: Final = 10
#: Requests one address may send in the window.
ADDRESS_MAX: Final = 600
ADDRESS_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """How a path stands after a request."""

    #: False = the request was one too many.
    granted: bool
    #: Requests per second.
    most: int
    #: Requests left in the present second.
    left: int
    #: When the oldest request of the window leaves it, server ms.
    reset_ms: int

    @property
    def headers(self) -> dict[str, str]:
        """The three headers that say so."""
        return {
            "X-Bapi-Limit": str(self.most),
            "X-Bapi-Limit-Status": str(self.left),
            "X-Bapi-Limit-Reset-Timestamp": str(self.reset_ms),
        }


class Limits:
    """Counts requests. `seconds` is any clock that does not run back."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._paths: dict[str, deque[float]] = {}
        self._addresses: dict[str, deque[float]] = {}

    def address(self, address: str) -> bool:
        """Count a request of an address; False = it sent too many."""
        now = self._seconds()
        sent = self._addresses.setdefault(address, deque(maxlen=ADDRESS_MAX))
        while sent and now - sent[0] > ADDRESS_SECONDS:
            sent.popleft()
        full = len(sent) == ADDRESS_MAX
        sent.append(now)
        return not full

    def account(self, path: str, now_ns: int, weight: int = 1) -> Allowance:
        """Count `weight` requests of the account to a path; refused ones are not counted."""
        now = self._seconds()
        most = next((rate for start, rate in PER_SECOND if path.startswith(start)), PER_SECOND_ELSE)
        sent = self._paths.setdefault(path, deque())
        while sent and now - sent[0] >= 1.0:
            sent.popleft()
        granted = len(sent) + weight <= max(most, weight)
        if granted:
            sent.extend([now] * weight)
        wait = 1.0 - (now - sent[0]) if sent and len(sent) >= most else 0.0
        return Allowance(
            granted=granted,
            most=most,
            left=max(0, most - len(sent)),
            reset_ms=now_ns // units.NS_PER_MS + round(wait * 1_000),
        )
