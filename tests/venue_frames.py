"""Every venue's conversations with frames that are good, for tests of what happens to bad ones."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from counterpoise.domain.events import (
    BalanceUpdate,
    BookSnapshot,
    Event,
    FillReported,
    MarkPrice,
    PositionUpdate,
)
from counterpoise.venues.binance import frames as binance_frames
from counterpoise.venues.binance.account_stream import AccountConversation as BinanceAccount
from counterpoise.venues.binance.books import BookConversation as BinanceBooks
from counterpoise.venues.binance.endpoints import BinanceEndpoints
from counterpoise.venues.binance.market_stream import RHYTHM as BINANCE_RHYTHM
from counterpoise.venues.binance.market_stream import MarkConversation as BinanceMarks
from counterpoise.venues.bybit.account_stream import AccountConversation as BybitAccount
from counterpoise.venues.bybit.endpoints import BybitCredentials, BybitEndpoints
from counterpoise.venues.bybit.market_stream import BookConversation as BybitBooks
from counterpoise.venues.bybit.market_stream import MarkConversation as BybitMarks
from counterpoise.venues.connection import Conversation
from counterpoise.venues.okx.account_stream import AccountConversation as OkxAccount
from counterpoise.venues.okx.endpoints import OkxCredentials, OkxEndpoints
from counterpoise.venues.okx.market_stream import BookConversation as OkxBooks
from counterpoise.venues.okx.market_stream import MarkConversation as OkxMarks

NOW_NS = 1_780_000_000_000_000_000
NOW_MS = NOW_NS // 1_000_000
OKX_SYMBOLS = {"BTCUSDT": ("BTC-USDT-SWAP", Decimal("0.01"))}
SYMBOLS = {"BTCUSDT": ("BTCUSDT", Decimal(1))}


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """One conversation, its first frames, and a good frame with what must come of it."""

    #: Makes the conversation.
    make: Callable[[], Conversation]
    #: Frames that begin it; bad ones are made of these and of the good one.
    opening: tuple[bytes, ...]
    #: Read at any time after the opening.
    good: bytes
    #: What the good frame tells.
    kind: type[Event]


def _b(body: Any) -> bytes:
    return json.dumps(body).encode()


def _okx(channel: str, row: dict[str, Any], **more: Any) -> bytes:
    arg = {"channel": channel, "instId": "BTC-USDT-SWAP"}
    return _b({"arg": arg, "data": [row]} | more)


def _bybit(topic: str, data: Any, kind: str = "snapshot") -> bytes:
    return _b({"topic": topic, "type": kind, "ts": NOW_MS, "creationTime": NOW_MS, "data": data})


def _binance_books() -> Conversation:
    made = BinanceBooks(BinanceEndpoints.loopback(1), SYMBOLS, BINANCE_RHYTHM)
    begin = made.begin

    def begin_seeded(now_ns: int) -> None:
        begin(now_ns)
        made.collect("BTCUSDT")
        made.seed("BTCUSDT", binance_frames.SNAPSHOT.decode(_BINANCE_SNAPSHOT), now_ns)

    made.begin = begin_seeded
    return made


_BINANCE_SNAPSHOT = _b(
    {"lastUpdateId": 10, "T": NOW_MS, "bids": [["100.1", "3"]], "asks": [["100.2", "5"]]}
)
_MS = str(NOW_MS)
_LEVELS = {"bids": [["100.1", "3", "0", "1"]], "asks": [["100.2", "5", "0", "2"]]}

SPOKEN = {
    "okx-books": Spoken(
        make=lambda: OkxBooks(OkxEndpoints.loopback(1), OKX_SYMBOLS),
        opening=(
            _b({"event": "subscribe", "arg": {"channel": "books", "instId": "BTC-USDT-SWAP"}}),
            _okx(
                "books",
                _LEVELS | {"ts": _MS, "seqId": 15, "prevSeqId": 10, "checksum": 0},
                action="update",
            ),
        ),
        good=_okx(
            "books",
            _LEVELS | {"ts": _MS, "seqId": 10, "prevSeqId": -1, "checksum": 0},
            action="snapshot",
        ),
        kind=BookSnapshot,
    ),
    "okx-marks": Spoken(
        make=lambda: OkxMarks(OkxEndpoints.loopback(1), OKX_SYMBOLS),
        opening=(
            _okx(
                "funding-rate",
                {
                    "instId": "BTC-USDT-SWAP",
                    "fundingRate": "0.0001",
                    "fundingTime": _MS,
                    "nextFundingTime": str(NOW_MS + 28_800_000),
                    "ts": _MS,
                },
            ),
            _okx("index-tickers", {"instId": "BTC-USDT", "idxPx": "100.3", "ts": _MS}),
        ),
        good=_okx("mark-price", {"instId": "BTC-USDT-SWAP", "markPx": "100.15", "ts": _MS}),
        kind=MarkPrice,
    ),
    "okx-account": Spoken(
        make=lambda: OkxAccount(
            OkxEndpoints.loopback(1),
            OkxCredentials(api_key="k", secret="s", passphrase="p"),
            OKX_SYMBOLS,
        ),
        opening=(
            _b({"event": "login", "code": "0", "msg": ""}),
            *(
                _b({"event": "subscribe", "arg": {"channel": each}})
                for each in ("orders", "positions", "account")
            ),
            _okx(
                "positions",
                {
                    "instId": "BTC-USDT-SWAP",
                    "pos": "-3",
                    "posSide": "net",
                    "avgPx": "100.5",
                    "upl": "1.5",
                    "uTime": _MS,
                    "tradeId": "77",
                },
            ),
        ),
        good=_b(
            {
                "arg": {"channel": "account"},
                "data": [
                    {
                        "uTime": _MS,
                        "details": [{"ccy": "USDT", "eq": "1000.5", "cashBal": "999", "imr": ""}],
                    }
                ],
            }
        ),
        kind=BalanceUpdate,
    ),
    "binance-books": Spoken(
        make=_binance_books,
        opening=(_b({"result": None, "id": 1}),),
        good=_b(
            {
                "e": "depthUpdate",
                "E": NOW_MS,
                "T": NOW_MS,
                "s": "BTCUSDT",
                "U": 9,
                "u": 11,
                "pu": 8,
                "b": [["100.1", "3"]],
                "a": [],
            }
        ),
        kind=BookSnapshot,
    ),
    "binance-marks": Spoken(
        make=lambda: BinanceMarks(BinanceEndpoints.loopback(1), SYMBOLS, {"BTCUSDT": Decimal(8)}),
        opening=(
            _b({"result": None, "id": 1}),
            _b(
                {
                    "e": "forceOrder",
                    "E": NOW_MS,
                    "o": {
                        "s": "BTCUSDT",
                        "S": "SELL",
                        "q": "0.014",
                        "p": "99.1",
                        "ap": "99.2",
                        "z": "0.014",
                        "T": NOW_MS,
                    },
                }
            ),
        ),
        good=_b(
            {
                "e": "markPriceUpdate",
                "E": NOW_MS,
                "s": "BTCUSDT",
                "p": "100.15",
                "i": "100.3",
                "r": "0.0001",
                "T": NOW_MS + 28_800_000,
            }
        ),
        kind=MarkPrice,
    ),
    "binance-account": Spoken(
        make=lambda: BinanceAccount(SYMBOLS, lambda: None),
        opening=(_b({"e": "listenKeyExpired", "E": NOW_MS, "listenKey": "another"}),),
        good=_b(
            {
                "e": "ACCOUNT_UPDATE",
                "E": NOW_MS,
                "T": NOW_MS,
                "a": {
                    "m": "ORDER",
                    "B": [{"a": "USDT", "wb": "1000", "cw": "1000", "bc": "0"}],
                    "P": [
                        {
                            "s": "BTCUSDT",
                            "pa": "-3",
                            "ep": "100.5",
                            "up": "1.5",
                            "mt": "cross",
                            "ps": "BOTH",
                        }
                    ],
                },
            }
        ),
        kind=PositionUpdate,
    ),
    "bybit-books": Spoken(
        make=lambda: BybitBooks(BybitEndpoints.loopback(1), SYMBOLS),
        opening=(
            _b({"success": True, "ret_msg": "", "conn_id": "x", "req_id": "1", "op": "subscribe"}),
            _bybit(
                "orderbook.200.BTCUSDT",
                {"s": "BTCUSDT", "b": [["100.1", "3"]], "a": [], "u": 8, "seq": 12},
                "delta",
            ),
        ),
        good=_bybit(
            "orderbook.200.BTCUSDT",
            {"s": "BTCUSDT", "b": [["100.1", "3"]], "a": [["100.2", "5"]], "u": 7, "seq": 9},
        ),
        kind=BookSnapshot,
    ),
    "bybit-marks": Spoken(
        make=lambda: BybitMarks(BybitEndpoints.loopback(1), SYMBOLS),
        opening=(
            _bybit(
                "allLiquidation.BTCUSDT",
                [{"T": NOW_MS, "s": "BTCUSDT", "S": "Buy", "v": "0.3", "p": "99.1"}],
            ),
            _bybit("tickers.BTCUSDT", {"symbol": "BTCUSDT", "markPrice": "100.1"}, "delta"),
        ),
        good=_bybit(
            "tickers.BTCUSDT",
            {
                "symbol": "BTCUSDT",
                "markPrice": "100.15",
                "indexPrice": "100.3",
                "fundingRate": "0.0001",
                "nextFundingTime": str(NOW_MS + 28_800_000),
                "fundingIntervalHour": "8",
            },
        ),
        kind=MarkPrice,
    ),
    "bybit-account": Spoken(
        make=lambda: BybitAccount(
            BybitEndpoints.loopback(1), BybitCredentials(api_key="k", secret="s"), SYMBOLS
        ),
        opening=(
            _b({"success": True, "ret_msg": "", "op": "auth", "conn_id": "x"}),
            _b({"success": True, "op": "subscribe", "req_id": "account"}),
            _bybit(
                "wallet",
                [{"coin": [{"coin": "USDT", "equity": "1000.5", "walletBalance": "999"}]}],
            ),
        ),
        good=_bybit(
            "execution",
            [
                {
                    "category": "linear",
                    "symbol": "BTCUSDT",
                    "orderId": "o1",
                    "execId": "e1",
                    "execType": "Trade",
                    "side": "Buy",
                    "execQty": "0.5",
                    "execPrice": "100.1",
                    "execFee": "0.02",
                    "execTime": _MS,
                    "isMaker": False,
                }
            ],
        ),
        kind=FillReported,
    ),
}
