"""Bybit's REST through ccxt: its signing, its envelope, its pages and the window of a request."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ccxt.async_support.bybit import bybit  # type: ignore[import-untyped,unused-ignore]

from counterpoise.domain.errors import OutcomeUnknown, VenueRejected, VenueUnreachable
from counterpoise.domain.units import NS_PER_DAY, NS_PER_MS
from counterpoise.ports import Clock
from counterpoise.venues.bybit import errors, throttle
from counterpoise.venues.bybit.endpoints import BybitCredentials, BybitEndpoints
from counterpoise.venues.bybit.throttle import VENUE_LIMITS
from counterpoise.venues.session import (
    RestSession,
    Row,
    heard_by,
    public_only,
    without_retries,
)
from counterpoise.venues.throttle import Lanes

#: Request field that becomes the window of one request: Bybit drops what arrives later, ms.
WINDOW_FIELD: Final = "recvWindow"

#: The window of any other request, ms.
WINDOW_MS: Final = 5_000

#: Pages read of one list; more than this is an account this daemon should not be trading.
PAGES_MAX: Final = 100

#: Longest span of one question about the past, ns.
SPAN_NS: Final = 7 * NS_PER_DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One answer."""

    #: `result` of the envelope.
    fields: Mapping[str, Any]
    #: Venue clock of the answer, ns.
    event_ns: int

    @property
    def rows(self) -> list[Any]:
        """`result.list`. Raises VenueUnreachable if the answer has none."""
        rows = self.fields.get("list")
        if not isinstance(rows, list):
            raise VenueUnreachable(f"Bybit answered no list: {str(self.fields)[:80]!r}")
        return rows


class BybitSession(RestSession):
    """Opens, signs and closes; knows no meaning of any endpoint."""

    outcomes = errors.TABLE

    def __init__(
        self,
        endpoints: BybitEndpoints,
        credentials: BybitCredentials | None,
        clock: Clock,
        *,
        timeout_ms: int,
    ) -> None:
        """Without a key (None) only what is public can be asked."""
        reads = _client(endpoints, credentials, timeout_ms)
        super().__init__(
            reads if credentials is None else _client(endpoints, credentials, timeout_ms),
            reads,
            Lanes(VENUE_LIMITS),
            clock,
        )
        self.endpoints = endpoints
        for client in (self.orders, self.reads):
            heard_by(client, self._heed)

    async def read(self, method: str, **parameters: Any) -> Result:
        """Return one GET's answer, in the lane of reads."""
        async with self.lanes.read():
            return await self._ask(method, parameters)

    async def venue_ms(self) -> int:
        """Return Bybit's clock."""
        answer = _result(await self.answer(self.orders.publicGetV5MarketTime, {}))
        try:
            return int(answer.fields["timeNano"]) // NS_PER_MS
        except (LookupError, TypeError, ValueError) as error:
            raise VenueUnreachable(f"Bybit answered no time: {str(answer)[:80]!r}") from error

    async def read_candles(self, method: str, **parameters: Any) -> Result:
        """Return one GET's answer, in the lane of candles."""
        async with self.lanes.candle():
            return await self._ask(method, parameters)

    async def pages(self, method: str, **parameters: Any) -> list[Any]:
        """Return every row of a list, page by page behind its cursor.

        Raises VenueRejected TOO_MANY_ROWS for a list without an end in sight.
        """
        found: list[Any] = []
        cursor: dict[str, str] = {}
        for _ in range(PAGES_MAX):
            answer = await self.read(method, **parameters, **cursor)
            found.extend(answer.rows)
            following = str(answer.fields.get("nextPageCursor") or "")
            if not following or not answer.rows:
                return found
            cursor = {"cursor": following}
        raise VenueRejected(
            f"{method} has more than {PAGES_MAX} pages; ask for a shorter time",
            code="TOO_MANY_ROWS",
        )

    async def past(
        self, method: str, since_ns: int, until_ns: int, **parameters: Any
    ) -> AsyncIterator[Any]:
        """Yield every row of a list of the past; Bybit takes seven days at a time."""
        start_ns = since_ns
        while start_ns <= until_ns:
            end_ns = min(start_ns + SPAN_NS, until_ns)
            span = {"startTime": start_ns // NS_PER_MS, "endTime": end_ns // NS_PER_MS}
            for row in await self.pages(method, **parameters, **span):
                yield row
            start_ns = end_ns + NS_PER_MS

    async def send(self, method: str, fields: Mapping[str, Any]) -> Row:
        """Return `result` of a POST that changes something.

        Raises VenueRejected, VenueUnreachable or OutcomeUnknown, the last also for an answer
        that is not Bybit's.
        """
        answer = await self.change(lambda: getattr(self.orders, method)(dict(fields)))
        result = answer.get("result")
        if not isinstance(result, dict):
            raise OutcomeUnknown(f"Bybit answered nothing we can read: {str(answer)[:80]!r}")
        return result

    def _heed(self, url: str, status: int, headers: Mapping[str, str], body: str) -> None:
        throttle.heed(self.lanes, url, status, headers, body, self.venue_ns / NS_PER_MS)

    async def _ask(self, method: str, parameters: dict[str, Any]) -> Result:
        return _result(await self.answer(getattr(self.reads, method), parameters))


def _result(answer: object) -> Result:
    if not isinstance(answer, dict) or not isinstance(answer.get("result"), dict):
        raise VenueUnreachable(f"Bybit answered no result: {str(answer)[:80]!r}")
    return Result(fields=answer["result"], event_ns=int(answer.get("time") or 0) * NS_PER_MS)


def _client(
    endpoints: BybitEndpoints, credentials: BybitCredentials | None, timeout_ms: int
) -> Any:
    key = (
        {} if credentials is None else {"apiKey": credentials.api_key, "secret": credentials.secret}
    )
    client = without_retries(
        bybit(
            {
                **key,
                "timeout": timeout_ms,
                "enableRateLimit": False,
                "options": {"defaultType": "swap", "recvWindow": WINDOW_MS},
            }
        )
    )
    # The one REST address and nothing else: no path of ccxt can leave for another host.
    client.urls["api"] = {"public": endpoints.rest_url, "private": endpoints.rest_url}
    for name in ("test", "testnet", "demo", "demotrading"):
        client.urls.pop(name, None)
    sign = client.sign

    def sign_in_window(
        path: str, api: Any = "public", method: str = "GET", params: Any = None, *rest: Any
    ) -> Any:
        # The window is a signed header that ccxt takes from its options.
        fields = dict(params) if isinstance(params, dict) else (params or {})
        window = fields.pop(WINDOW_FIELD, None) if isinstance(fields, dict) else None
        client.options[WINDOW_FIELD] = WINDOW_MS if window is None else window
        return sign(path, api, method, fields, *rest)

    client.sign = sign_in_window
    return public_only(client) if credentials is None else client
