"""Public candles and funding rates of OKX, Binance USD-M and Bybit, through unmodified ccxt.

Each row of `VENUES` is where ccxt's classes differ: page lengths and how a span's end is said.
Sources: OKX v5 "Get candlesticks history", "Get mark price candlesticks history", "Get funding
rate history"; Binance USD-M "Kline data", "Get Funding Rate History"; Bybit v5 "Get Kline",
"Get Mark Price Kline", "Get Funding Rate History".
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import ccxt.async_support as ccxt  # type: ignore[import-untyped,unused-ignore]
from ccxt.base import errors as ccxt_errors  # type: ignore[import-untyped,unused-ignore]

from counterpoise.domain.errors import VenueRejected, VenueUnreachable
from counterpoise.domain.units import NS_PER_HOUR, NS_PER_MS, NS_PER_SECOND
from counterpoise.ports import BarKind, HistoricBar, HistoricFunding
from counterpoise.venues.redirects import without_redirects

#: One request, ms.
TIMEOUT_MS: Final = 20_000
#: How often a request that found no venue is repeated, and the first pause; each next one doubles.
RETRIES: Final = 5
RETRY_SECONDS: Final = 0.5
#: Shortest funding interval any venue has, ms.
FUNDING_INTERVAL_MS_MIN: Final = NS_PER_HOUR // NS_PER_MS
#: The currency our instruments are margined in.
SETTLE: Final = "USDT"

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Venue:
    #: Name of the ccxt class.
    class_name: str
    #: Options that keep ccxt to USDT-margined perpetuals and public endpoints.
    options: Mapping[str, Any] = field(default_factory=dict)
    #: Bars of one answer.
    last_bars: int
    mark_bars: int
    #: Funding rates of one answer.
    fundings: int
    #: Parameter that ends a span of funding rates before `until_ms`.
    funding_end: Callable[[int], dict[str, Any]]


def _inclusive(until_ms: int) -> dict[str, Any]:
    return {"until": until_ms - 1}


def _okx_cursor(until_ms: int) -> dict[str, Any]:
    # "after" means earlier than this moment.
    return {"after": str(until_ms)}


_VENUES: Final = {
    "okx": _Venue(
        class_name="okx",
        options={"defaultType": "swap", "fetchMarkets": {"types": ["swap"]}},
        last_bars=300,
        mark_bars=100,
        fundings=100,
        funding_end=_okx_cursor,
    ),
    "binance": _Venue(
        class_name="binanceusdm",
        options={"fetchCurrencies": False, "fetchMargins": False},
        last_bars=1_000,
        mark_bars=1_000,
        fundings=1_000,
        funding_end=_inclusive,
    ),
    "bybit": _Venue(
        class_name="bybit",
        options={"defaultType": "swap", "fetchMarkets": {"types": ["linear"]}},
        last_bars=1_000,
        mark_bars=1_000,
        fundings=200,
        funding_end=_inclusive,
    ),
}

#: Venues whose history can be read.
NAMES: Final = tuple(sorted(_VENUES))


class PublicHistory:
    """The `History` port on one ccxt class; use `opened`, and `close` it."""

    def __init__(self, venue: str, *, address: str | None = None) -> None:
        """`venue` is one of `NAMES`; `address` (scheme and host) replaces every host of ccxt."""
        self._venue = _VENUES[venue]
        self._name = venue
        self._client = _client(self._venue, address)
        self._symbols: dict[str, str] = {}

    async def open(self, instrument_ids: Sequence[str]) -> None:
        """Read what the venue lists. VenueRejected: one of the instruments is not listed."""
        markets = await self._ask(self._client.load_markets)
        self._symbols = {
            f"{each['base']}{each['quote']}": str(each["symbol"])
            for each in markets.values()
            if each.get("swap") and each.get("linear") and each.get("settle") == SETTLE
        }
        absent = [name for name in instrument_ids if name not in self._symbols]
        if absent:
            raise VenueRejected(
                f"{self._name} lists no {SETTLE} perpetual {', '.join(absent)}", code="NOT_LISTED"
            )

    async def close(self) -> None:
        """Release connections; safe to call twice."""
        await self._client.close()

    async def now_ms(self) -> int:
        """Return the venue's clock, ms UTC."""
        return int(await self._ask(self._client.fetch_time))

    def bars_per_page(self, kind: BarKind) -> int:
        """Return how many bars one answer holds."""
        return self._venue.mark_bars if kind == "mark" else self._venue.last_bars

    def funding_page_ms(self) -> int:
        """Return a span whose funding rates surely fit one answer, ms."""
        return self._venue.fundings * FUNDING_INTERVAL_MS_MIN

    async def bars(
        self, instrument_id: str, kind: BarKind, step_seconds: int, since_ms: int, until_ms: int
    ) -> Sequence[HistoricBar]:
        """Return the bars of one page opened in [since, until)."""
        count = (until_ms - since_ms) // (step_seconds * 1_000)
        assert 0 < count <= self.bars_per_page(kind), "the span is no page"
        parameters: dict[str, Any] = {"until": until_ms - 1}
        if kind == "mark":
            parameters["price"] = "mark"
        rows = await self._ask(
            self._client.fetch_ohlcv,
            self._symbols[instrument_id],
            _timeframe(step_seconds),
            since_ms,
            count,
            parameters,
        )
        # OKX tells in the volume's place of a mark's bar whether it is over.
        return [
            HistoricBar(
                open_ms=int(row[0]),
                open=row[1],
                high=row[2],
                low=row[3],
                close=row[4],
                volume=0.0 if kind == "mark" or row[5] is None else row[5],
            )
            for row in rows
        ]

    async def fundings(
        self, instrument_id: str, since_ms: int, until_ms: int
    ) -> Sequence[HistoricFunding]:
        """Return the rates of one page charged in [since, until)."""
        rows = await self._ask(
            self._client.fetch_funding_rate_history,
            self._symbols[instrument_id],
            since_ms,
            self._venue.fundings,
            self._venue.funding_end(until_ms),
        )
        return [HistoricFunding(int(row["timestamp"]), row["fundingRate"]) for row in rows]

    async def _ask(self, call: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        for attempt in range(RETRIES + 1):
            try:
                return await call(*arguments)
            except (ccxt_errors.OperationFailed, TimeoutError, OSError) as failed:
                if attempt == RETRIES:
                    raise VenueUnreachable(f"{self._name}: {_words(failed)}") from failed
                await asyncio.sleep(RETRY_SECONDS * 2**attempt)
            except ccxt_errors.BaseError as refused:
                raise VenueRejected(f"{self._name}: {_words(refused)}") from refused
        raise AssertionError("unreachable")


def _words(exception: BaseException) -> str:
    return f"{type(exception).__name__}: {str(exception)[:300]}"


def _timeframe(step_seconds: int) -> str:
    hours, rest = divmod(step_seconds * NS_PER_SECOND, NS_PER_HOUR)
    if rest == 0:
        return f"{hours}h"
    return f"{step_seconds // 60}m"


def _client(venue: _Venue, address: str | None) -> Any:
    local = address is not None and urlsplit(address).hostname in _LOOPBACK
    client = getattr(ccxt, venue.class_name)(
        {
            "timeout": TIMEOUT_MS,
            # Nobody counts requests on this machine; a venue does, and ccxt knows its limits.
            "enableRateLimit": not local,
            "options": dict(venue.options),
        }
    )
    if address is not None:
        base = address.rstrip("/")
        client.urls["api"] = _moved(client.urls["api"], base)
        client.hostname = urlsplit(base).netloc
    client.timeout_on_exit = 0
    return without_redirects(client)


def _moved(tree: Any, base: str) -> Any:
    if isinstance(tree, dict):
        return {name: _moved(each, base) for name, each in tree.items()}
    return re.sub(r"^https?://[^/]+", base, tree) if isinstance(tree, str) else tree
