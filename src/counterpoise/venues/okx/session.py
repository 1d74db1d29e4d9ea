"""Two ccxt clients of one account: one for orders, one for everything else.

ccxt signs, sends and recognises OKX's errors; whatever it raises leaves here as a `VenueError`.
Its limiter and its retries are off: an order is sent once or its outcome is unknown.
"""

from collections.abc import Awaitable, Callable, Mapping
from decimal import localcontext
from typing import Any, Final

import aiohttp
from ccxt.async_support.okx import okx  # type: ignore[import-untyped,unused-ignore]
from ccxt.base import errors as ccxt_errors  # type: ignore[import-untyped,unused-ignore]

from counterpoise.domain.errors import OutcomeUnknown, VenueUnreachable
from counterpoise.venues.okx import errors
from counterpoise.venues.okx.endpoints import DEMO_HEADER, OkxCredentials, OkxEndpoints
from counterpoise.venues.okx.throttle import LOOPBACK_LIMITS, VENUE_LIMITS, Lanes

#: Request field that becomes the expTime header: the venue drops the request after it, ms.
DEADLINE_FIELD: Final = "expTime"

#: Orders without an id of ours that are remembered not to be asked about again.
STOPS_REMEMBERED_MAX: Final = 1_000

#: What a call may raise before we have looked at it.
_RAISED: Final = (
    ccxt_errors.BaseError,
    aiohttp.ClientError,
    TimeoutError,
    OSError,
    ValueError,
)

Row = Mapping[str, Any]
Call = Callable[[dict[str, Any]], Awaitable[Any]]


class OkxSession:
    """Opens, signs and closes; knows no meaning of any endpoint."""

    def __init__(
        self, endpoints: OkxEndpoints, credentials: OkxCredentials, *, timeout_ms: int
    ) -> None:
        self.endpoints = endpoints
        self.lanes = Lanes(LOOPBACK_LIMITS if endpoints.is_loopback else VENUE_LIMITS)
        #: ccxt client for orders and cancels only, so that its sockets never queue behind reads.
        self.orders: Any = _client(endpoints, credentials, timeout_ms)
        #: ccxt client for everything else.
        self.reads: Any = _client(endpoints, credentials, timeout_ms)
        #: OKX's id of an order without an id of ours -> our id of the stop that made it, or "".
        self.stops_by_order: dict[str, str] = {}

    def keep_stop(self, ord_id: str, stop_id: str) -> None:
        """Remember our id of the stop that made an order; "" = none of ours did."""
        self.stops_by_order[ord_id] = stop_id
        while len(self.stops_by_order) > STOPS_REMEMBERED_MAX:
            del self.stops_by_order[next(iter(self.stops_by_order))]

    def load(self, rows: list[Row]) -> None:
        """Teach both clients the instruments they may trade."""
        for client in (self.orders, self.reads):
            client.set_markets([client.parse_market(dict(row)) for row in rows])

    async def close(self) -> None:
        """Release both clients' connections; safe to call twice."""
        await self.orders.close()
        await self.reads.close()

    async def read(self, method: str, **parameters: Any) -> list[Any]:
        """Return `data` of one GET in the lane of reads."""
        async with self.lanes.read():
            return await self.ask(getattr(self.reads, method), parameters)

    async def read_candles(self, method: str, **parameters: Any) -> list[Any]:
        """Return `data` of one GET in the lane of candles."""
        async with self.lanes.candle():
            return await self.ask(getattr(self.reads, method), parameters)

    @staticmethod
    async def ask(call: Call, parameters: dict[str, Any]) -> list[Any]:
        """Return `data` of one GET. Raises VenueUnreachable or VenueRejected."""
        try:
            # ccxt changes the rounding of the context it runs in; the caller's is not its to change.
            with localcontext():
                answer = await call(parameters)
        except _RAISED as exception:
            raise errors.classify(exception, placing=False) from exception
        if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
            raise VenueUnreachable(f"OKX answered no data: {str(answer)[:80]!r}")
        return list(answer["data"])

    @staticmethod
    async def change(call: Callable[[], Awaitable[Any]]) -> Row:
        """Return the answer to a request that changes something.

        Raises VenueRejected, VenueUnreachable or OutcomeUnknown, the last also for an answer
        that is no object (an empty body or a page of HTML raises nothing in ccxt).
        """
        try:
            with localcontext():
                answer = await call()
        except _RAISED as exception:
            raise errors.classify(exception, placing=True) from exception
        if not isinstance(answer, dict):
            raise OutcomeUnknown(f"OKX answered nothing we can read: {str(answer)[:80]!r}")
        return answer


def _client(endpoints: OkxEndpoints, credentials: OkxCredentials, timeout_ms: int) -> Any:
    client = okx(
        {
            "apiKey": credentials.api_key,
            "secret": credentials.secret,
            "password": credentials.passphrase,
            "timeout": timeout_ms,
            "enableRateLimit": False,
            "headers": {DEMO_HEADER: "1"} if endpoints.simulated_trading else {},
            "options": {
                "defaultType": "swap",
                "createOrder": "privatePostTradeOrder",
                "maxRetriesOnFailure": 0,
            },
        }
    )
    # The one REST address and nothing else: no path of ccxt can leave for another host.
    client.urls["api"] = {"rest": endpoints.rest_url}
    for name in ("test", "demo"):
        client.urls.pop(name, None)
    client.has["fetchCurrencies"] = False
    client.timeout_on_exit = 0
    sign = client.sign

    def sign_with_deadline(
        path: str, api: Any = "public", method: str = "GET", params: Any = None, *rest: Any
    ) -> Any:
        # ccxt knows no expTime; headers are not signed, so it may be added afterwards.
        fields = dict(params) if isinstance(params, dict) else (params or {})
        deadline = fields.pop(DEADLINE_FIELD, None) if isinstance(fields, dict) else None
        request = sign(path, api, method, fields, *rest)
        if deadline is not None:
            request["headers"][DEADLINE_FIELD] = deadline
        return request

    client.sign = sign_with_deadline
    return client
