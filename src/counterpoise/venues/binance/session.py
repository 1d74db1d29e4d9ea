"""Binance's REST through ccxt: its signing, its clock, and its deadline of a request."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ccxt.async_support.binanceusdm import (  # type: ignore[import-untyped,unused-ignore]
    binanceusdm,
)

from counterpoise.domain.errors import VenueUnreachable
from counterpoise.domain.units import NS_PER_MS, NS_PER_SECOND
from counterpoise.ports import Clock
from counterpoise.venues.binance import errors, throttle
from counterpoise.venues.binance.endpoints import BinanceCredentials, BinanceEndpoints
from counterpoise.venues.binance.throttle import DOCUMENTED, UNCOUNTED, WEIGHTS, Allowance
from counterpoise.venues.session import RestSession, heard_by, public_only, without_retries
from counterpoise.venues.throttle import LaneLimits, Lanes

#: Requests are stamped this far behind the venue's clock, because Binance refuses a stamp that is
#: a second ahead of it; a clock of ours that steps ahead must not silence reductions.
STAMPED_BEHIND_MS: Final = 5_000

#: How long after its stamp Binance takes a request at most; for all but increases.
RECEIVE_WINDOW_MS: Final = 60_000

#: How long after it was sent Binance may still take a reduction, ns.
REDUCTION_VALID_NS: Final = (RECEIVE_WINDOW_MS - STAMPED_BEHIND_MS) * NS_PER_MS


class BinanceSession(RestSession):
    """Opens, signs and closes; knows no meaning of any endpoint."""

    outcomes = errors.TABLE
    stamped_behind_ms = STAMPED_BEHIND_MS

    def __init__(
        self,
        endpoints: BinanceEndpoints,
        credentials: BinanceCredentials | None,
        clock: Clock,
        shares: Callable[[Allowance], LaneLimits],
        *,
        timeout_ms: int,
        places_orders: bool = False,
    ) -> None:
        """Without a key (None) only what is public can be read.

        `shares` makes the lanes of what Binance allows; `places_orders` = orders get a client,
        and sockets, of their own.
        """
        reads = _client(endpoints, credentials, timeout_ms)
        allowed = UNCOUNTED if endpoints.is_loopback else DOCUMENTED
        super().__init__(
            _client(endpoints, credentials, timeout_ms) if places_orders else reads,
            reads,
            Lanes(shares(allowed)),
            clock,
        )
        self.endpoints = endpoints
        #: What Binance allows, as it told last.
        self.allowed = allowed
        self._shares = shares
        self._own_orders = False
        for client in {id(each): each for each in (self.orders, self.reads)}.values():
            heard_by(client, self._heed)

    def allow(self, rate_limits: object, *, of_account: bool = False) -> None:
        """Take `rateLimits` rows; what says nothing we can read changes nothing.

        Limits of orders that the account has of its own stay, whatever exchangeInfo says later.
        """
        if isinstance(rate_limits, Sequence):
            rows = [row for row in rate_limits if isinstance(row, Mapping)]
            self._own_orders = self._own_orders or (of_account and bool(rows))
            if self._own_orders and not of_account:
                rows = [row for row in rows if row.get("rateLimitType") != "ORDERS"]
            self.allowed = self.allowed.told(rows)
            self.lanes.allow(self._shares(self.allowed))

    async def read(self, method: str, **parameters: Any) -> Any:
        """Return the answer of one GET in the lane of reads, by its weight."""
        async with self.lanes.read(WEIGHTS.get(method, 1)):
            return await self.answer(getattr(self.reads, method), parameters)

    async def venue_ms(self) -> int:
        """Return Binance's clock."""
        answer = await self.answer(self.orders.fapiPublicGetTime, {})
        try:
            return int(answer["serverTime"])
        except (LookupError, TypeError, ValueError) as error:
            raise VenueUnreachable(f"Binance answered no time: {str(answer)[:80]!r}") from error

    async def rows(self, method: str, **parameters: Any) -> list[Any]:
        """Return a list. Raises VenueUnreachable for an answer that is none."""
        answer = await self.read(method, **parameters)
        if not isinstance(answer, list):
            raise VenueUnreachable(f"Binance answered no list: {str(answer)[:80]!r}")
        return answer

    async def row(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return an object. Raises VenueUnreachable for an answer that is none."""
        answer = await self.read(method, **parameters)
        if not isinstance(answer, dict):
            raise VenueUnreachable(f"Binance answered no object: {str(answer)[:80]!r}")
        return answer

    def _heed(self, _url: str, status: int, headers: Mapping[str, str], body: str) -> None:
        venue_seconds = self.venue_ns / NS_PER_SECOND
        throttle.heed(self.lanes, self.allowed, status, headers, body, venue_seconds)


def receive_window_ms(remaining_ms: int) -> int:
    """Return the window of a request that Binance must not take after the time that remains."""
    return min(max(remaining_ms, 1) + STAMPED_BEHIND_MS, RECEIVE_WINDOW_MS)


def _client(
    endpoints: BinanceEndpoints, credentials: BinanceCredentials | None, timeout_ms: int
) -> Any:
    key = (
        {}
        if credentials is None
        else {
            "apiKey": credentials.api_key,
            "secret": credentials.secret,
        }
    )
    client = without_retries(
        binanceusdm(
            {
                **key,
                "timeout": timeout_ms,
                "enableRateLimit": False,
                "options": {
                    "fetchCurrencies": False,
                    "fetchMargins": False,
                    "disableFuturesSandboxWarning": True,
                    "recvWindow": RECEIVE_WINDOW_MS,
                },
            }
        )
    )
    # These addresses and nothing else: no path of ccxt can leave for another host.
    rest = endpoints.rest_url.rstrip("/")
    urls = {
        f"fapi{kind}{'' if version == 1 else f'V{version}'}": f"{rest}/fapi/v{version}"
        for kind in ("Public", "Private")
        for version in (1, 2, 3)
    }
    if endpoints.wallet_url is not None:
        urls["sapi"] = f"{endpoints.wallet_url.rstrip('/')}/sapi/v1"
    client.urls["api"] = urls
    for name in ("test", "demo"):
        client.urls.pop(name, None)
    return public_only(client) if credentials is None else client
