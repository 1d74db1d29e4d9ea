"""Rate limits and the headers that tell of them ("Limits": weight per address, orders per account).

Windows are aligned to the wall clock's minutes and ten-second steps, as Binance's are.
"""

from dataclasses import dataclass, field
from typing import Final

from counterpoise.domain import units
from counterpoise.simulator.binance.errors import Code, WireError

_MINUTE_NS: Final = units.NS_PER_MINUTE
_TEN_SECONDS_NS: Final = 10 * units.NS_PER_SECOND
#: Requests answered 429 before the address is shut out.
WARNINGS_MAX: Final = 50
#: How long it is then shut out (Binance: two minutes to three days).
BAN_NS: Final = 2 * units.NS_PER_MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a client may ask."""

    #: Request weight per minute.
    weight_minute: int = 6_000
    #: Orders per ten seconds.
    orders_ten_seconds: int = 300
    #: Orders per minute.
    orders_minute: int = 1_200

    def rows(self) -> list[dict[str, object]]:
        """Return them as exchangeInfo lists them."""
        weight = ("REQUEST_WEIGHT", "MINUTE", 1, self.weight_minute)
        return [
            {"rateLimitType": kind, "interval": unit, "intervalNum": count, "limit": limit}
            for kind, unit, count, limit in (weight, *self._orders())
        ]

    def order_rows(self) -> list[dict[str, object]]:
        """Return the order limits as rateLimit/order lists them."""
        return [
            {"rateLimitType": kind, "interval": unit, "intervalNum": count, "limit": limit}
            for kind, unit, count, limit in self._orders()
        ]

    def _orders(self) -> tuple[tuple[str, str, int, int], ...]:
        return (
            ("ORDERS", "SECOND", 10, self.orders_ten_seconds),
            ("ORDERS", "MINUTE", 1, self.orders_minute),
        )


@dataclass(slots=True)
class _Window:
    # A count that begins anew with each step of the clock.
    step_ns: int
    number: int = -1
    used: int = 0

    def add(self, count: int, now_ns: int) -> int:
        number = now_ns // self.step_ns
        if number != self.number:
            self.number, self.used = number, 0
        self.used += count
        return self.used

    def left_seconds(self, now_ns: int) -> int:
        left_ns = (now_ns // self.step_ns + 1) * self.step_ns - now_ns
        return left_ns // units.NS_PER_SECOND + 1


@dataclass(slots=True)
class Usage:
    """What the one client has used."""

    limits: Limits = field(default_factory=Limits)
    _weight: _Window = field(default_factory=lambda: _Window(_MINUTE_NS))
    _ten_seconds: _Window = field(default_factory=lambda: _Window(_TEN_SECONDS_NS))
    _minute: _Window = field(default_factory=lambda: _Window(_MINUTE_NS))
    _warnings: int = 0
    _banned_until_ns: int = 0
    _retry_after: int = 0

    def spend(self, weight: int, now_ns: int) -> None:
        """Count a request; raises WireError 429 (-1003), and 418 for those who go on."""
        if now_ns < self._banned_until_ns:
            self._retry_after = (self._banned_until_ns - now_ns) // units.NS_PER_SECOND + 1
            until_ms = self._banned_until_ns // units.NS_PER_MS
            message = f"Way too many requests; IP banned until {until_ms}."
            raise WireError(Code.TOO_MANY_REQUESTS, message, status=418)
        if self._weight.add(weight, now_ns) <= self.limits.weight_minute:
            self._warnings = 0
            self._retry_after = 0
            return
        self._warnings += 1
        self._retry_after = self._weight.left_seconds(now_ns)
        if self._warnings > WARNINGS_MAX:
            self._warnings = 0
            self._banned_until_ns = now_ns + BAN_NS
        message = (
            f"Too many requests; current limit of IP is {self.limits.weight_minute} requests per"
            " minute. Please use the websocket for live updates to avoid polling the API."
        )
        raise WireError(Code.TOO_MANY_REQUESTS, message, status=429)

    def order(self, count: int, now_ns: int) -> None:
        """Count orders; raises WireError 429 (-1015)."""
        ten_seconds = self._ten_seconds.add(count, now_ns)
        minute = self._minute.add(count, now_ns)
        if ten_seconds > self.limits.orders_ten_seconds or minute > self.limits.orders_minute:
            self._retry_after = self._ten_seconds.left_seconds(now_ns)
            raise WireError(Code.TOO_MANY_ORDERS, status=429)

    def headers(self, now_ns: int, *, orders: bool, refused: bool) -> dict[str, str]:
        """Return the usage headers; those of orders only on order endpoints."""
        made = {"X-MBX-USED-WEIGHT-1M": str(self._weight.add(0, now_ns))}
        if orders:
            made["X-MBX-ORDER-COUNT-10S"] = str(self._ten_seconds.add(0, now_ns))
            made["X-MBX-ORDER-COUNT-1M"] = str(self._minute.add(0, now_ns))
        if refused and self._retry_after:
            made["Retry-After"] = str(self._retry_after)
        return made
