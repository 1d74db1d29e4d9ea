"""How each unmodified ccxt class rests a stop at its venue, and how its raw streams are opened."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import aiohttp
import ccxt.async_support as ccxt

from ccxt_venues import Desk

#: Ends reading a stream when nothing came for this long, seconds.
QUIET_SECONDS = 0.4


async def _okx_amend(desk: Desk, symbol: str, order_id: str, price: Decimal) -> None:
    changes = {"newSlTriggerPx": str(price), "newSlOrdPx": "-1", "newSlTriggerPxType": "mark"}
    await desk.exchange.edit_order(order_id, symbol, "conditional", "sell", None, None, changes)


async def _bybit_amend(desk: Desk, symbol: str, order_id: str, price: Decimal) -> None:
    changes = {"triggerPrice": str(price), "triggerBy": "MarkPrice"}
    await desk.exchange.edit_order(order_id, symbol, "market", "sell", None, None, changes)


async def _okx_closing(desk: Desk, symbol: str, price: Decimal) -> None:
    wanted = {
        "stopLossPrice": str(price), "closeFraction": "1", "reduceOnly": True,
        "slTriggerPxType": "mark",
    }  # fmt: skip
    await desk.exchange.create_order(symbol, "conditional", "sell", "1", None, wanted)


async def _binance_closing(desk: Desk, symbol: str, price: Decimal) -> None:
    wanted = {
        "stopLossPrice": str(price), "closePosition": True, "timeInForce": "GTE_GTC",
        "workingType": "MARK_PRICE",
    }  # fmt: skip
    await desk.exchange.create_order(symbol, "market", "sell", None, None, wanted)


async def _bybit_closing(desk: Desk, symbol: str, price: Decimal) -> None:
    wanted = {"stopLossPrice": str(price), "tradingStopEndpoint": True, "slTriggerBy": "MarkPrice"}
    await desk.exchange.create_order(symbol, "market", "sell", "0", None, wanted)


def _digest(desk: Desk, text: str) -> bytes:
    return hmac.new(desk.process.ready["secret"].encode(), text.encode(), hashlib.sha256).digest()


async def _open_okx(desk: Desk, session: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse:
    socket = await session.ws_connect(f"ws://127.0.0.1:{desk.process.port}/ws/v5/business")
    stamp = str(int(time.time()))
    sign = base64.b64encode(_digest(desk, f"{stamp}GET/users/self/verify")).decode()
    login = {
        "apiKey": desk.process.ready["api_key"], "passphrase": desk.process.ready["password"],
        "timestamp": stamp, "sign": sign,
    }  # fmt: skip
    await socket.send_json({"op": "login", "args": [login]})
    argument = {"channel": "orders-algo", "instType": "SWAP"}
    await socket.send_json({"op": "subscribe", "args": [argument]})
    return socket


async def _open_binance(
    desk: Desk, session: aiohttp.ClientSession
) -> aiohttp.ClientWebSocketResponse:
    key = (await desk.exchange.fapiPrivatePostListenKey())["listenKey"]
    address = f"ws://127.0.0.1:{desk.process.port}/private/ws?listenKey={key}"
    return await session.ws_connect(address)


async def _open_bybit(
    desk: Desk, session: aiohttp.ClientSession
) -> aiohttp.ClientWebSocketResponse:
    socket = await session.ws_connect(f"ws://127.0.0.1:{desk.process.port}/v5/private")
    expires = int(time.time() * 1_000) + 10_000
    sign = _digest(desk, f"GET/realtime{expires}").hex()
    login = [desk.process.ready["api_key"], expires, sign]
    await socket.send_json({"op": "auth", "args": login})
    await socket.send_json({"op": "subscribe", "args": ["order"]})
    return socket


def _okx_told(frame: dict[str, Any]) -> list[tuple[str, str]]:
    rows = frame.get("data", []) if frame.get("arg", {}).get("channel") == "orders-algo" else []
    return [(row["algoId"], row["state"]) for row in rows]


def _binance_told(frame: dict[str, Any]) -> list[tuple[str, str]]:
    if frame.get("e") != "ALGO_UPDATE":
        return []
    return [(str(frame["o"]["aid"]), frame["o"]["X"])]


def _bybit_told(frame: dict[str, Any]) -> list[tuple[str, str]]:
    rows = frame["data"] if frame.get("topic") == "order" else []
    return [(row["orderId"], row["orderStatus"]) for row in rows]


@dataclass(frozen=True, kw_only=True)
class TriggerRow:
    """One venue's ways with a market stop that waits for the mark."""

    #: Parameters of `create_order` beside price and client id.
    placing: dict[str, Any]
    #: Parameter that carries the client id of a stop.
    client_id_name: str
    #: Parameters of `fetch_open_orders`.
    listing: dict[str, Any]
    #: Parameters of `cancel_order` by the venue's id.
    canceling: dict[str, Any]
    #: Parameter by which a cancel names a client id.
    cancel_name: str
    #: Moves the trigger price; None = the venue has no amendment of such orders.
    amend: Callable[[Desk, str, str, Decimal], Awaitable[None]] | None
    #: Rests one at a price that closes whatever is held and ends with the position.
    place_closing: Callable[[Desk, str, Decimal], Awaitable[None]]
    #: State told of that one when the position is gone.
    gone_state: str
    #: Raised by a client id in use, with the venue's code.
    duplicate_error: tuple[type[Exception], str]
    #: Raised by a price that is reached already, with the venue's code.
    at_once_error: tuple[type[Exception], str]
    #: Raised by a cancel of one that is over, with the venue's code.
    over_error: tuple[type[Exception], str]
    #: Opens the raw stream that tells of stops.
    open_stream: Callable[[Desk, aiohttp.ClientSession], Awaitable[aiohttp.ClientWebSocketResponse]]
    #: Reads ids and states of stops out of one frame.
    told: Callable[[dict[str, Any]], list[tuple[str, str]]]
    #: States told of one that is canceled, from the beginning.
    canceled_states: list[str]
    #: States told of one that is reached and filled, from the beginning.
    filled_states: list[str]
    #: States told of one that is reached and finds nothing to reduce, from the beginning.
    failed_states: list[str]
    #: True = the order it places has its client id.
    child_named: bool
    #: True = the order it places has its id.
    child_same: bool


TRIGGER_ROWS = {
    "okx": TriggerRow(
        placing={"reduceOnly": True, "slTriggerPxType": "mark"},
        client_id_name="algoClOrdId",
        listing={"trigger": True, "ordType": "conditional"},
        canceling={"trigger": True},
        cancel_name="clientOrderId",
        amend=_okx_amend,
        place_closing=_okx_closing,
        gone_state="canceled",
        duplicate_error=(ccxt.ExchangeError, "51068"),
        at_once_error=(ccxt.ExchangeError, "51304"),
        over_error=(ccxt.OrderNotFound, "51400"),
        open_stream=_open_okx,
        told=_okx_told,
        canceled_states=["live", "canceled"],
        filled_states=["live", "effective"],
        failed_states=["live", "order_failed"],
        child_named=False,
        child_same=False,
    ),
    "binance": TriggerRow(
        placing={"reduceOnly": True, "workingType": "MARK_PRICE"},
        client_id_name="clientOrderId",
        listing={"trigger": True},
        canceling={"trigger": True},
        cancel_name="clientOrderId",
        amend=None,
        place_closing=_binance_closing,
        gone_state="EXPIRED",
        duplicate_error=(ccxt.InvalidOrder, "-4116"),
        at_once_error=(ccxt.OrderImmediatelyFillable, "-2021"),
        over_error=(ccxt.OrderNotFound, "-2011"),
        open_stream=_open_binance,
        told=_binance_told,
        canceled_states=["NEW", "CANCELED"],
        filled_states=["NEW", "TRIGGERING", "TRIGGERED", "FINISHED"],
        failed_states=["NEW", "TRIGGERING", "REJECTED"],
        child_named=True,
        child_same=False,
    ),
    "bybit": TriggerRow(
        placing={"reduceOnly": True, "triggerBy": "MarkPrice"},
        client_id_name="clientOrderId",
        listing={"trigger": True},
        canceling={},
        cancel_name="orderLinkId",
        amend=_bybit_amend,
        place_closing=_bybit_closing,
        gone_state="Deactivated",
        duplicate_error=(ccxt.InvalidOrder, "110072"),
        at_once_error=(ccxt.InvalidOrder, "110093"),
        over_error=(ccxt.InvalidOrder, "110010"),
        open_stream=_open_bybit,
        told=_bybit_told,
        canceled_states=["Untriggered", "Deactivated"],
        filled_states=["Untriggered", "Triggered", "New", "Filled"],
        failed_states=["Untriggered", "Rejected"],
        child_named=True,
        child_same=True,
    ),
}


class StopStream:
    """One raw connection that hears of stops."""

    def __init__(self, row: TriggerRow, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._row = row
        self._socket = socket
        #: Everything that came, in order.
        self.frames: list[dict[str, Any]] = []

    async def read(self) -> None:
        """Take in frames until it is quiet."""
        while True:
            try:
                message = await self._socket.receive(timeout=QUIET_SECONDS)
            except TimeoutError:
                return
            assert message.type is aiohttp.WSMsgType.TEXT, message
            self.frames.append(json.loads(message.data))

    def states(self, order_id: str) -> list[str]:
        """Return the states told of a stop, and of its order where that has the same id."""
        told = [each for frame in self.frames for each in self._row.told(frame)]
        return [state for name, state in told if name == order_id]
