"""OKX's error codes (docs-v5, "Error Code") and the envelope every answer comes in."""

import time
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec
from aiohttp import web

#: One row of an answer.
Row = dict[str, object]


class Code(StrEnum):
    """The codes this simulator answers with, by meaning."""

    OK = "0"
    FAILED = "1"
    PARTLY = "2"
    BODY = "50002"
    RATE = "50011"
    PARAMETER = "50014"
    UNAVAILABLE = "50001"
    ENDPOINT_TIMEOUT = "50004"
    SYSTEM = "50026"
    EXPIRED = "50036"
    ACCOUNT_RATE = "50061"
    TIMESTAMP_OLD = "50102"
    HEADER_KEY = "50103"
    HEADER_PASSPHRASE = "50104"  # noqa: S105  (an error code)
    PASSPHRASE = "50105"  # noqa: S105  (an error code)
    HEADER_SIGN = "50106"
    HEADER_TIMESTAMP = "50107"
    KEY = "50111"
    TIMESTAMP = "50112"
    SIGN = "50113"
    NOT_FOUND = "404"
    ORDER_PARAMETER = "51000"
    INSTRUMENT = "51001"
    PRICE_BAND = "51006"
    MARGIN = "51008"
    DUPLICATE = "51016"
    ALGO_NO_POSITION = "51058"
    ALGO_DUPLICATE = "51068"
    PROFIT_OVER_LAST = "51277"
    STOP_UNDER_LAST = "51278"
    PROFIT_UNDER_LAST = "51279"
    STOP_OVER_LAST = "51280"
    PROFIT_OVER_MARK = "51300"
    STOP_UNDER_MARK = "51302"
    PROFIT_UNDER_MARK = "51303"
    STOP_OVER_MARK = "51304"
    PROFIT_OVER_INDEX = "51305"
    STOP_UNDER_INDEX = "51306"
    PROFIT_UNDER_INDEX = "51307"
    STOP_OVER_INDEX = "51308"
    QUANTITY_MIN = "51020"
    LEVERAGE_HELD = "59106"
    LEVERAGE = "59102"
    LOT = "51121"
    TOO_MANY = "51202"
    ORDERS_TOO_MANY = "51174"
    SUSPENDED = "51022"
    NOTHING_TO_REDUCE = "51169"
    REDUCE_SAME_SIDE = "51170"
    CANCEL_NOT_FOUND = "51400"
    ORDER_NOT_FOUND = "51603"
    AMEND_NOT_FOUND = "51503"
    POSITION_MODE = "59000"


MESSAGES: Final[dict[Code, str]] = {
    Code.BODY: "JSON syntax error",
    Code.RATE: "Too Many Requests",
    Code.UNAVAILABLE: "Service temporarily unavailable. Try again later",
    Code.ENDPOINT_TIMEOUT: "API endpoint request timeout (does not mean that the request was"
    " successful or failed, please check the request result)",
    Code.SYSTEM: "System error. Try again later",
    Code.ACCOUNT_RATE: "You've reached the maximum order rate limit for this account.",
    Code.EXPIRED: "The expTime can't be earlier than the current system time",
    Code.TIMESTAMP_OLD: "Timestamp request expired",
    Code.HEADER_KEY: "Request header OK-ACCESS-KEY cannot be empty",
    Code.HEADER_PASSPHRASE: "Request header OK-ACCESS-PASSPHRASE cannot be empty",
    Code.PASSPHRASE: "Request header OK-ACCESS-PASSPHRASE incorrect",
    Code.HEADER_SIGN: "Request header OK-ACCESS-SIGN cannot be empty",
    Code.HEADER_TIMESTAMP: "Request header OK-ACCESS-TIMESTAMP cannot be empty",
    Code.KEY: "Invalid OK-ACCESS-KEY",
    Code.TIMESTAMP: "Invalid OK-ACCESS-TIMESTAMP",
    Code.SIGN: "Invalid Sign",
    Code.INSTRUMENT: "Instrument ID, Instrument ID code, or Spread ID doesn't exist",
    Code.MARGIN: "Order failed. Insufficient USDT margin in account",
    Code.DUPLICATE: "Client order ID already exists",
    Code.ALGO_NO_POSITION: "No available position for this algo order",
    Code.ALGO_DUPLICATE: "The ID already exists within algoClOrdId and attachAlgoClOrdId",
    **{
        code: f"{kind} trigger price cannot be {way} than the {source} price"
        for kind, way, code_of in (
            ("TP", "higher", "PROFIT_OVER"),
            ("SL", "lower", "STOP_UNDER"),
            ("TP", "lower", "PROFIT_UNDER"),
            ("SL", "higher", "STOP_OVER"),
        )
        for source in ("last", "mark", "index")
        for code in (Code[f"{code_of}_{source.upper()}"],)
    },
    Code.QUANTITY_MIN: "Your order should meet or exceed the minimum order amount",
    Code.LOT: "Order quantity must be a multiple of the lot size",
    Code.TOO_MANY: "Market order quantity exceeds the maximum",
    Code.NOTHING_TO_REDUCE: "Order failed: no position in this direction to reduce",
    Code.REDUCE_SAME_SIDE: "Order failed: a reduce-only order is against the position",
    Code.CANCEL_NOT_FOUND: "Cancelation failed: the order is filled, canceled or does not exist",
    Code.AMEND_NOT_FOUND: "Order modification failed: the order does not exist or is over",
    Code.ORDER_NOT_FOUND: "Order does not exist",
    Code.NOT_FOUND: "Not Found",
}


class WireError(Exception):
    """A request is refused as a whole; the handler's frame answers with the envelope."""

    def __init__(self, code: Code, message: str | None = None, *, status: int = 200) -> None:
        self.code = code
        self.message = MESSAGES.get(code, "") if message is None else message
        self.status = status
        super().__init__(f"{code.value} {self.message}")


class Refusal(Exception):
    """One order or cancel of a request is refused; its row carries `sCode` and `sMsg`."""

    def __init__(self, code: Code, message: str | None = None) -> None:
        self.code = code
        self.message = MESSAGES.get(code, "") if message is None else message
        super().__init__(f"{code.value} {self.message}")


def envelope(
    rows: Sequence[object], *, code: Code = Code.OK, message: str = "", status: int = 200
) -> web.Response:
    """Return OKX's `{"code", "msg", "data"}` answer."""
    body = {"code": code.value, "msg": message, "data": rows}
    return web.Response(
        body=msgspec.json.encode(body), status=status, content_type="application/json"
    )


def outcomes(rows: Sequence[Row], *, received_ns: int) -> web.Response:
    """Return the answer to orders or cancels: 0 all taken, 1 none, 2 some."""
    refused = sum(row["sCode"] != Code.OK.value for row in rows)
    if not refused:
        code, message = Code.OK, ""
    elif refused == len(rows):
        code, message = Code.FAILED, "All operations failed"
    else:
        code, message = Code.PARTLY, "Bulk operation partially succeeded"
    body = {
        "code": code.value,
        "data": rows,
        "inTime": str(received_ns // 1_000),
        "msg": message,
        "outTime": str(time.time_ns() // 1_000),
    }
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")
