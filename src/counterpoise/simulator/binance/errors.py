"""Binance's error codes (USD-M "Error Codes") and its two forms of an answer."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

import msgspec
from aiohttp import web

#: One object of an answer.
Row = dict[str, object]


class Code(IntEnum):
    """The codes this simulator answers with, by meaning."""

    UNKNOWN = -1000
    DISCONNECTED = -1001
    TOO_MANY_REQUESTS = -1003
    TIMEOUT = -1007
    THROTTLED = -1008
    TOO_MANY_ORDERS = -1015
    UNAVAILABLE = -1016
    TIMESTAMP = -1021
    SIGNATURE = -1022
    ILLEGAL_CHARACTERS = -1100
    MANDATORY = -1102
    NOT_REQUIRED = -1106
    PRECISION = -1111
    TIME_IN_FORCE = -1115
    ORDER_TYPE = -1116
    SIDE = -1117
    INTERVAL = -1120
    SYMBOL = -1121
    LISTEN_KEY = -1125
    PARAMETER = -1130
    RECV_WINDOW = -1131
    REJECTED = -2010
    CANCEL_REJECTED = -2011
    ORDER_NOT_FOUND = -2013
    KEY_FORMAT = -2014
    KEY = -2015
    MARGIN = -2019
    TRIGGER_AT_ONCE = -2021
    REDUCE_ONLY = -2022
    ORDERS_TOO_MANY = -2025
    LEVERAGE_POSITION = -2027
    PRICE_NOT_POSITIVE = -4001
    QUANTITY_NOT_POSITIVE = -4003
    QUANTITY_MIN = -4004
    QUANTITY_MAX = -4005
    STOP_NOT_POSITIVE = -4006
    TICK = -4014
    CLIENT_ID_LENGTH = -4015
    PRICE_HIGH = -4016
    STEP = -4023
    PRICE_LOW = -4024
    LEVERAGE = -4028
    STOPS_TOO_MANY = -4045
    MARGIN_TYPE_SAME = -4046
    MARGIN_TYPE_ORDERS = -4047
    MARGIN_TYPE_POSITION = -4048
    POSITION_MODE_SAME = -4059
    POSITION_SIDE_NAME = -4060
    POSITION_SIDE = -4061
    POSITION_SIDE_ORDERS = -4067
    POSITION_SIDE_POSITION = -4068
    SYMBOL_STATUS = -4108
    CLIENT_ID_DUPLICATE = -4116
    ALGO = -4120
    MARKET_BAND = -4131
    TARGET = -4136
    CLOSE_QUANTITY = -4137
    WORKING_TYPE = -4031
    ISOLATED_LEVERAGE = -4161
    NOTIONAL_MIN = -4164
    ISOLATED = -4168
    ASSETS_MODE_BALANCE = -4169
    ASSETS_MODE_ORDERS = -4170
    ASSETS_MODE_SAME = -4171
    NEEDS_POSITION = -4509
    FOK = -5021
    POST_ONLY = -5022
    UNCHANGED = -5027


MESSAGES: Final[dict[Code, str]] = {
    Code.UNKNOWN: "An unknown error occurred while processing the request.",
    Code.TOO_MANY_REQUESTS: "Too many requests; current limit is exceeded.",
    Code.TIMEOUT: "Timeout waiting for response from backend server. Send status unknown;"
    " execution status unknown.",
    Code.THROTTLED: "Request throttled by system-level protection. Reduce-only and close-position"
    " orders are exempt. Please try again.",
    Code.TOO_MANY_ORDERS: "Too many new orders; current limit is exceeded.",
    Code.UNAVAILABLE: "This service is no longer available.",
    Code.TIMESTAMP: "Timestamp for this request is outside of the recvWindow.",
    Code.SIGNATURE: "Signature for this request is not valid.",
    Code.TIME_IN_FORCE: "Invalid timeInForce.",
    Code.ORDER_TYPE: "Invalid orderType.",
    Code.SIDE: "Invalid side.",
    Code.INTERVAL: "Invalid interval.",
    Code.SYMBOL: "Invalid symbol.",
    Code.LISTEN_KEY: "This listenKey does not exist.",
    Code.RECV_WINDOW: "Invalid recvWindow",
    Code.REJECTED: "NEW_ORDER_REJECTED",
    Code.CANCEL_REJECTED: "Unknown order sent.",
    Code.ORDER_NOT_FOUND: "Order does not exist.",
    Code.KEY_FORMAT: "API-key format invalid.",
    Code.KEY: "Invalid API-key, IP, or permissions for action.",
    Code.MARGIN: "Margin is insufficient.",
    Code.TRIGGER_AT_ONCE: "Order would immediately trigger.",
    Code.REDUCE_ONLY: "ReduceOnly Order is rejected.",
    Code.ORDERS_TOO_MANY: "Reach max open order limit.",
    Code.LEVERAGE_POSITION: "Exceeded the maximum allowable position at current leverage.",
    Code.PRICE_NOT_POSITIVE: "Price less than or equal to zero.",
    Code.QUANTITY_NOT_POSITIVE: "Quantity less than or equal to zero.",
    Code.QUANTITY_MIN: "Quantity less than min quantity.",
    Code.QUANTITY_MAX: "Quantity greater than max quantity.",
    Code.STOP_NOT_POSITIVE: "Stop price less than zero.",
    Code.TICK: "Price not increased by tick size.",
    Code.CLIENT_ID_LENGTH: "Client order id length should be less than 36 chars",
    Code.PRICE_HIGH: "Limit price can't be higher than the upper bound.",
    Code.STEP: "Quantity not increased by step size.",
    Code.PRICE_LOW: "Limit price can't be lower than the lower bound.",
    Code.LEVERAGE: "Leverage is not valid",
    Code.STOPS_TOO_MANY: "Reach max stop order limit.",
    Code.MARGIN_TYPE_SAME: "No need to change margin type.",
    Code.MARGIN_TYPE_ORDERS: "Margin type cannot be changed if there exists open orders.",
    Code.MARGIN_TYPE_POSITION: "Margin type cannot be changed if there exists position.",
    Code.POSITION_MODE_SAME: "No need to change position side.",
    Code.POSITION_SIDE_NAME: "Invalid position side.",
    Code.POSITION_SIDE: "Order's position side does not match user's setting.",
    Code.POSITION_SIDE_ORDERS: "Position side cannot be changed if there exists open orders.",
    Code.POSITION_SIDE_POSITION: "Position side cannot be changed if there exists position.",
    Code.CLIENT_ID_DUPLICATE: "ClientOrderId is duplicated.",
    Code.ALGO: "Order type not supported for this endpoint. Please use the Algo Order API endpoints"
    " instead.",
    Code.MARKET_BAND: "The counterparty's best price does not meet the PERCENT_PRICE filter limit.",
    Code.TARGET: "Target strategy invalid for this orderType with closePosition true",
    Code.CLOSE_QUANTITY: "Quantity must be zero with closePosition equals true",
    Code.WORKING_TYPE: "Invalid parameter working type",
    Code.NEEDS_POSITION: "Time in Force (TIF) GTE can only be used with open positions. Please"
    " ensure that positions are available.",
    Code.SYMBOL_STATUS: "This contract is not available for trading.",
    Code.NOTIONAL_MIN: "Order's notional must be no smaller than the minimum"
    " (unless you choose reduce only).",
    Code.ISOLATED: "Unable to adjust to isolated-margin mode under the Multi-Assets mode.",
    Code.ASSETS_MODE_BALANCE: "Unable to adjust Multi-Assets Mode with insufficient margin balance"
    " in USDⓈ-M Futures.",
    Code.ASSETS_MODE_ORDERS: "Unable to adjust Multi-Assets Mode with open orders in USDⓈ-M"
    " Futures.",
    Code.ASSETS_MODE_SAME: "Adjusted asset mode is currently set and does not need to be adjusted"
    " repeatedly.",
    Code.FOK: "Due to the order could not be filled immediately, the FOK order has been rejected.",
    Code.POST_ONLY: "Due to the order could not be executed as maker, the Post Only order will be"
    " rejected.",
    Code.UNCHANGED: "No need to modify the order.",
}


class WireError(Exception):
    """A request, or one order of a batch, is refused."""

    def __init__(self, code: Code, message: str | None = None, *, status: int = 400) -> None:
        self.code = code
        self.message = MESSAGES.get(code, "") if message is None else message
        self.status = status
        super().__init__(f"{code.value} {self.message}")

    @property
    def row(self) -> Row:
        """What the client reads."""
        return {"code": self.code.value, "msg": self.message}


def answer(
    body: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return an answer; Binance has no envelope around good ones."""
    return web.Response(
        body=msgspec.json.encode(body),
        status=status,
        headers=headers,
        content_type="application/json",
    )


def refusal(error: WireError, *, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a refused request's answer."""
    return answer(error.row, status=error.status, headers=headers)
