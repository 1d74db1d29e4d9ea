"""Each venue's own frames, words and codes of trouble, one row a venue."""

import asyncio
import contextlib
import hashlib
import hmac
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import ccxt.async_support as ccxt

from fault_venues import PONG_SECONDS_MAX, FaultDesk, FaultRow, Frame, Socket

# --- OKX ------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _okx_books(desk: FaultDesk, symbol: str) -> AsyncIterator[Socket]:
    async with desk.connected("/ws/v5/public") as socket:
        argument = {"channel": "books", "instId": desk.named(symbol)}
        await socket.ask({"op": "subscribe", "args": [argument]})
        await socket.waiting(2)
        yield socket


@contextlib.asynccontextmanager
async def _okx_private(desk: FaultDesk) -> AsyncIterator[Socket]:
    card, stamp = desk.process.ready, str(int(time.time()))
    message = f"{stamp}GET/users/self/verify".encode()
    digest = hmac.new(card["secret"].encode(), message, hashlib.sha256).digest()
    login = {
        "apiKey": card["api_key"],
        "passphrase": card["password"],
        "timestamp": stamp,
        "sign": b64encode(digest).decode(),
    }
    async with desk.connected("/ws/v5/private") as socket:
        await socket.ask({"op": "login", "args": [login]})
        assert (await socket.frame())["event"] == "login"
        argument = {"channel": "orders", "instType": "SWAP"}
        await socket.ask({"op": "subscribe", "args": [argument]})
        assert (await socket.frame())["event"] == "subscribe"
        yield socket


async def _okx_ping(socket: Socket) -> bool:
    await socket.ask("ping")
    while (frame := await socket.frame(PONG_SECONDS_MAX)) != "pong":
        assert isinstance(frame, dict), frame
    return True


def _okx_orders(frame: Frame) -> Iterator[tuple[str, str]]:
    if "data" in frame and frame["arg"]["channel"] == "orders":
        yield from ((row["clOrdId"], row["state"]) for row in frame["data"])


def _okx_chain(frame: Frame) -> tuple[int, int] | None:
    if frame.get("action") != "update":
        return None
    (row,) = frame["data"]
    return int(row["prevSeqId"]), int(row["seqId"])


def _okx_levels(frame: Frame) -> tuple[list[list[str]], list[list[str]]]:
    (row,) = frame["data"]
    return row["bids"], row["asks"]


async def _okx_mark(desk: FaultDesk, symbol: str) -> Decimal:
    return Decimal((await desk.exchange.fetch_mark_price(symbol))["markPrice"])


async def _okx_margins(desk: FaultDesk, symbol: str) -> list[str]:
    (position,) = await desk.exchange.fetch_positions([symbol])
    detail = (await desk.exchange.fetch_balance())["info"]["data"][0]["details"][0]
    row = position["info"]
    return [row["imr"], row["mmr"], row["mgnRatio"], detail["imr"], detail["mmr"]]


async def _okx_instrument(desk: FaultDesk, symbol: str) -> dict[str, Any] | None:
    rows = (await desk.exchange.public_get_public_instruments({"instType": "SWAP"}))["data"]
    return next((row for row in rows if row["instId"] == desk.named(symbol)), None)


async def _okx_state(desk: FaultDesk, symbol: str) -> str | None:
    row = await _okx_instrument(desk, symbol)
    return None if row is None else row["state"]


async def _okx_funding_hours(desk: FaultDesk, symbol: str) -> Decimal:
    asked = {"instId": desk.named(symbol)}
    (row,) = (await desk.exchange.public_get_public_funding_rate(asked))["data"]
    return Decimal(int(row["nextFundingTime"]) - int(row["fundingTime"])) / 3_600_000


async def _okx_maintenance(desk: FaultDesk, symbol: str) -> Decimal:
    family = desk.named(symbol).removesuffix("-SWAP")
    asked = {"instType": "SWAP", "tdMode": "cross", "instFamily": family}
    return Decimal((await desk.exchange.public_get_public_position_tiers(asked))["data"][0]["mmr"])


async def _okx_leverage(desk: FaultDesk, symbol: str) -> Decimal:
    return Decimal(
        (await desk.exchange.fetch_leverage(symbol, {"mgnMode": "cross"}))["longLeverage"]
    )


# --- Binance --------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _binance_books(desk: FaultDesk, symbol: str) -> AsyncIterator[Socket]:
    async with desk.connected(f"/public/ws/{desk.named(symbol).lower()}@depth@100ms") as socket:
        assert await socket.is_answering()
        yield socket


@contextlib.asynccontextmanager
async def _binance_private(desk: FaultDesk) -> AsyncIterator[Socket]:
    key = (await desk.exchange.fapiPrivatePostListenKey())["listenKey"]
    async with desk.connected(f"/private/ws?listenKey={key}") as socket:
        assert await socket.is_answering()
        yield socket


async def _binance_ping(socket: Socket) -> bool:
    await asyncio.wait_for(await socket.raw.ping(), PONG_SECONDS_MAX)
    return True


def _binance_orders(frame: Frame) -> Iterator[tuple[str, str]]:
    if frame.get("e") == "ORDER_TRADE_UPDATE":
        yield frame["o"]["c"], frame["o"]["X"]


def _binance_chain(frame: Frame) -> tuple[int, int] | None:
    return (frame["pu"], frame["u"]) if frame.get("e") == "depthUpdate" else None


def _binance_levels(frame: Frame) -> tuple[list[list[str]], list[list[str]]]:
    return frame["b"], frame["a"]


async def _binance_mark(desk: FaultDesk, symbol: str) -> Decimal:
    row = await desk.exchange.fapiPublicGetPremiumIndex({"symbol": desk.named(symbol)})
    return Decimal(row["markPrice"])


async def _binance_margins(desk: FaultDesk, symbol: str) -> list[str]:
    account = await desk.exchange.fapiPrivateV2GetAccount()
    (row,) = (row for row in account["positions"] if row["symbol"] == desk.named(symbol))
    return [
        row["initialMargin"],
        row["maintMargin"],
        account["totalInitialMargin"],
        account["totalMaintMargin"],
    ]


async def _binance_state(desk: FaultDesk, symbol: str) -> str | None:
    rows = (await desk.exchange.fapiPublicGetExchangeInfo())["symbols"]
    found = next((row for row in rows if row["symbol"] == desk.named(symbol)), None)
    return None if found is None else found["status"]


async def _binance_funding_hours(desk: FaultDesk, symbol: str) -> Decimal:
    rows = await desk.exchange.fapiPublicGetFundingInfo()
    (row,) = (row for row in rows if row["symbol"] == desk.named(symbol))
    return Decimal(str(row["fundingIntervalHours"]))


async def _binance_maintenance(desk: FaultDesk, symbol: str) -> Decimal:
    asked = {"symbol": desk.named(symbol)}
    (row,) = await desk.exchange.fapiPrivateGetLeverageBracket(asked)
    return Decimal(str(row["brackets"][0]["maintMarginRatio"]))


async def _binance_leverage(desk: FaultDesk, symbol: str) -> Decimal:
    (row,) = await desk.exchange.fapiPrivateGetSymbolConfig({"symbol": desk.named(symbol)})
    return Decimal(str(row["leverage"]))


# --- Bybit ----------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _bybit_books(desk: FaultDesk, symbol: str) -> AsyncIterator[Socket]:
    async with desk.connected("/v5/public/linear") as socket:
        await socket.ask({"op": "subscribe", "args": [f"orderbook.50.{desk.named(symbol)}"]})
        await socket.waiting(2)
        yield socket


@contextlib.asynccontextmanager
async def _bybit_private(desk: FaultDesk) -> AsyncIterator[Socket]:
    card, expires = desk.process.ready, int(time.time() * 1_000) + 10_000
    message = f"GET/realtime{expires}".encode()
    sign = hmac.new(card["secret"].encode(), message, hashlib.sha256).hexdigest()
    async with desk.connected("/v5/private") as socket:
        await socket.ask({"op": "auth", "args": [card["api_key"], expires, sign]})
        assert (await socket.frame())["success"] is True
        await socket.ask({"op": "subscribe", "args": ["order"]})
        assert (await socket.frame())["success"] is True
        yield socket


async def _bybit_ping(socket: Socket) -> bool:
    await socket.ask({"op": "ping"})
    while "op" not in (frame := await socket.frame(PONG_SECONDS_MAX)):
        assert "topic" in frame, frame
    return frame.get("ret_msg") == "pong" or frame["op"] == "pong"


def _bybit_orders(frame: Frame) -> Iterator[tuple[str, str]]:
    if frame.get("topic") == "order":
        yield from ((row["orderLinkId"], row["orderStatus"]) for row in frame["data"])


def _bybit_chain(frame: Frame) -> tuple[int, int] | None:
    # Bybit numbers updates one by one and names no predecessor.
    return (frame["data"]["u"] - 1, frame["data"]["u"]) if frame.get("type") == "delta" else None


def _bybit_levels(frame: Frame) -> tuple[list[list[str]], list[list[str]]]:
    return frame["data"]["b"], frame["data"]["a"]


async def _bybit_row(read: Any, desk: FaultDesk, symbol: str) -> dict[str, Any] | None:
    answer = await read({"category": "linear", "symbol": desk.named(symbol)})
    rows = answer["result"]["list"]
    return rows[0] if rows else None


async def _bybit_ticker(desk: FaultDesk, symbol: str) -> dict[str, Any]:
    row = await _bybit_row(desk.exchange.public_get_v5_market_tickers, desk, symbol)
    assert row is not None
    return row


async def _bybit_mark(desk: FaultDesk, symbol: str) -> Decimal:
    return Decimal((await _bybit_ticker(desk, symbol))["markPrice"])


async def _bybit_position(desk: FaultDesk, symbol: str) -> dict[str, Any]:
    row = await _bybit_row(desk.exchange.private_get_v5_position_list, desk, symbol)
    assert row is not None
    return row


async def _bybit_margins(desk: FaultDesk, symbol: str) -> list[str]:
    row = await _bybit_position(desk, symbol)
    (account,) = (await desk.exchange.fetch_balance())["info"]["result"]["list"]
    return [
        row["positionIM"],
        row["positionMM"],
        account["totalInitialMargin"],
        account["totalMaintenanceMargin"],
    ]


async def _bybit_state(desk: FaultDesk, symbol: str) -> str | None:
    try:
        row = await _bybit_row(desk.exchange.public_get_v5_market_instruments_info, desk, symbol)
    except ccxt.BadRequest:
        return None
    return None if row is None else row["status"]


async def _bybit_funding_hours(desk: FaultDesk, symbol: str) -> Decimal:
    row = await _bybit_row(desk.exchange.public_get_v5_market_instruments_info, desk, symbol)
    assert row is not None
    return Decimal(str(row["fundingInterval"])) / 60


async def _bybit_maintenance(desk: FaultDesk, symbol: str) -> Decimal:
    row = await _bybit_row(desk.exchange.public_get_v5_market_risk_limit, desk, symbol)
    assert row is not None
    return Decimal(str(row["maintenanceMargin"]))


async def _bybit_leverage(desk: FaultDesk, symbol: str) -> Decimal:
    return Decimal((await _bybit_position(desk, symbol))["leverage"])


_ABSENT = {
    "contract_size": "lot_size",
    "reject_50026": "unavailable",
    "upgrade_notice": "cut_streams",
}

FAULT_ROWS = {
    "okx": FaultRow(
        order_path="/trade/batch-orders",
        time_path="/public/time",
        troubles={
            "unavailable": (ccxt.ExchangeNotAvailable, 503, '"code":"50026"'),
            "unknown_outcome": (ccxt.RequestTimeout, 200, '"code":"50004"'),
            "rate_limited": (ccxt.RateLimitExceeded, 429, '"code":"50011"'),
            "banned": (ccxt.RateLimitExceeded, 429, '"code":"50011"'),
            "maintenance": (ccxt.OnMaintenance, 503, '"code":"50001"'),
            "reject_50026": (ccxt.ExchangeNotAvailable, 503, '"code":"50026"'),
        },
        books=_okx_books,
        private=_okx_private,
        ping=_okx_ping,
        orders=_okx_orders,
        states=("live", "canceled"),
        orders_channel="orders",
        chain=_okx_chain,
        levels=_okx_levels,
        mark=_okx_mark,
        stamp_error=(ccxt.InvalidNonce, "50102"),
        margins=_okx_margins,
        state_error=(ccxt.BaseError, "51022"),
        lot_error=(ccxt.InvalidOrder, "51121"),
        state=_okx_state,
        state_words={"post_only": "post_only", "suspend": "suspend", "live": "live"},
        funding_hours=_okx_funding_hours,
        maintenance=_okx_maintenance,
        leverage=_okx_leverage,
        hedge_long={"posSide": "long"},
        notice="64008",
    ),
    "binance": FaultRow(
        order_path="/fapi/v1/order",
        time_path="/fapi/v1/time",
        troubles={
            "unavailable": (ccxt.ExchangeNotAvailable, 503, "Service Unavailable."),
            "unknown_outcome": (ccxt.RequestTimeout, 408, '"code":-1007'),
            "rate_limited": (ccxt.DDoSProtection, 429, '"code":-1003'),
            "banned": (ccxt.DDoSProtection, 418, '"code":-1003'),
            # "This service is no longer available" is a bad request to ccxt, HTTP 503 or not.
            "maintenance": (ccxt.BadRequest, 503, '"code":-1016'),
        },
        books=_binance_books,
        private=_binance_private,
        ping=_binance_ping,
        orders=_binance_orders,
        states=("NEW", "CANCELED"),
        orders_channel="ORDER_TRADE_UPDATE",
        chain=_binance_chain,
        levels=_binance_levels,
        mark=_binance_mark,
        stamp_error=(ccxt.InvalidNonce, "-1021"),
        margins=_binance_margins,
        state_error=(ccxt.BaseError, "-4108"),
        lot_error=(ccxt.BaseError, "-4023"),
        state=_binance_state,
        state_words={"post_only": "TRADING", "suspend": "PENDING_TRADING", "live": "TRADING"},
        funding_hours=_binance_funding_hours,
        maintenance=_binance_maintenance,
        leverage=_binance_leverage,
        hedge_long={"positionSide": "LONG"},
        absent=_ABSENT,
    ),
    "bybit": FaultRow(
        order_path="/v5/order/create",
        time_path="/v5/market/time",
        troubles={
            "unavailable": (ccxt.ExchangeError, 503, '"retCode":10016'),
            "unknown_outcome": (ccxt.ExchangeError, 200, '"retCode":10000'),
            "rate_limited": (ccxt.RateLimitExceeded, 200, '"retCode":10006'),
            "banned": (ccxt.RateLimitExceeded, 403, "access too frequent"),
            "maintenance": (ccxt.ExchangeError, 503, '"retCode":10016'),
        },
        books=_bybit_books,
        private=_bybit_private,
        ping=_bybit_ping,
        orders=_bybit_orders,
        states=("New", "Cancelled"),
        orders_channel="order",
        chain=_bybit_chain,
        levels=_bybit_levels,
        mark=_bybit_mark,
        stamp_error=(ccxt.InvalidNonce, "10002"),
        margins=_bybit_margins,
        state_error=(ccxt.BaseError, "110074"),
        lot_error=(ccxt.BaseError, "10001"),
        state=_bybit_state,
        state_words={"post_only": "PreLaunch", "suspend": "Closed", "live": "Trading"},
        funding_hours=_bybit_funding_hours,
        maintenance=_bybit_maintenance,
        leverage=_bybit_leverage,
        hedge_long={"positionIdx": 1},
        # The class asks for trades by order alone otherwise.
        seized=({"execType": "AdlTrade"}, {"execType": "BustTrade"}),
        absent=_ABSENT,
    ),
}
