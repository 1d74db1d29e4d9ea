"""Bybit's codes (docs v5, "Error Codes") and the envelope every answer comes in."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

import msgspec
from aiohttp import web

from counterpoise.domain import units

#: One row of an answer.
Row = dict[str, object]


class Code(IntEnum):
    """The codes this simulator answers with, by meaning."""

    OK = 0
    TIMEOUT = 10000
    PARAMETER = 10001
    TIMESTAMP = 10002
    KEY = 10003
    SIGN = 10004
    PERMISSION = 10005
    RATE = 10006
    ADDRESS = 10010
    SERVER = 10016
    ADDRESS_RATE = 10018
    RESTARTING = 10019
    PATH = 10404
    REQUEST_DUPLICATE = 20006
    KEY_EXPIRED = 33004
    ORDER_NOT_FOUND = 110001
    PRICE_RANGE = 110003
    WALLET_INSUFFICIENT = 110004
    MARGIN_INSUFFICIENT = 110007
    ORDER_OVER = 110008
    CONDITIONALS_TOO_MANY = 110009
    ORDER_CANCELED = 110010
    LEVERAGE_RISK = 110013
    REDUCE_ONLY = 110017
    ORDERS_TOO_MANY = 110020
    REDUCTIONS_ONLY = 110023
    POSITION_HELD = 110024
    MODE_UNCHANGED = 110025
    ORDERS_OPEN = 110028
    LEVERAGE_UNCHANGED = 110043
    FILLED_BEYOND = 110064
    DUPLICATE = 110072
    MARGIN_MODE = 110073
    NOT_LIVE = 110074
    TRIGGER_NOT_RISING = 110092
    TRIGGER_NOT_FALLING = 110093
    NOTIONAL_MIN = 110094
    UNCHANGED = 34040


MESSAGES: Final[dict[Code, str]] = {
    Code.OK: "OK",
    Code.TIMEOUT: "Server Timeout",
    Code.PARAMETER: "params error",
    Code.KEY: "API key is invalid.",
    Code.SIGN: "error sign! please check your signature generation algorithm.",
    Code.PERMISSION: "Permission denied, please check your API key permissions.",
    Code.RATE: "Too many visits. Exceeded the API Rate Limit.",
    Code.ADDRESS: "Unmatched IP, please check your API key's bound IP addresses.",
    Code.SERVER: "Server error.",
    Code.ADDRESS_RATE: "Exceeded the IP Rate Limit.",
    Code.RESTARTING: "ws trade service is restarting, do not accept new request.",
    Code.PATH: "op type is not found",
    Code.REQUEST_DUPLICATE: "Duplicate reqId",
    Code.KEY_EXPIRED: "Your api key has expired.",
    Code.ORDER_NOT_FOUND: "order not exists or too late to cancel",
    Code.PRICE_RANGE: "Order price exceeds the allowable range.",
    Code.WALLET_INSUFFICIENT: "Wallet balance is insufficient.",
    Code.MARGIN_INSUFFICIENT: "ab not enough for new order",
    Code.ORDER_OVER: "The order has been completed or cancelled.",
    Code.CONDITIONALS_TOO_MANY: "The number of stop orders exceeds the maximum allowable limit.",
    Code.UNCHANGED: "not modified",
    Code.ORDER_CANCELED: "The order has been cancelled.",
    Code.LEVERAGE_RISK: "Cannot set leverage due to risk limit level.",
    Code.REDUCE_ONLY: "Reduce-only rule not satisfied.",
    Code.ORDERS_TOO_MANY: "Not allowed to have more than 500 active orders.",
    Code.REDUCTIONS_ONLY: "Currently you can only reduce your positions on this contract.",
    Code.POSITION_HELD: "You have an existing position, so the position mode cannot be switched.",
    Code.MODE_UNCHANGED: "Position mode is not modified.",
    Code.ORDERS_OPEN: "You have existing open orders, so the position mode cannot be switched.",
    Code.LEVERAGE_UNCHANGED: "leverage not modified",
    Code.FILLED_BEYOND: "The modified quantity must exceed the filled quantity.",
    Code.DUPLICATE: "OrderLinkedID is duplicate",
    Code.MARGIN_MODE: "Set margin mode failed.",
    Code.NOT_LIVE: "This contract is not live.",
    Code.NOTIONAL_MIN: "Order does not meet minimum order value 5USDT",
}

_ENCODER: Final = msgspec.json.Encoder()


class WireError(Exception):
    """A request is refused; the frame answers with the envelope."""

    def __init__(self, code: Code, message: str | None = None) -> None:
        self.code = code
        self.message = MESSAGES.get(code, "") if message is None else message
        super().__init__(f"{code.value} {self.message}")


def encoded(body: object) -> bytes:
    """Return JSON."""
    return _ENCODER.encode(body)


def envelope(
    result: object,
    *,
    now_ns: int,
    code: Code = Code.OK,
    message: str | None = None,
    extra: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
    status: int = 200,
) -> web.Response:
    """Return Bybit's `{"retCode", "retMsg", "result", "retExtInfo", "time"}` answer."""
    body = {
        "retCode": code.value,
        "retMsg": MESSAGES.get(code, "") if message is None else message,
        "result": result,
        "retExtInfo": extra or {},
        "time": now_ns // units.NS_PER_MS,
    }
    return web.Response(
        body=encoded(body), status=status, headers=headers, content_type="application/json"
    )
