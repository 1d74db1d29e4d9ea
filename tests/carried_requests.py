"""Each venue's adapter with ccxt's real client on it, up to where a request would leave the machine.

What ccxt made of a request is kept as it was signed; answers are told by path.
"""

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from ccxt.async_support.base.exchange import Exchange
from ccxt.base.errors import ExchangeError

from counterpoise.domain.units import NS_PER_MS
from counterpoise.ports import Clock
from counterpoise.venues.binance.endpoints import BinanceCredentials, BinanceEndpoints
from counterpoise.venues.binance.orders import BinanceVenue
from counterpoise.venues.bybit.endpoints import BybitCredentials, BybitEndpoints
from counterpoise.venues.bybit.orders import BybitVenue
from counterpoise.venues.okx.endpoints import OkxCredentials, OkxEndpoints
from counterpoise.venues.okx.orders import OkxVenue

#: What is never twice the same in a request.
_CHANGING = re.compile(r"(timestamp|signature|recvWindow)=\w+")


@dataclass(frozen=True)
class Request:
    """One request as it would have left."""

    method: str
    path: str
    headers: dict[str, str]
    fields: dict[str, Any]
    body: str

    def told(self) -> str:
        """The request without what changes each time; headers that bound its life are named."""
        bounds = [name for name in ("expTime", "X-BAPI-RECV-WINDOW") if name in self.headers]
        body = _CHANGING.sub(r"\1=*", self.body)
        return " ".join([self.method, self.path, *bounds, body])


@dataclass
class Carrier:
    """Stands where the network is."""

    #: Where orders go.
    order_path: str
    #: The rows of the list of markets; may be changed.
    markets: list[dict[str, Any]]
    #: Path -> answer to what was asked.
    answers: dict[str, Callable[["Carrier", Request], Any]]
    #: Reads a request's stamp, ms.
    stamp: Callable[[Request], int]
    #: The venue's own clock, ns.
    venue_ns: Callable[[], int]
    #: Everything that left, oldest first.
    requests: list[Request] = field(default_factory=list)

    @property
    def orders(self) -> list[Request]:
        """Orders that left."""
        return [each for each in self.requests if each.path == self.order_path]

    def carry(self, url: str, method: str, headers: Any, body: Any) -> Any:
        """Keep a request and answer it."""
        parts, text = urlsplit(url), body or ""
        query = text if text and text[0] != "{" else parts.query
        fields = json.loads(text) if text.startswith("{") else dict(parse_qsl(query))
        request = Request(method, parts.path, dict(headers or {}), fields, text)
        self.requests.append(request)
        return self.answers[parts.path](self, request)

    @property
    def venue_ms(self) -> int:
        """The venue's clock, ms."""
        return self.venue_ns() // NS_PER_MS


def okx_row(base: str, **changes: Any) -> dict[str, Any]:
    """A linear swap."""
    return {
        "instType": "SWAP", "instId": f"{base}-USDT-SWAP", "uly": f"{base}-USDT",
        "instFamily": f"{base}-USDT", "baseCcy": "", "quoteCcy": "", "settleCcy": "USDT",
        "ctVal": "0.01", "ctMult": "1", "ctValCcy": base, "listTime": "1", "expTime": "",
        "lever": "100", "tickSz": "0.1", "lotSz": "0.01", "minSz": "0.01", "ctType": "linear",
        "state": "live", "maxLmtSz": "100000", "maxMktSz": "100000",
    } | changes  # fmt: skip


def binance_row(base: str, **changes: Any) -> dict[str, Any]:
    """A perpetual."""
    return {
        "symbol": f"{base}USDT", "contractType": "PERPETUAL", "status": "TRADING",
        "baseAsset": base, "quoteAsset": "USDT", "marginAsset": "USDT", "pricePrecision": 2,
        "quantityPrecision": 3, "underlyingType": "COIN", "deliveryDate": 4133404800000,
        "filters": [
            {"filterType": "PRICE_FILTER", "tickSize": "0.10", "minPrice": "1", "maxPrice": "1e6"},
            {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001", "maxQty": "1000"},
            {
                "filterType": "MARKET_LOT_SIZE", "stepSize": "0.001", "minQty": "0.001",
                "maxQty": "120",
            },
            {"filterType": "MIN_NOTIONAL", "notional": "5"},
        ],
        "orderTypes": ["LIMIT", "MARKET"], "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    } | changes  # fmt: skip


def bybit_row(base: str, **changes: Any) -> dict[str, Any]:
    """A linear perpetual."""
    return {
        "symbol": f"{base}USDT", "contractType": "LinearPerpetual", "status": "Trading",
        "baseCoin": base, "quoteCoin": "USDT", "settleCoin": "USDT",
        "priceFilter": {"tickSize": "0.10", "minPrice": "0.1", "maxPrice": "1e6"},
        "lotSizeFilter": {
            "qtyStep": "0.001", "minOrderQty": "0.001", "maxOrderQty": "1190",
            "maxMktOrderQty": "119", "minNotionalValue": "5",
        },
    } | changes  # fmt: skip


def _okx_stamp(request: Request) -> int:
    text = request.headers["OK-ACCESS-TIMESTAMP"]
    return int(Exchange.parse8601(text))


def _in_time(carrier: Carrier, request: Request, *, behind_ms: int, ahead_ms: int) -> bool:
    late_ms = carrier.venue_ms - carrier.stamp(request)
    return -ahead_ms < late_ms < behind_ms


def _okx(rows: list[Any]) -> dict[str, Any]:
    return {"code": "0", "msg": "", "data": rows}


def _okx_order(carrier: Carrier, request: Request) -> Any:
    if not _in_time(carrier, request, behind_ms=30_000, ahead_ms=30_000):
        raise _refused("okx", {"code": "50102", "msg": "Timestamp request expired", "data": []})
    row = {"ordId": "77", "clOrdId": request.fields["clOrdId"], "sCode": "0", "sMsg": ""}
    return _okx([row | {"ts": str(carrier.venue_ms)}])


def _binance_order(carrier: Carrier, request: Request) -> Any:
    window_ms = int(request.fields["recvWindow"])
    if not _in_time(carrier, request, behind_ms=window_ms, ahead_ms=1_000):
        raise _refused("binanceusdm", {"code": -1021, "msg": "Timestamp for this request"})
    named = request.fields["newClientOrderId"]
    return {"orderId": 77, "clientOrderId": named, "updateTime": carrier.venue_ms}


def _bybit(result: dict[str, Any], carrier: Carrier) -> dict[str, Any]:
    return {"retCode": 0, "retMsg": "OK", "result": result, "time": carrier.venue_ms}


def _bybit_order(carrier: Carrier, request: Request) -> Any:
    window_ms = int(request.headers["X-BAPI-RECV-WINDOW"])
    if not _in_time(carrier, request, behind_ms=window_ms, ahead_ms=1_000):
        raise _refused("bybit", {"retCode": 10002, "retMsg": "invalid request, please check"})
    return _bybit({"orderId": "77", "orderLinkId": request.fields["orderLinkId"]}, carrier)


def _refused(name: str, answer: dict[str, Any]) -> Exception:
    # As ccxt tells a refusal.
    return ExchangeError(f"{name} {json.dumps(answer)}")


def _okx_world(clock: Clock, venue_ns: Callable[[], int]) -> tuple[Carrier, Any]:
    carrier = Carrier(
        order_path="/api/v5/trade/order",
        markets=[okx_row("BTC"), okx_row("ETH")],
        answers={
            "/api/v5/public/instruments": lambda carrier, _: _okx(carrier.markets),
            "/api/v5/public/time": lambda carrier, _: _okx([{"ts": str(carrier.venue_ms)}]),
            "/api/v5/account/config": lambda *_: _okx([{"uid": "4242"}]),
            "/api/v5/trade/order": _okx_order,
        },
        stamp=_okx_stamp,
        venue_ns=venue_ns,
    )
    key = OkxCredentials(api_key="k", secret="s", passphrase="p")
    return carrier, OkxVenue(OkxEndpoints.loopback(9), key, clock)


def _binance_world(clock: Clock, venue_ns: Callable[[], int]) -> tuple[Carrier, Any]:
    carrier = Carrier(
        order_path="/fapi/v1/order",
        markets=[binance_row("BTC"), binance_row("ETH")],
        answers={
            "/fapi/v1/exchangeInfo": lambda carrier, _: {
                "rateLimits": [], "symbols": carrier.markets,
            },
            "/fapi/v1/time": lambda carrier, _: {"serverTime": carrier.venue_ms},
            "/fapi/v3/balance": lambda *_: [{"accountAlias": "AbCd", "asset": "USDT"}],
            "/fapi/v1/order": _binance_order,
        },
        stamp=lambda request: int(request.fields["timestamp"]),
        venue_ns=venue_ns,
    )  # fmt: skip
    key = BinanceCredentials(api_key="k", secret="s")
    return carrier, BinanceVenue(BinanceEndpoints.loopback(9), key, clock)


def _bybit_world(clock: Clock, venue_ns: Callable[[], int]) -> tuple[Carrier, Any]:
    carrier = Carrier(
        order_path="/v5/order/create",
        markets=[bybit_row("BTC"), bybit_row("ETH")],
        answers={
            "/v5/market/instruments-info": lambda carrier, request: _bybit(
                {
                    "list": [
                        row
                        for row in carrier.markets
                        if request.fields.get("symbol") in {None, row["symbol"]}
                    ],
                    "nextPageCursor": "",
                },
                carrier,
            ),
            "/v5/market/time": lambda carrier, _: _bybit(
                {"timeNano": str(carrier.venue_ns())}, carrier
            ),
            "/v5/user/query-api": lambda carrier, _: _bybit({"userID": 4242}, carrier),
            "/v5/account/info": lambda carrier, _: _bybit({"unifiedMarginStatus": 6}, carrier),
            "/v5/order/create": _bybit_order,
        },
        stamp=lambda request: int(request.headers["X-BAPI-TIMESTAMP"]),
        venue_ns=venue_ns,
    )
    key = BybitCredentials(api_key="k", secret="s")
    return carrier, BybitVenue(BybitEndpoints.loopback(9), key, clock)


_WORLDS = {"okx": _okx_world, "binance": _binance_world, "bybit": _bybit_world}
VENUES = tuple(_WORLDS)
ROWS = {"okx": okx_row, "binance": binance_row, "bybit": bybit_row}


@asynccontextmanager
async def carried(
    name: str, clock: Clock, venue_ns: Callable[[], int], patch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Carrier, Any]]:
    """Open a venue's adapter on a carrier."""
    carrier, venue = _WORLDS[name](clock, venue_ns)

    async def fetch(
        _client: Any, url: str, method: str = "GET", headers: Any = None, body: Any = None
    ) -> Any:
        return carrier.carry(url, method, headers, body)

    patch.setattr(Exchange, "fetch", fetch)
    await venue.open()
    try:
        yield carrier, venue
    finally:
        await venue.close()
