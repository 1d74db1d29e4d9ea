"""OKX's REST through ccxt: its signing, its envelope, and its deadline of a request."""

from typing import Any, Final

from ccxt.async_support.okx import okx  # type: ignore[import-untyped,unused-ignore]

from counterpoise.domain.errors import VenueUnreachable
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.ports import Clock
from counterpoise.venues.okx import errors, throttle
from counterpoise.venues.okx.endpoints import DEMO_HEADER, OkxCredentials, OkxEndpoints
from counterpoise.venues.okx.throttle import VENUE_LIMITS
from counterpoise.venues.session import Call, RestSession, Row, public_only, without_retries
from counterpoise.venues.throttle import LOOPBACK_LIMITS, Lanes

__all__ = ["DEADLINE_FIELD", "OkxSession", "Row"]

#: Request field that becomes the expTime header: the venue drops the request after it, ms.
DEADLINE_FIELD: Final = "expTime"

#: OKX takes a request whose stamp is no further than this from its clock, ns; a request without a
#: deadline lives as long (source: v5 "Making Requests", code 50102).
STAMP_VALID_NS: Final = 30 * NS_PER_SECOND

#: Orders without an id of ours that are remembered not to be asked about again.
STOPS_REMEMBERED_MAX: Final = 1_000


class OkxSession(RestSession):
    """Opens, signs and closes; knows no meaning of any endpoint."""

    outcomes = errors.TABLE

    def __init__(
        self,
        endpoints: OkxEndpoints,
        credentials: OkxCredentials | None,
        clock: Clock,
        *,
        timeout_ms: int,
    ) -> None:
        """Without a key (None) only what is public can be asked."""
        reads = _client(endpoints, credentials, timeout_ms)
        super().__init__(
            reads if credentials is None else _client(endpoints, credentials, timeout_ms),
            reads,
            Lanes(LOOPBACK_LIMITS if endpoints.is_loopback else VENUE_LIMITS),
            clock,
        )
        self.endpoints = endpoints
        #: OKX's id of an order without an id of ours -> our id of the stop that made it, or "".
        self.stops_by_order: dict[str, str] = {}

    def allow(self, orders_max: int | None) -> None:
        """Count by the orders the account may send in two seconds; None = it is not told."""
        if orders_max:
            self.lanes.allow(throttle.within_account(self.lanes.limits, orders_max))

    def keep_stop(self, ord_id: str, stop_id: str) -> None:
        """Remember our id of the stop that made an order; "" = none of ours did."""
        self.stops_by_order[ord_id] = stop_id
        while len(self.stops_by_order) > STOPS_REMEMBERED_MAX:
            del self.stops_by_order[next(iter(self.stops_by_order))]

    async def read(self, method: str, **parameters: Any) -> list[Any]:
        """Return `data` of one GET in the lane of reads."""
        async with self.lanes.read():
            return await self.ask(getattr(self.reads, method), parameters)

    async def venue_ms(self) -> int:
        """Return OKX's clock."""
        rows = await self.ask(self.orders.publicGetPublicTime, {})
        try:
            return int(rows[0]["ts"])
        except (LookupError, TypeError, ValueError) as error:
            raise VenueUnreachable(f"OKX answered no time: {str(rows)[:80]!r}") from error

    async def read_candles(self, method: str, **parameters: Any) -> list[Any]:
        """Return `data` of one GET in the lane of candles."""
        async with self.lanes.candle():
            return await self.ask(getattr(self.reads, method), parameters)

    @classmethod
    async def ask(cls, call: Call, parameters: dict[str, Any]) -> list[Any]:
        """Return `data` of one GET. Raises VenueUnreachable or VenueRejected."""
        answer = await cls.answer(call, parameters)
        if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
            raise VenueUnreachable(f"OKX answered no data: {str(answer)[:80]!r}")
        return list(answer["data"])


def _client(endpoints: OkxEndpoints, credentials: OkxCredentials | None, timeout_ms: int) -> Any:
    key = (
        {}
        if credentials is None
        else {
            "apiKey": credentials.api_key,
            "secret": credentials.secret,
            "password": credentials.passphrase,
        }
    )
    client = without_retries(
        okx(
            {
                **key,
                "timeout": timeout_ms,
                "enableRateLimit": False,
                "headers": {DEMO_HEADER: "1"} if endpoints.simulated_trading else {},
                "options": {"defaultType": "swap"},
            }
        )
    )
    # The one REST address and nothing else: no path of ccxt can leave for another host.
    client.urls["api"] = {"rest": endpoints.rest_url}
    for name in ("test", "demo"):
        client.urls.pop(name, None)
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
    return public_only(client) if credentials is None else client
