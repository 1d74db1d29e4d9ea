"""Good answers of every question of a venue, by the name of ccxt's method, and ports that ask."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from counterpoise.domain.units import NS_PER_HOUR, NS_PER_MS
from counterpoise.venues.binance.endpoints import BinanceCredentials, BinanceEndpoints
from counterpoise.venues.binance.orders import BinanceVenue
from counterpoise.venues.binance.public import BinancePublic
from counterpoise.venues.binance.session import BinanceSession
from counterpoise.venues.binance.throttle import Allowance
from counterpoise.venues.bybit.endpoints import BybitCredentials, BybitEndpoints
from counterpoise.venues.bybit.orders import BybitVenue
from counterpoise.venues.bybit.public import BybitPublic
from counterpoise.venues.bybit.session import BybitSession
from counterpoise.venues.okx.endpoints import OkxCredentials, OkxEndpoints
from counterpoise.venues.okx.orders import OkxVenue
from counterpoise.venues.okx.public import OkxPublic
from counterpoise.venues.okx.session import OkxSession
from counterpoise.venues.throttle import LOOPBACK_LIMITS

NOW_NS = time.time_ns()
NOW_MS = NOW_NS // NS_PER_MS
MS = str(NOW_MS)
SINCE_NS = NOW_NS - NS_PER_HOUR
BAR_MS = (NOW_NS - NOW_NS % NS_PER_HOUR - 2 * NS_PER_HOUR) // NS_PER_MS
BAR = [str(BAR_MS), "100", "101", "99", "100.5", "1"]


class TestClock:
    """Time that stands still."""

    __test__ = False

    def now_ns(self) -> int:
        return NOW_NS

    def monotonic(self) -> float:
        return 0.0


class NoLimits:
    """Lanes that let everything in at once."""

    limits = LOOPBACK_LIMITS

    def read(self, _weight: int = 1) -> "NoLimits":
        return self

    candle = snapshot = read

    def order(self, *, reduce_only: bool) -> "NoLimits":
        return self

    def cancel(self) -> "NoLimits":
        return self

    def allow(self, _limits: object) -> None:
        pass

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_: object) -> None:
        pass


class Client:
    """Stands where ccxt's client stands: answers by method, and remembers what was asked."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.options: dict[str, Any] = {}
        self.apiKey = "key"

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        if method.startswith("__"):
            raise AttributeError(method)

        async def call(fields: Any = None, **_: Any) -> Any:
            self.asked.append(method)
            assert method in self.answers, f"no answer to {method}"
            # What is margined elsewhere is asked for as well, and there is nothing.
            if fields and (
                fields.get("settleCoin") == "USDC" or fields.get("category") == "inverse"
            ):
                return {"retCode": 0, "result": {"list": []}, "time": NOW_MS}
            answer = self.answers[method]
            if isinstance(answer, BaseException):
                raise answer
            return answer

        return call

    async def close(self) -> None:
        pass


@dataclass(frozen=True)
class Rig:
    """A venue's two adapters on one client."""

    account: Any
    public: Any
    client: Client
    #: Port -> what is answered to it instead.
    instead: dict[str, dict[str, Any]]


def private_ports(venue: Any) -> dict[str, Callable[[], Awaitable[Any]]]:
    """Every port of `Venue` that only reads, but `open`, which only opens these."""
    return {
        "attest": lambda: venue.attest(["BTCUSDT"]),
        "instruments": lambda: venue.instruments(["BTCUSDT"]),
        "account": venue.account,
        "mark_candles": lambda: venue.mark_candles(
            "BTCUSDT", 3_600, BAR_MS * NS_PER_MS, BAR_MS * NS_PER_MS + NS_PER_HOUR
        ),
        "find_trigger": lambda: venue.find_trigger("BTCUSDT", "cp1"),
        "triggers": venue.triggers,
        "find_order": lambda: venue.find_order("BTCUSDT", "cp1"),
        "find_ended": lambda: venue.find_ended("BTCUSDT", "cp1", SINCE_NS),
        "fills_since": lambda: venue.fills_since(SINCE_NS),
        "funding_since": lambda: venue.funding_since(SINCE_NS),
        "transfers_since": lambda: venue.transfers_since(SINCE_NS),
        "account_id": venue.account_id,
        "clock_offset_ns": venue.clock_offset_ns,
        "instrument_states": lambda: venue.instrument_states(["BTCUSDT"]),
    }


def public_ports(reader: Any) -> dict[str, Callable[[], Awaitable[Any]]]:
    """Every port of `PublicVenue` that asks, but `open`, which only opens these."""
    return {
        "instruments": lambda: reader.instruments(["BTCUSDT"]),
        "mark_candles": lambda: reader.mark_candles(
            "BTCUSDT", 3_600, BAR_MS * NS_PER_MS, BAR_MS * NS_PER_MS + NS_PER_HOUR
        ),
        "clock_offset_ns": reader.clock_offset_ns,
        "instrument_states": lambda: reader.instrument_states(["BTCUSDT"]),
        "present": lambda: reader.present(["BTCUSDT"]),
    }


OKX_ORDER = {
    "instType": "SWAP", "instId": "BTC-USDT-SWAP", "ordId": "77", "clOrdId": "cp1", "sz": "50",
    "accFillSz": "10", "avgPx": "100", "state": "live", "side": "sell", "ordType": "limit",
    "reduceOnly": "true", "px": "100", "uTime": MS, "cTime": MS,
}  # fmt: skip
OKX_STOP = {
    "algoId": "1", "algoClOrdId": "cp1", "instId": "BTC-USDT-SWAP", "state": "live", "sz": "5",
    "actualSz": "0", "uTime": MS, "cTime": MS, "side": "sell", "ordType": "conditional",
    "slTriggerPx": "90", "reduceOnly": "true",
}  # fmt: skip
OKX_FILL = {
    "instType": "SWAP", "instId": "BTC-USDT-SWAP", "tradeId": "7", "ordId": "77",
    "clOrdId": "cp1", "billId": "9", "fillPx": "100", "fillSz": "50", "side": "sell",
    "execType": "T", "feeCcy": "USDT", "fee": "-0.01", "fillPnl": "0", "ts": MS, "fillTime": MS,
    "subType": "4",
}  # fmt: skip
OKX_ROWS: dict[str, dict[str, Any] | list[str]] = {
    "publicGetPublicInstruments": {
        "instType": "SWAP", "instId": "BTC-USDT-SWAP", "instFamily": "BTC-USDT",
        "uly": "BTC-USDT", "ctType": "linear", "ctVal": "0.01", "ctMult": "1",
        "settleCcy": "USDT", "lotSz": "0.01", "minSz": "0.01", "tickSz": "0.1",
        "maxLmtSz": "1000", "maxMktSz": "120", "state": "live", "expTime": "",
    },
    "publicGetPublicTime": {"ts": MS},
    "publicGetPublicMarkPrice": {"instId": "BTC-USDT-SWAP", "markPx": "100", "ts": MS},
    "publicGetPublicFundingRate": {
        "fundingRate": "0.0001", "fundingTime": MS, "nextFundingTime": str(NOW_MS + 1), "ts": MS,
    },
    "publicGetPublicPositionTiers": {"tier": "1", "maxSz": "500", "mmr": "0.004", "imr": "0.01"},
    "publicGetMarketMarkPriceCandles": BAR,
    "privateGetAccountConfig": {
        "uid": "4242", "acctLv": "2", "posMode": "net_mode", "perm": "read_only,trade", "ip": "",
    },
    "privateGetAccountTradeFee": {"takerU": "-0.0005", "makerU": "-0.0002", "level": "Lv1"},
    "privateGetAccountLeverageInfo": {"lever": "3"},
    "privateGetTradeAccountRateLimit": {"accRateLimit": "1000"},
    "privateGetAccountBalance": {
        "uTime": MS,
        "details": [
            {
                "ccy": "USDT", "cashBal": "1000", "eq": "1000", "availEq": "1", "imr": "1",
                "mmr": "1", "uTime": MS,
            }
        ],
    },
    "privateGetAccountPositions": {
        "instType": "SWAP", "instId": "BTC-USDT-SWAP", "pos": "3", "posSide": "net",
        "avgPx": "100", "upl": "1", "liqPx": "50", "uTime": MS, "tradeId": "7", "markPx": "100",
        "mgnMode": "cross", "adl": "1",
    },
    "privateGetTradeOrdersPending": OKX_ORDER,
    "privateGetTradeOrder": OKX_ORDER,
    "privateGetTradeOrdersHistory": OKX_ORDER | {"state": "filled"},
    "privateGetTradeOrderAlgo": OKX_STOP,
    "privateGetTradeOrdersAlgoPending": OKX_STOP,
    "privateGetTradeFills": OKX_FILL,
    "privateGetAccountBills": {
        "billId": "5", "instId": "BTC-USDT-SWAP", "ccy": "USDT", "type": "1", "balChg": "1",
        "ts": MS,
    },
}  # fmt: skip

BYBIT_LISTING = {
    "symbol": "BTCUSDT", "contractType": "LinearPerpetual", "status": "Trading",
    "baseCoin": "BTC", "quoteCoin": "USDT", "settleCoin": "USDT", "deliveryTime": "0",
    "fundingInterval": 480, "priceFilter": {"tickSize": "0.10"},
    "lotSizeFilter": {
        "qtyStep": "0.001", "minOrderQty": "0.001", "maxOrderQty": "1190",
        "maxMktOrderQty": "119", "minNotionalValue": "5",
    },
}  # fmt: skip
BYBIT_ORDER = {
    "symbol": "BTCUSDT", "orderId": "v1", "orderLinkId": "cp1", "side": "Sell",
    "orderStatus": "New", "qty": "0.5", "cumExecQty": "0.1", "avgPrice": "100", "price": "100",
    "orderType": "Limit", "reduceOnly": True, "createdTime": MS, "updatedTime": MS,
    "category": "linear", "triggerPrice": "90", "rejectReason": "", "cancelType": "",
}  # fmt: skip
BYBIT_RESULTS: dict[str, Any] = {
    "publicGetV5MarketInstrumentsInfo": {"list": [BYBIT_LISTING], "nextPageCursor": ""},
    "publicGetV5MarketTime": {"timeNano": str(NOW_NS)},
    "publicGetV5MarketTickers": {
        "list": [
            {
                "symbol": "BTCUSDT", "markPrice": "100", "indexPrice": "100",
                "fundingRate": "0.0001", "nextFundingTime": MS, "fundingIntervalHour": "8",
            }
        ]
    },
    "publicGetV5MarketMarkPriceKline": {"list": [BAR[:5]]},
    "publicGetV5MarketRiskLimit": {
        "list": [
            {
                "symbol": "BTCUSDT", "riskLimitValue": "2000000", "maintenanceMargin": "0.005",
                "initialMargin": "0.01", "mmDeduction": "",
            }
        ],
        "nextPageCursor": "",
    },
    "privateGetV5UserQueryApi": {
        "userID": 4242, "readOnly": 0, "ips": ["*"], "vipLevel": "No VIP",
        "permissions": {"ContractTrade": ["Order", "Position"], "Wallet": []},
    },
    "privateGetV5AccountInfo": {"unifiedMarginStatus": 6, "marginMode": "REGULAR_MARGIN"},
    "privateGetV5AccountFeeRate": {"list": [{"takerFeeRate": "0.0005", "makerFeeRate": "0.0002"}]},
    "privateGetV5AccountWalletBalance": {
        "list": [
            {
                "coin": [{"coin": "USDT", "walletBalance": "10", "equity": "10"}],
                "totalInitialMargin": "1", "totalMaintenanceMargin": "1",
                "totalAvailableBalance": "1",
            }
        ]
    },
    "privateGetV5OrderRealtime": {"list": [BYBIT_ORDER], "nextPageCursor": ""},
    "privateGetV5OrderHistory": {
        "list": [BYBIT_ORDER | {"orderStatus": "Filled"}], "nextPageCursor": "",
    },
    "privateGetV5ExecutionList": {
        "list": [
            {
                "symbol": "BTCUSDT", "orderId": "v1", "orderLinkId": "cp1", "side": "Sell",
                "execId": "e1", "execPrice": "100", "execQty": "0.5", "execFee": "0.01",
                "feeCurrency": "", "isMaker": False, "execType": "Trade", "execTime": MS,
                "category": "linear", "execPnl": "1", "createType": "CreateByUser",
            }
        ],
        "nextPageCursor": "",
    },
}  # fmt: skip
BYBIT_MOVEMENT = {
    "id": "1", "symbol": "BTCUSDT", "type": "SETTLEMENT", "change": "1", "currency": "USDT",
    "transactionTime": MS,
}  # fmt: skip
BYBIT_POSITION = {
    "symbol": "BTCUSDT", "side": "Buy", "size": "1", "avgPrice": "100", "positionIdx": 0,
    "unrealisedPnl": "1", "liqPrice": "50", "markPrice": "100", "updatedTime": MS,
    "adlRankIndicator": 1, "leverage": "3",
}  # fmt: skip

BINANCE_ORDER = {
    "symbol": "BTCUSDT", "orderId": 7, "clientOrderId": "cp1", "side": "SELL", "type": "LIMIT",
    "status": "NEW", "origQty": "1", "executedQty": "0.1", "avgPrice": "100", "price": "100",
    "reduceOnly": True, "time": NOW_MS, "updateTime": NOW_MS,
}  # fmt: skip
BINANCE_STOP = {
    "algoId": 1, "clientAlgoId": "cp1", "symbol": "BTCUSDT", "side": "SELL", "quantity": "1",
    "triggerPrice": "90", "algoStatus": "NEW", "reduceOnly": True, "closePosition": False,
    "actualOrderId": "", "actualQty": "0", "createTime": NOW_MS, "updateTime": NOW_MS,
}  # fmt: skip
BINANCE_ANSWERS: dict[str, Any] = {
    "fapiPublicGetExchangeInfo": {
        "rateLimits": [
            {
                "rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1,
                "limit": 2400,
            }
        ],
        "symbols": [
            {
                "symbol": "BTCUSDT", "contractType": "PERPETUAL", "status": "TRADING",
                "baseAsset": "BTC", "quoteAsset": "USDT", "marginAsset": "USDT",
                "deliveryDate": 4133404800000,
                "filters": [
                    {"filterType": "PRICE_FILTER", "tickSize": "0.1"},
                    {"filterType": "LOT_SIZE", "stepSize": "1", "minQty": "1", "maxQty": "9"},
                    {"filterType": "MIN_NOTIONAL", "notional": "100"},
                ],
            }
        ],
    },
    "fapiPublicGetTime": {"serverTime": NOW_MS},
    "fapiPublicGetPremiumIndex": {
        "symbol": "BTCUSDT", "markPrice": "100", "indexPrice": "100", "lastFundingRate": "0.0001",
        "nextFundingTime": NOW_MS, "time": NOW_MS,
    },
    "fapiPublicGetFundingInfo": [{"symbol": "BTCUSDT", "fundingIntervalHours": 8}],
    "fapiPublicGetMarkPriceKlines": [[BAR_MS, *BAR[1:5]]],
    "fapiPrivateV3GetBalance": [{"accountAlias": "AbCd", "asset": "USDT"}],
    "fapiPrivateGetPositionSideDual": {"dualSidePosition": False},
    "fapiPrivateGetMultiAssetsMargin": {"multiAssetsMargin": False},
    "fapiPrivateGetSymbolConfig": [
        {"symbol": "BTCUSDT", "marginType": "CROSSED", "leverage": 3}
    ],
    "fapiPrivateGetAccountConfig": {"feeTier": 2, "canTrade": True},
    "fapiPrivateGetCommissionRate": {
        "makerCommissionRate": "0.0001", "takerCommissionRate": "0.0004",
    },
    "fapiPrivateGetRateLimitOrder": [
        {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200}
    ],
    "sapiGetAccountApiRestrictions": {"ipRestrict": True, "enableReading": True},
    "fapiPrivateGetLeverageBracket": [
        {
            "symbol": "BTCUSDT",
            "brackets": [
                {
                    "bracket": 1, "initialLeverage": 125, "notionalCap": 50000,
                    "maintMarginRatio": "0.004", "cum": "0",
                }
            ],
        }
    ],
    "fapiPrivateV3GetAccount": {
        "assets": [
            {
                "asset": "USDT", "walletBalance": "10", "marginBalance": "10",
                "availableBalance": "1", "initialMargin": "1", "maintMargin": "1",
                "updateTime": NOW_MS,
            }
        ]
    },
    "fapiPrivateV3GetPositionRisk": [
        {
            "symbol": "BTCUSDT", "positionAmt": "1", "positionSide": "BOTH", "entryPrice": "100",
            "unRealizedProfit": "1", "liquidationPrice": "50", "updateTime": NOW_MS,
            "markPrice": "100", "adl": 1,
        }
    ],
    "fapiPrivateGetOpenOrders": [BINANCE_ORDER],
    "fapiPrivateGetOrder": BINANCE_ORDER,
    "fapiPrivateGetAllOrders": [BINANCE_ORDER | {"status": "FILLED"}],
    "fapiPrivateGetAlgoOrder": BINANCE_STOP,
    "fapiPrivateGetOpenAlgoOrders": [BINANCE_STOP],
    "fapiPrivateGetUserTrades": [
        {
            "symbol": "BTCUSDT", "id": 7, "orderId": 7, "side": "SELL", "price": "100",
            "qty": "1", "realizedPnl": "1", "commission": "0.1", "commissionAsset": "USDT",
            "time": NOW_MS, "maker": False,
        }
    ],
    "fapiPrivateGetIncome": [
        {
            "symbol": "BTCUSDT", "incomeType": "FUNDING_FEE", "income": "1", "asset": "USDT",
            "time": NOW_MS, "tranId": 5, "tradeId": "",
        }
    ],
}  # fmt: skip


def okx() -> Rig:
    """OKX: every answer is a list of rows in an envelope."""
    client = Client(
        {method: {"code": "0", "msg": "", "data": [row]} for method, row in OKX_ROWS.items()}
    )
    endpoints, key = (
        OkxEndpoints.loopback(1),
        OkxCredentials(api_key="k", secret="s", passphrase="p"),
    )
    account = OkxVenue(endpoints, key, TestClock())
    public = OkxPublic(endpoints, TestClock())
    funding = {"code": "0", "data": [OKX_ROWS["privateGetAccountBills"]]}
    session = OkxSession(endpoints, key, TestClock(), timeout_ms=1)
    instead = {"funding_since": {"privateGetAccountBills": funding}}
    return _rig(account, public, client, session, instead)


def bybit() -> Rig:
    """Bybit: every answer is a result in an envelope."""
    results = BYBIT_RESULTS | {
        "privateGetV5PositionList": {"list": [BYBIT_POSITION], "nextPageCursor": ""},
        "privateGetV5AccountTransactionLog": {"list": [BYBIT_MOVEMENT], "nextPageCursor": ""},
    }
    client = Client(
        {
            method: {"retCode": 0, "retMsg": "OK", "result": result, "time": NOW_MS}
            for method, result in results.items()
        }
    )
    endpoints, key = BybitEndpoints.loopback(1), BybitCredentials(api_key="k", secret="s")
    account = BybitVenue(endpoints, key, TestClock())
    public = BybitPublic(endpoints, TestClock())
    moved = {"list": [BYBIT_MOVEMENT | {"type": "TRANSFER_IN"}], "nextPageCursor": ""}
    session = BybitSession(endpoints, key, TestClock(), timeout_ms=1)
    answer = {"retCode": 0, "result": moved, "time": NOW_MS}
    waiting = {"list": [BYBIT_ORDER | {"orderStatus": "Untriggered"}], "nextPageCursor": ""}
    instead = {
        "transfers_since": {"privateGetV5AccountTransactionLog": answer},
        "triggers": {"privateGetV5OrderRealtime": answer | {"result": waiting}},
    }
    return _rig(account, public, client, session, instead)


def binance() -> Rig:
    """Binance: every answer is bare."""
    endpoints, key = BinanceEndpoints.loopback(1), BinanceCredentials(api_key="k", secret="s")
    account = BinanceVenue(endpoints, key, TestClock())
    public = BinancePublic(endpoints, TestClock())
    session = BinanceSession(endpoints, key, TestClock(), Allowance.account_lanes, timeout_ms=1)
    moved = [BINANCE_ANSWERS["fapiPrivateGetIncome"][0] | {"incomeType": "TRANSFER"}]
    instead = {"transfers_since": {"fapiPrivateGetIncome": moved}}
    return _rig(account, public, Client(dict(BINANCE_ANSWERS)), session, instead)


def _rig(
    account: Any, public: Any, client: Client, session: Any, instead: dict[str, dict[str, Any]]
) -> Rig:
    session.orders = session.reads = client
    session.lanes = NoLimits()
    account._session = public._session = session
    return Rig(account, public, client, instead)


RIGS = {"okx": okx, "bybit": bybit, "binance": binance}
